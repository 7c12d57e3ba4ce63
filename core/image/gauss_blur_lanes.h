/* gauss_blur_lanes.h - the sampled Gaussian by vectors of 16-bit numbers; for gauss_blur_<level>.c
 * only, which include the level's lanes and define before: `sums`, two registers of 32-bit sums;
 * start (sums of a rounding constant); add_pairs (a times the lower half of `weights` plus b times
 * the upper); and shifted (the sums shifted right, in 16 bits). */
#ifndef WISPI_IMAGE_GAUSS_BLUR_LANES_H
#define WISPI_IMAGE_GAUSS_BLUR_LANES_H

#include "wisp/pixel_math.h"

enum {
    CUT_ROWS = WISP_GAUSS_BITS - WISP_GAUSS_MORE_BITS,
    CUT_COLUMNS = WISP_GAUSS_BITS + WISP_GAUSS_MORE_BITS
};

static inline int32_t paired(int32_t low, int32_t high)
{
    return (int32_t)((uint32_t)low | (uint32_t)high << 16);
}

/* Bytes to numbers, with radius + 1 reflected pixels at both ends. */
static void widen_line(const uint8_t *row, int32_t width, int32_t radius, uint16_t *line)
{
    const size_t n = 3 * (size_t)width;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        store(line + i, widen(row + i, LANES));
    if (i < n)
        store(line + i, widen(row + i, n - i));
    for (int32_t d = 1; d <= radius + 1; d++) {
        const uint8_t *before = row + 3 * wisp_reflected(-d, width);
        const uint8_t *behind = row + 3 * wisp_reflected(width - 1 + d, width);
        for (int32_t c = 0; c < 3; c++) {
            line[c - 3 * d] = before[c];
            line[(int32_t)n + c + 3 * (d - 1)] = behind[c];
        }
    }
}

static inline lanes both_sides(const uint16_t *at, size_t distance)
{
    return add(load(at - 3 * distance), load(at + 3 * distance));
}

/* Two distances at a time; behind the last weight stands a 0. */
static void blur_line(const wispi_gauss *g, const uint16_t *line, uint16_t *out, size_t n)
{
    const size_t radius = (size_t)g->radius;
    for (size_t i = 0; i < n; i += LANES) {
        sums s = start(1 << (CUT_ROWS - 1));
        s = add_pairs(s, load(line + i), both_sides(line + i, 1),
                      paired(g->weights[0], g->weights[1]));
        for (size_t d = 2; d <= radius; d += 2)
            s = add_pairs(s, both_sides(line + i, d), both_sides(line + i, d + 1),
                          paired(g->weights[d], g->weights[d + 1]));
        store(out + i, shifted(s, CUT_ROWS));
    }
}

/* Row y of the result from the rows of a picture whose rows are `stride` values apart; `rows` has
 * room for twice the radius. */
static void mix_rows(const wispi_gauss *g, const uint16_t *picture, size_t stride, int32_t y,
                     int32_t height, const uint16_t **rows, uint8_t *out, size_t n)
{
    const uint16_t *middle = picture + (size_t)y * stride;
    for (int32_t d = 0; d < g->radius; d++) {
        rows[2 * d] = picture + (size_t)wisp_reflected(y - d - 1, height) * stride;
        rows[2 * d + 1] = picture + (size_t)wisp_reflected(y + d + 1, height) * stride;
    }
    for (size_t i = 0; i < n; i += LANES) {
        sums s = start(1 << (CUT_COLUMNS - 1));
        s = add_pairs(s, load(middle + i), load(middle + i), paired(g->weights[0], 0));
        for (int32_t d = 0; d < g->radius; d++)
            s = add_pairs(s, load(rows[2 * d] + i), load(rows[2 * d + 1] + i),
                          paired(g->weights[d + 1], g->weights[d + 1]));
        if (i + LANES <= n)
            narrow(out + i, shifted(s, CUT_COLUMNS), LANES);
        else
            narrow(out + i, shifted(s, CUT_COLUMNS), n - i);
    }
}

static void blur_picture(const wispi_gauss *g, uint8_t *rgb, int32_t width, int32_t height,
                         void *scratch)
{
    const size_t n = 3 * (size_t)width, stride = (n + LANES - 1) / LANES * LANES;
    const uint16_t **rows = scratch;
    uint16_t *picture = (uint16_t *)(rows + 2 * (size_t)g->radius);
    uint16_t *line = picture + stride * (size_t)height + 3 * ((size_t)g->radius + 1);
    for (int32_t y = 0; y < height; y++) {
        widen_line(rgb + (size_t)y * n, width, g->radius, line);
        blur_line(g, line, picture + (size_t)y * stride, n);
    }
    for (int32_t y = 0; y < height; y++)
        mix_rows(g, picture, stride, y, height, rows, rgb + (size_t)y * n, n);
}

#endif
