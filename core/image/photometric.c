/* photometric.c - the pixel operations that need no more than a table or a luma. */
#include "image/photometric.h"

#include "wisp/pixel_math.h"

/* Pixels handled at a time where a loop needs a buffer; they stay in the first-level cache. */
enum { CHUNK = 256 };

static void apply_table(uint8_t *values, size_t n, const uint8_t table[256])
{
    for (size_t i = 0; i < n; i++)
        values[i] = table[values[i]];
}

static void blend_with_level(uint8_t *values, size_t n, int32_t level, double factor)
{
    uint8_t table[256];
    for (int32_t v = 0; v < 256; v++)
        table[v] = wisp_blend(level, v, (float)factor);
    apply_table(values, n, table);
}

void wispi_adjust_brightness(uint8_t *rgb, size_t n, double factor)
{
    blend_with_level(rgb, 3 * n, 0, factor);
}

void wispi_adjust_contrast(uint8_t *rgb, size_t n, double factor)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += wisp_luma(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]);
    blend_with_level(rgb, 3 * n, wisp_mean_luma(sum, n), factor);
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

void wispi_adjust_saturation(uint8_t *rgb, size_t n, double factor)
{
    for (size_t i = 0; i < n; i += CHUNK)
        saturate_chunk(rgb + 3 * i, n - i < CHUNK ? n - i : CHUNK, (float)factor);
}

void wispi_make_gray(uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3)
        rgb[0] = rgb[1] = rgb[2] = wisp_luma(rgb[0], rgb[1], rgb[2]);
}

void wispi_solarize(uint8_t *rgb, size_t n, double threshold)
{
    uint8_t table[256];
    for (int32_t v = 0; v < 256; v++)
        table[v] = (uint8_t)(v < threshold ? v : 255 - v);
    apply_table(rgb, 3 * n, table);
}

static void flip_row(uint8_t *row, size_t width)
{
    uint8_t *left = row, *right = row + 3 * (width - 1);
    for (; left < right; left += 3, right -= 3) {
        for (size_t c = 0; c < 3; c++) {
            uint8_t v = left[c];
            left[c] = right[c];
            right[c] = v;
        }
    }
}

void wispi_flip(uint8_t *rgb, int32_t width, int32_t height)
{
    for (int32_t y = 0; y < height; y++)
        flip_row(rgb + (size_t)y * (size_t)width * 3, (size_t)width);
}
