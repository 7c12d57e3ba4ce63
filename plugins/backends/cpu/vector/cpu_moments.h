/* cpu_moments.h - sums of each channel and of its squares, block of rows by block of rows.
 *
 * Each block sums d = x - s and d * d in f32, where s is the mean of the block before it. Since
 * sum_b (mean_b - mean_(b-1))^2 is at most four times the total variation, what f32 loses is
 * bounded by the variance itself however large the mean is. Blocks meet in double. */
#ifndef CPU_MOMENTS_H
#define CPU_MOMENTS_H

#include "cpu_vector.h"

typedef struct cpu_moments {
    double *sum, *square;
    float *shift, *d, *dd;
} cpu_moments;

CPU_INLINE int64_t cpu_moments_bytes(int64_t wide)
{
    return (int64_t)cpu_align64((size_t)wide * (2 * sizeof(double) + 3 * sizeof(float)));
}

/* In memory of cpu_moments_bytes, all zero before the first block. */
CPU_INLINE cpu_moments cpu_moments_at(char *memory, int64_t wide)
{
    cpu_moments p;
    p.sum = (double *)memory;
    p.square = p.sum + wide;
    p.shift = (float *)(p.square + wide);
    p.d = p.shift + wide;
    p.dd = p.d + wide;
    return p;
}

/* The first block has none before it: its shift is the mean of every eighth of its rows. */
CPU_INLINE void cpu_moments_begin(const cpu_moments *p, const void *x, int64_t wide, int64_t rows,
                                  const int type)
{
    float *restrict shift = p->shift;
    memset(shift, 0, (size_t)wide * sizeof *shift);
    int64_t n = 0;
    for (int64_t r = 0; r < rows; r += 8, n++) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++)
            shift[i] += cpu_load(row, i, type);
    }
    const float scale = 1.0f / (float)n;
    CPU_SIMD
    for (int64_t i = 0; i < wide; i++)
        shift[i] *= scale;
}

CPU_INLINE void cpu_moments_sum(const void *x, int64_t wide, int64_t rows,
                                const float *restrict shift, float *restrict d, float *restrict dd,
                                const int type)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float s = shift[i];
            const float d0 = cpu_load(row, i, type) - s, d1 = cpu_load(row, i + wide, type) - s,
                        d2 = cpu_load(row, i + 2 * wide, type) - s,
                        d3 = cpu_load(row, i + 3 * wide, type) - s;
            d[i] += (d0 + d1) + (d2 + d3);
            dd[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++) {
        const void *row = cpu_at_const(x, r * wide, type);
        CPU_SIMD
        for (int64_t i = 0; i < wide; i++) {
            const float d0 = cpu_load(row, i, type) - shift[i];
            d[i] += d0;
            dd[i] += d0 * d0;
        }
    }
}

/* Adds a block's sums to those before, and leaves the block's mean as the next shift. */
CPU_INLINE void cpu_moments_close(const cpu_moments *p, int64_t wide, int64_t rows)
{
    double *restrict sum = p->sum, *restrict square = p->square;
    float *restrict shift = p->shift, *restrict d = p->d, *restrict dd = p->dd;
    const double n = (double)rows;
    const float inverse = 1.0f / (float)rows;
    CPU_SIMD
    for (int64_t i = 0; i < wide; i++) {
        const double s = (double)shift[i], e = (double)d[i];
        sum[i] += n * s + e;
        square[i] += (double)dd[i] + s * (2.0 * e + n * s);
        shift[i] += d[i] * inverse;
        d[i] = 0.0f;
        dd[i] = 0.0f;
    }
}

CPU_INLINE void cpu_moments_add(const cpu_moments *p, const void *x, int64_t wide, int64_t rows,
                                const int type)
{
    cpu_moments_sum(x, wide, rows, p->shift, p->d, p->dd, type);
    cpu_moments_close(p, wide, rows);
}

enum { CPU_MOMENTS_ROWS = 128 };

/* Rows of few channels are taken together, so that inner loops are long. */
CPU_INLINE int64_t cpu_moments_fold(int64_t channels)
{
    int64_t fold = 1;
    while (channels * fold < 64)
        fold *= 2;
    return fold;
}

/* Adds any number of rows of `channels`, `fold` at a time; `seen` says whether there were any
 * before. */
CPU_INLINE void cpu_moments_rows(const cpu_moments *p, const void *x, int64_t channels,
                                 int64_t fold, int64_t rows, int seen, const int type)
{
    const int64_t wide = channels * fold, wide_rows = rows / fold;
    for (int64_t n, r = 0; r < wide_rows; r += n) {
        n = cpu_min(CPU_MOMENTS_ROWS, wide_rows - r);
        const void *block = cpu_at_const(x, r * wide, type);
        if (r == 0 && !seen)
            cpu_moments_begin(p, block, wide, n, type);
        cpu_moments_add(p, block, wide, n, type);
    }
    for (int64_t r = wide_rows * fold; r < rows; r++)
        for (int64_t i = 0; i < channels; i++) {
            const double v = (double)cpu_load(x, r * channels + i, type);
            p->sum[i] += v;
            p->square[i] += v * v;
        }
}

/* Mean and variance of a channel over `rows` rows, whose sums are in `parts` parts of `stride`
 * bytes from `memory` on. */
CPU_INLINE void cpu_moments_finish(char *memory, int64_t parts, int64_t stride, int64_t channels,
                                   int64_t fold, int64_t rows, int64_t channel, float *mean,
                                   float *var)
{
    double sum = 0, square = 0;
    for (int64_t k = 0; k < parts; k++) {
        const cpu_moments p = cpu_moments_at(memory + k * stride, channels * fold);
        for (int64_t f = 0; f < fold; f++) {
            sum += p.sum[f * channels + channel];
            square += p.square[f * channels + channel];
        }
    }
    const double n = (double)rows, m = sum / n, variance = square / n - m * m;
    *mean = (float)m;
    *var = variance > 0.0 || variance != variance ? (float)variance : 0.0f;
}

#endif
