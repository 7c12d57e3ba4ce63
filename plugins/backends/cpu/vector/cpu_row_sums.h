/* cpu_row_sums.h - sums along a row: f32 lanes over a block, double over the blocks.
 *
 * A block is summed as four quarters at once, since one chain of additions would wait for the
 * latency of each. */
#ifndef CPU_ROW_SUMS_H
#define CPU_ROW_SUMS_H

#include "cpu_vector.h"

enum { CPU_SUM_BLOCK = 4096 };

/* The sum of `term` (an expression in the index k) over k from `begin` to `end` - 1, of one block;
 * adds it to `total`. */
#define CPU_SUM_QUARTERS(total, begin, end, term)                                                  \
    do {                                                                                           \
        const int64_t cpu_quarter = ((end) - (begin)) / 4 / 16 * 16;                               \
        float cpu_s0 = 0, cpu_s1 = 0, cpu_s2 = 0, cpu_s3 = 0;                                      \
        CPU_SIMD_SUM(cpu_s0, cpu_s1, cpu_s2, cpu_s3)                                               \
        for (int64_t cpu_i = (begin); cpu_i < (begin) + cpu_quarter; cpu_i++) {                    \
            cpu_s0 += term(cpu_i);                                                                 \
            cpu_s1 += term(cpu_i + cpu_quarter);                                                   \
            cpu_s2 += term(cpu_i + 2 * cpu_quarter);                                               \
            cpu_s3 += term(cpu_i + 3 * cpu_quarter);                                               \
        }                                                                                          \
        for (int64_t cpu_i = (begin) + 4 * cpu_quarter; cpu_i < (end); cpu_i++)                    \
            cpu_s0 += term(cpu_i);                                                                 \
        (total) += (double)((cpu_s0 + cpu_s1) + (cpu_s2 + cpu_s3));                                \
    } while (0)

CPU_INLINE double cpu_row_sum(const void *x, int64_t n, const int type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
#define TERM(k) cpu_load(x, k, type)
        CPU_SUM_QUARTERS(total, at, end, TERM);
#undef TERM
    }
    return total;
}

/* Sum of a * b. */
CPU_INLINE double cpu_row_dot(const void *a, const void *b, int64_t n, const int type_a,
                              const int type_b)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
#define TERM(k) cpu_load(a, k, type_a) * cpu_load(b, k, type_b)
        CPU_SUM_QUARTERS(total, at, end, TERM);
#undef TERM
    }
    return total;
}

/* Sum of (x - mean)^2. */
CPU_INLINE double cpu_row_spread(const void *x, int64_t n, float mean, const int type)
{
    double total = 0;
    for (int64_t at = 0; at < n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, n);
#define TERM(k) (cpu_load(x, k, type) - mean) * (cpu_load(x, k, type) - mean)
        CPU_SUM_QUARTERS(total, at, end, TERM);
#undef TERM
    }
    return total;
}

#endif
