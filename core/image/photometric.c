/* photometric.c - what the pixel operations come to: a table, or a pass over the pixels. */
#include "image/photometric.h"

#include "image/pixel_kernels.h"
#include "wisp/pixel_math.h"

static void blend_with_level(uint8_t *values, size_t n, int32_t level, double factor)
{
    uint8_t table[256];
    for (int32_t v = 0; v < 256; v++)
        table[v] = wisp_blend(level, v, (float)factor);
    wispi_pixel_kernels_here()->map(values, n, table);
}

void wispi_adjust_brightness(uint8_t *rgb, size_t n, double factor)
{
    blend_with_level(rgb, 3 * n, 0, factor);
}

void wispi_adjust_contrast(uint8_t *rgb, size_t n, double factor)
{
    const uint64_t sum = wispi_pixel_kernels_here()->luma_sum(rgb, n);
    blend_with_level(rgb, 3 * n, wisp_mean_luma(sum, n), factor);
}

void wispi_adjust_saturation(uint8_t *rgb, size_t n, double factor)
{
    wispi_pixel_kernels_here()->saturate(rgb, n, (float)factor);
}

void wispi_adjust_hue(uint8_t *rgb, size_t n, double shift)
{
    wispi_pixel_kernels_here()->turn_hue(rgb, n, wisp_hue_step(shift));
}

void wispi_make_gray(uint8_t *rgb, size_t n)
{
    wispi_pixel_kernels_here()->make_gray(rgb, n);
}

void wispi_solarize(uint8_t *rgb, size_t n, double threshold)
{
    uint8_t table[256];
    for (int32_t v = 0; v < 256; v++)
        table[v] = (uint8_t)(v < threshold ? v : 255 - v);
    wispi_pixel_kernels_here()->map(rgb, 3 * n, table);
}
