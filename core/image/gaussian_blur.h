/* gaussian_blur.h - Pillow's Gaussian blur: three box blurs along rows, then three along columns,
 * with a radius that need not be whole and 8-bit rounding after each. */
#ifndef WISPI_IMAGE_GAUSSIAN_BLUR_H
#define WISPI_IMAGE_GAUSSIAN_BLUR_H

#include "image/scratch.h"
#include "wisp/status.h"

/* In place on (height, width, 3) bytes; 0 <= sigma <= WISP_BLUR_MAX_SIGMA. On failure (memory) the
 * picture is untouched. [worker] */
wisp_status wispi_gaussian_blur(wispi_scratch *scratch, unsigned char *rgb, int width, int height,
                                double sigma, wisp_error *err);

#endif
