/* photometric.h - pixel operations on packed 8-bit RGB, in place.
 *
 * Each equals what torchvision does to a Pillow image, rounding included. `n` counts pixels. All
 * are pure functions of their arguments. [any] */
#ifndef WISPI_IMAGE_PHOTOMETRIC_H
#define WISPI_IMAGE_PHOTOMETRIC_H

#include <stddef.h>
#include <stdint.h>

/* Blend with black, with the rounded mean luma, with each pixel's own luma; factor >= 0, 1 changes
 * nothing. */
void wispi_adjust_brightness(uint8_t *rgb, size_t n, double factor);
void wispi_adjust_contrast(uint8_t *rgb, size_t n, double factor);
void wispi_adjust_saturation(uint8_t *rgb, size_t n, double factor);

/* Turns the hue by `shift` of the circle, [-0.5, 0.5], in steps of 1/255 through 8-bit HSV. */
void wispi_adjust_hue(uint8_t *rgb, size_t n, double shift);

/* Three equal channels of luma. */
void wispi_make_gray(uint8_t *rgb, size_t n);

/* v < threshold keeps v, else 255 - v. */
void wispi_solarize(uint8_t *rgb, size_t n, double threshold);

#endif
