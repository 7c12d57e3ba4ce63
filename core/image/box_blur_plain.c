/* box_blur_plain.c - the box blur for any processor: rows in padded line buffers, columns by
 * running sums over whole rows, so both are loops over contiguous bytes. */
#include "image/pixel_kernels.h"

#include <string.h>

#include "wisp/pixel_math.h"

enum { SHORT_RADIUS = 2 };

/* `radius` is a constant where this is called, so the inner loop disappears. */
static inline void short_box(wisp_box_blur k, int32_t radius, const uint8_t *line, uint8_t *out,
                             int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        uint32_t sum = 0;
        for (int32_t d = -radius; d <= radius; d++)
            sum += line[i + 3 * d];
        out[i] = wisp_blurred_byte(k, sum,
                                   (uint32_t)line[i - 3 * radius - 3] + line[i + 3 * radius + 3]);
    }
}

static void long_box(wisp_box_blur k, const uint8_t *line, uint8_t *out, int32_t n)
{
    const int32_t reach = 3 * k.radius;
    for (int32_t c = 0; c < 3; c++) {
        uint32_t sum = 0;
        for (int32_t i = c - reach - 3; i < c + reach; i += 3)
            sum += line[i];
        for (int32_t i = c; i < n; i += 3) {
            sum += line[i + reach];
            sum -= line[i - reach - 3];
            out[i] = wisp_blurred_byte(k, sum, (uint32_t)line[i - reach - 3] + line[i + reach + 3]);
        }
    }
}

/* `line` is readable for radius + 1 pixels beyond both ends; n bytes. */
static void blur_line(wisp_box_blur k, const uint8_t *line, uint8_t *out, int32_t n)
{
    if (k.radius == 0)
        short_box(k, 0, line, out, n);
    else if (k.radius == 1)
        short_box(k, 1, line, out, n);
    else if (k.radius == SHORT_RADIUS)
        short_box(k, SHORT_RADIUS, line, out, n);
    else
        long_box(k, line, out, n);
}

static void repeat_ends(uint8_t *line, int32_t n, int32_t margin)
{
    for (int32_t i = 1; i <= margin; i++) {
        memcpy(line - 3 * i, line, 3);
        memcpy(line + n + 3 * (i - 1), line + n - 3, 3);
    }
}

static void blur_row(wisp_box_blur k, const uint8_t *row, uint8_t *out, int32_t n,
                     uint8_t *lines[2])
{
    memcpy(lines[0], row, (size_t)n);
    for (int32_t pass = 0; pass < WISP_BLUR_PASSES; pass++) {
        uint8_t *from = lines[pass & 1],
                *to = pass == WISP_BLUR_PASSES - 1 ? out : lines[~pass & 1];
        repeat_ends(from, n, k.radius + 1);
        blur_line(k, from, to, n);
    }
}

static const uint8_t *clamped_row(const uint8_t *picture, int32_t y, int32_t height, size_t n)
{
    return picture + (size_t)(y < 0 ? 0 : y >= height ? height - 1 : y) * n;
}

static void sum_first_rows(wisp_box_blur k, const uint8_t *from, int32_t height, size_t n,
                           uint32_t *sums)
{
    memset(sums, 0, n * sizeof *sums);
    for (int32_t y = -k.radius - 1; y < k.radius; y++) {
        const uint8_t *row = clamped_row(from, y, height, n);
        for (size_t i = 0; i < n; i++)
            sums[i] += row[i];
    }
}

static void blur_columns(wisp_box_blur k, const uint8_t *from, uint8_t *restrict to, int32_t height,
                         size_t n, uint32_t *restrict sums)
{
    sum_first_rows(k, from, height, n, sums);
    for (int32_t y = 0; y < height; y++, to += n) {
        const uint8_t *left = clamped_row(from, y - k.radius - 1, height, n);
        const uint8_t *enters = clamped_row(from, y + k.radius, height, n);
        const uint8_t *right = clamped_row(from, y + k.radius + 1, height, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t sum = sums[i] + enters[i] - left[i];
            sums[i] = sum;
            to[i] = wisp_blurred_byte(k, sum, (uint32_t)left[i] + right[i]);
        }
    }
}

void wispi_box_blur_plain(wisp_box_blur box, uint8_t *rgb, int32_t width, int32_t height,
                          void *scratch)
{
    const size_t n = (size_t)width * 3, margin = 3 * ((size_t)box.radius + 1);
    uint32_t *sums = scratch;
    uint8_t *space = (uint8_t *)(sums + n), *picture = space + 2 * (n + 2 * margin);
    uint8_t *lines[2] = {space + margin, space + n + 3 * margin};
    for (int32_t y = 0; y < height; y++)
        blur_row(box, rgb + (size_t)y * n, picture + (size_t)y * n, (int32_t)n, lines);
    blur_columns(box, picture, rgb, height, n, sums);
    blur_columns(box, rgb, picture, height, n, sums);
    blur_columns(box, picture, rgb, height, n, sums);
}
