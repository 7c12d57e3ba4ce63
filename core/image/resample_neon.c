/* resample_neon.c - the two passes in NEON, with products and sums in 32 bits. */
#include "image/resample_table.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "image/resample_weigh.h"

enum { ROWS = 2, WIDTH = 16 };

static inline uint8x8_t bytes_of(int32x4_t low, int32x4_t high)
{
    const uint16x4_t left = vqmovun_s32(vshrq_n_s32(low, WISP_WEIGHT_BITS));
    const uint16x4_t right = vqmovun_s32(vshrq_n_s32(high, WISP_WEIGHT_BITS));
    return vqmovn_u16(vcombine_u16(left, right));
}

/* --- across: a pixel of each of two rows, a channel in a lane --- */

/* Four pixels of a row, 12 bytes, and no byte more. */
static inline uint8x16_t four_pixels(const uint8_t *at)
{
    uint32_t last;
    memcpy(&last, at + 8, sizeof last);
    return vcombine_u8(vld1_u8(at), vcreate_u8(last));
}

static inline int32x4_t pixel_of(uint8x16_t pixels, uint8x16_t place)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(pixels, place));
}

static inline int32x4_t add_four_pixels(int32x4_t sums, uint8x16_t pixels, int32x4_t weights)
{
    const uint8_t none = 255;
    const uint8x16_t first = {0, none, none, none, 1,    none, none, none,
                              2, none, none, none, none, none, none, none};
    const uint8x16_t step = {3, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
    const uint8x16_t second = vaddq_u8(first, step), third = vaddq_u8(second, step);
    sums = vmlaq_laneq_s32(sums, pixel_of(pixels, first), weights, 0);
    sums = vmlaq_laneq_s32(sums, pixel_of(pixels, second), weights, 1);
    sums = vmlaq_laneq_s32(sums, pixel_of(pixels, third), weights, 2);
    return vmlaq_laneq_s32(sums, pixel_of(pixels, vaddq_u8(third, step)), weights, 3);
}

static void two_rows_across(const wispi_resample_table *table, const uint8_t *const rows[ROWS],
                            uint8_t *const out[ROWS])
{
    const int32_t *weights = table->weights;
    for (size_t x = 0; x < (size_t)table->line.count; x++) {
        int32x4_t a = vdupq_n_s32(WISP_WEIGHT_HALF), b = a;
        size_t at = (size_t)table->start[x] * 3;
        for (int32_t t = 0; t < table->n_weights; t += 4, at += 12, weights += 4) {
            const int32x4_t four = vld1q_s32(weights);
            a = add_four_pixels(a, four_pixels(rows[0] + at), four);
            b = add_four_pixels(b, four_pixels(rows[1] + at), four);
        }
        uint8_t pixels[8];
        vst1_u8(pixels, bytes_of(a, b));
        memcpy(out[0] + 3 * x, pixels, 3);
        memcpy(out[1] + 3 * x, pixels + 4, 3);
    }
}

/* The last of an odd number of rows comes twice. */
static void across(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const size_t row_bytes = (size_t)table->line.count * 3;
    for (int32_t y = 0; y < from.count; y += ROWS) {
        const size_t first = (size_t)y, second = y + 1 < from.count ? first + 1 : first;
        const uint8_t *const rows[ROWS] = {from.bytes + first * from.stride,
                                           from.bytes + second * from.stride};
        uint8_t *const to[ROWS] = {out + first * row_bytes, out + second * row_bytes};
        two_rows_across(table, rows, to);
    }
}

/* --- down --- */

static inline void add_row(int32x4_t sums[4], const uint8_t *row, int32_t weight)
{
    const uint8x16_t bytes = vld1q_u8(row);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    const uint32x4_t wide[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low),
                                vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)};
    for (int i = 0; i < 4; i++)
        sums[i] = vmlaq_n_s32(sums[i], vreinterpretq_s32_u32(wide[i]), weight);
}

static void mix_block(const uint8_t *rows, size_t stride, const int32_t *weights, int32_t n_weights,
                      uint8_t *out)
{
    const int32x4_t half = vdupq_n_s32(WISP_WEIGHT_HALF);
    int32x4_t sums[4] = {half, half, half, half};
    for (int32_t t = 0; t < n_weights; t++, rows += stride)
        add_row(sums, rows, weights[t]);
    vst1q_u8(out, vcombine_u8(bytes_of(sums[0], sums[1]), bytes_of(sums[2], sums[3])));
}

/* The last block of a row overlaps the one before. */
static void down(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const int32_t *weights = table->weights;
    if (from.length < WIDTH) {
        wispi_resample_plain.down(table, from, out);
        return;
    }
    for (int32_t y = 0; y < table->line.count; y++, out += from.length) {
        const uint8_t *rows = from.bytes + (size_t)table->start[y] * from.stride;
        for (size_t i = 0; i < from.length; i += WIDTH) {
            const size_t at = i + WIDTH <= from.length ? i : from.length - WIDTH;
            mix_block(rows + at, from.stride, weights, table->n_weights, out + at);
        }
        weights += table->n_weights;
    }
}

const wispi_resample_kernels wispi_resample_neon = {
    .weigh = wispi_weigh_lanes, .across = across, .down = down};
#endif
