#include "report/input_pixels.h"

#include <math.h>
#include <string.h>

#include "base/bf16.h"
#include "base/memory.h"
#include "wisp/tensor.h"

wisp_status wispi_input_pixels_open(wispi_input_pixels *pixels, int64_t side, int32_t dtype,
                                    const double *mean, const double *std, wisp_error *err)
{
    memset(pixels, 0, sizeof *pixels);
    pixels->side = side;
    pixels->dtype = dtype;
    memcpy(pixels->mean, mean, sizeof pixels->mean);
    memcpy(pixels->std, std, sizeof pixels->std);
    pixels->whole = wispi_alloc_array((size_t)(side * side), 3);
    if (!pixels->whole)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a picture of the report");
    return WISP_OK;
}

void wispi_input_pixels_close(wispi_input_pixels *pixels)
{
    wispi_resampler_free(&pixels->resampler);
    wispi_free(pixels->whole);
    memset(pixels, 0, sizeof *pixels);
}

static double value_at(const wispi_input_pixels *p, const void *views, int64_t i)
{
    return p->dtype == WISP_BF16 ? wispi_f32_from_bf16(((const uint16_t *)views)[i])
                                 : ((const float *)views)[i];
}

static uint8_t as_byte(double value)
{
    return value > 0 ? value < 1 ? (uint8_t)(255 * value + 0.5) : 255 : 0;
}

wisp_status wispi_input_pixels_draw(wispi_input_pixels *p, const void *views, int64_t index,
                                    int64_t out_side, uint8_t *out, wisp_error *err)
{
    const int32_t side = (int32_t)p->side, wanted = (int32_t)out_side;
    const int64_t n = p->side * p->side * 3;
    for (int64_t i = 0; i < n; i++)
        p->whole[i] = as_byte(value_at(p, views, index * n + i) * p->std[i % 3] + p->mean[i % 3]);
    if (side == wanted) {
        memcpy(out, p->whole, (size_t)n);
        return WISP_OK;
    }
    const wispi_image image = {p->whole, side, side};
    const wispi_resample_job job = {.box = {0, 0, side, side},
                                    .out_w = wanted,
                                    .out_h = wanted,
                                    .window = {0, 0, wanted, wanted},
                                    .filter = WISP_FILTER_BILINEAR};
    return wispi_resample(&p->resampler, &image, &job, out, err);
}
