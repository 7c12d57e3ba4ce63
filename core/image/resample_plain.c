/* resample_plain.c - the two passes in plain C, and the choice among the families.
 *
 * Both accumulate 8-bit pixels times fixed-point weights in 32 bits, starting from one half, so the
 * shift at the end rounds. */
#include "base/cpu_level.h"
#include "image/resample_table.h"
#include "image/resample_weigh.h"

/* Bytes of a row that the column pass carries along in registers. */
enum { COLUMN_BLOCK = 32 };

static void resize_row(const wispi_resample_table *table, const uint8_t *row, uint8_t *out)
{
    const int32_t *weights = table->weights;
    for (int32_t x = 0; x < table->line.count; x++, weights += table->n_weights) {
        const uint8_t *pixel = row + (size_t)table->start[x] * 3;
        int32_t r = WISP_WEIGHT_HALF, g = WISP_WEIGHT_HALF, b = WISP_WEIGHT_HALF;
        for (int32_t t = 0; t < table->n_weights; t++, pixel += 3) {
            r += pixel[0] * weights[t];
            g += pixel[1] * weights[t];
            b += pixel[2] * weights[t];
        }
        out[3 * x] = wisp_weighted_byte(r);
        out[3 * x + 1] = wisp_weighted_byte(g);
        out[3 * x + 2] = wisp_weighted_byte(b);
    }
}

static void resize_rows(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const size_t row_bytes = (size_t)table->line.count * 3;
    for (int32_t y = 0; y < from.count; y++)
        resize_row(table, from.bytes + (size_t)y * from.stride, out + (size_t)y * row_bytes);
}

static void mix_block(const uint8_t *rows, size_t stride, const int32_t *weights, int32_t taps,
                      uint8_t *out)
{
    int32_t sum[COLUMN_BLOCK];
    for (size_t i = 0; i < COLUMN_BLOCK; i++)
        sum[i] = WISP_WEIGHT_HALF;
    for (int32_t t = 0; t < taps; t++, rows += stride)
        for (size_t i = 0; i < COLUMN_BLOCK; i++)
            sum[i] += rows[i] * weights[t];
    for (size_t i = 0; i < COLUMN_BLOCK; i++)
        out[i] = wisp_weighted_byte(sum[i]);
}

/* One row of the result from `taps` rows of `n` bytes. */
static void mix_rows(const uint8_t *rows, size_t stride, const int32_t *weights, int32_t taps,
                     uint8_t *out, size_t n)
{
    size_t i = 0;
    for (; i + COLUMN_BLOCK <= n; i += COLUMN_BLOCK)
        mix_block(rows + i, stride, weights, taps, out + i);
    for (; i < n; i++) {
        int32_t sum = WISP_WEIGHT_HALF;
        for (int32_t t = 0; t < taps; t++)
            sum += rows[(size_t)t * stride + i] * weights[t];
        out[i] = wisp_weighted_byte(sum);
    }
}

static void resize_columns(const wispi_resample_table *table, wispi_rows from, uint8_t *out)
{
    const int32_t *weights = table->weights;
    for (int32_t y = 0; y < table->line.count; y++, weights += table->n_weights)
        mix_rows(from.bytes + (size_t)table->start[y] * from.stride, from.stride, weights,
                 table->n_weights, out + (size_t)y * from.length, from.length);
}

const wispi_resample_kernels wispi_resample_plain = {
    .weigh = wispi_weigh_lanes, .across = resize_rows, .down = resize_columns};

const wispi_resample_kernels *wispi_resample_kernels_of(int32_t level)
{
    switch (level) {
    case WISPI_CPU_PLAIN:
        return &wispi_resample_plain;
#if defined(__x86_64__)
    case WISPI_CPU_AVX2:
        return &wispi_resample_avx2;
    case WISPI_CPU_AVX512:
        return &wispi_resample_avx512;
#elif defined(__aarch64__)
    case WISPI_CPU_NEON:
        return &wispi_resample_neon;
#endif
    default:
        return NULL;
    }
}
