/* pixel_plain.c - the pixel kernels for any processor, as pixel_math.h has them. */
#include "image/pixel_kernels.h"

#include "wisp/pixel_math.h"

/* Pixels handled at a time where a loop needs a buffer; they stay in the first-level cache. */
enum { CHUNK = 256 };

static void map(uint8_t *values, size_t n, const uint8_t table[256])
{
    for (size_t i = 0; i < n; i++)
        values[i] = table[values[i]];
}

static uint64_t luma_sum(const uint8_t *rgb, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += wisp_luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
    return sum;
}

static void make_gray(uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3)
        rgb[0] = rgb[1] = rgb[2] = wisp_luma(rgb[0], rgb[1], rgb[2]);
}

static void saturate_chunk(uint8_t *rgb, size_t n, float factor)
{
    uint8_t luma[3 * CHUNK];
    for (size_t i = 0; i < n; i++) {
        uint8_t l = wisp_luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
        luma[3 * i] = luma[3 * i + 1] = luma[3 * i + 2] = l;
    }
    for (size_t i = 0; i < 3 * n; i++)
        rgb[i] = wisp_blend(luma[i], rgb[i], factor);
}

static void saturate(uint8_t *rgb, size_t n, float factor)
{
    for (size_t i = 0; i < n; i += CHUNK)
        saturate_chunk(rgb + 3 * i, n - i < CHUNK ? n - i : CHUNK, factor);
}

void wispi_to_f32_plain(const wispi_number_tables *m, const uint8_t *restrict rgb, size_t n,
                        float *restrict out)
{
    for (size_t i = 0; i < 3 * n; i += 3) {
        out[i] = m->f32[0][rgb[i]];
        out[i + 1] = m->f32[1][rgb[i + 1]];
        out[i + 2] = m->f32[2][rgb[i + 2]];
    }
}

void wispi_to_bf16_plain(const wispi_number_tables *m, const uint8_t *restrict rgb, size_t n,
                         uint16_t *restrict out)
{
    for (size_t i = 0; i < 3 * n; i += 3) {
        out[i] = m->bf16[0][rgb[i]];
        out[i + 1] = m->bf16[1][rgb[i + 1]];
        out[i + 2] = m->bf16[2][rgb[i + 2]];
    }
}

const wispi_pixel_kernels wispi_pixels_plain = {
    .map = map,
    .luma_sum = luma_sum,
    .make_gray = make_gray,
    .saturate = saturate,
    .turn_hue = wispi_turn_hue_plain,
    .to_f32 = wispi_to_f32_plain,
    .to_bf16 = wispi_to_bf16_plain,
    .box_blur = wispi_box_blur_plain,
    .gauss_blur = wispi_gauss_blur_plain,
};
