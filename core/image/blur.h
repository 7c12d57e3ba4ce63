/* blur.h - the two blurs of views: Pillow's box passes, and a sampled Gaussian as torchvision's. */
#ifndef WISPI_IMAGE_BLUR_H
#define WISPI_IMAGE_BLUR_H

#include <stdint.h>

#include "image/scratch.h"
#include "wisp/status.h"

/* In place on (height, width, 3) bytes; 0 <= sigma <= WISP_BLUR_MAX_SIGMA. On failure (memory) the
 * picture is untouched. [worker] */
wisp_status wispi_blur_by_boxes(wispi_scratch *scratch, uint8_t *rgb, int32_t width, int32_t height,
                                double sigma, wisp_error *err);
wisp_status wispi_blur_by_gaussian(wispi_scratch *scratch, uint8_t *rgb, int32_t width,
                                   int32_t height, double sigma, wisp_error *err);

#endif
