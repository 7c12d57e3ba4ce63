/* pixels.h - the one form in which room `image` hands pictures around: packed 8-bit RGB. */
#ifndef WISPI_IMAGE_PIXELS_H
#define WISPI_IMAGE_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/* Sides and area of the largest picture that is decoded; it also keeps every byte count of this
 * room well inside 32 bits. */
#define WISPI_IMAGE_MAX_SIDE 65500
#define WISPI_IMAGE_MAX_PIXELS ((int64_t)1 << 28)

/* (height, width, 3) row-major bytes without padding, borrowed from whoever made it. */
typedef struct wispi_image {
    const uint8_t *pixels;
    int32_t width, height; /* both >= 1 */
} wispi_image;

#endif
