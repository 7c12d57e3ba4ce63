/* input_pixels.h - evaluation views, as the network gets them, back as pictures. */
#ifndef WISPI_REPORT_INPUT_PIXELS_H
#define WISPI_REPORT_INPUT_PIXELS_H

#include "image/resample.h"

typedef struct wispi_input_pixels {
    int64_t side;
    int32_t dtype; /* WISP_F32 or WISP_BF16 */
    double mean[3], std[3];
    wispi_resampler resampler;
    uint8_t *whole; /* (side, side, 3), room for one */
} wispi_input_pixels;

wisp_status wispi_input_pixels_open(wispi_input_pixels *pixels, int64_t side, int32_t dtype,
                                    const double *mean, const double *std, wisp_error *err);
void wispi_input_pixels_close(wispi_input_pixels *pixels); /* accepts a zeroed one */

/* View number `index` of a batch (n, side, side, 3) as (out_side, out_side, 3) bytes. */
wisp_status wispi_input_pixels_draw(wispi_input_pixels *pixels, const void *views, int64_t index,
                                    int64_t out_side, uint8_t *out, wisp_error *err);

#endif
