/* cpu_row_sums.h - sums along a row: f32 lanes over a block, double over the blocks. */
#ifndef CPU_ROW_SUMS_H
#define CPU_ROW_SUMS_H

#include "cpu_vector.h"

enum { CPU_SUM_BLOCK = 2048 };

CPU_INLINE double cpu_row_sum(const void *x, int64_t n, const int type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
        float sum = 0;
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++)
            sum += cpu_load(x, i, type);
        total += (double)sum;
    }
    return total;
}

/* Sum of a * b. */
CPU_INLINE double cpu_row_dot(const void *a, const void *b, int64_t n, const int type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
        float sum = 0;
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++)
            sum += cpu_load(a, i, type) * cpu_load(b, i, type);
        total += (double)sum;
    }
    return total;
}

/* Sum of (x - mean)^2. */
CPU_INLINE double cpu_row_spread(const void *x, int64_t n, float mean, const int type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
        float sum = 0;
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++) {
            const float d = cpu_load(x, i, type) - mean;
            sum += d * d;
        }
        total += (double)sum;
    }
    return total;
}

#endif
