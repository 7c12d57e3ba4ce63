/* cpu_logits.h - largest value and sum of exponentials of a row z = (x - shift) * scale. */
#ifndef CPU_LOGITS_H
#define CPU_LOGITS_H

#include "cpu_elementary.h"
#include "cpu_row_sums.h"

typedef struct cpu_logits {
    const void *x;
    const float *shift; /* looked at only where has_shift says so */
    int64_t n;
    float scale;
} cpu_logits;

CPU_INLINE float cpu_logit(const cpu_logits *row, int64_t i, const int type, const int has_shift)
{
    const float x = cpu_load(row->x, i, type);
    return (has_shift ? x - row->shift[i] : x) * row->scale;
}

CPU_INLINE float cpu_logits_max(const cpu_logits *row, const int type, const int has_shift)
{
    const cpu_logits r = *row;
    const int64_t half = r.n / 2;
    float max = -INFINITY, other = -INFINITY;
    CPU_SIMD_MAX(max, other)
    for (int64_t i = 0; i < half; i++) {
        const float z = cpu_logit(&r, i, type, has_shift);
        const float u = cpu_logit(&r, i + half, type, has_shift);
        max = z > max ? z : max;
        other = u > other ? u : other;
    }
    if (r.n % 2) {
        const float z = cpu_logit(&r, r.n - 1, type, has_shift);
        max = z > max ? z : max;
    }
    return other > max ? other : max;
}

/* Sum of exp(z - max). */
CPU_INLINE double cpu_logits_sum(const cpu_logits *row, float max, const int type,
                                 const int has_shift)
{
    const cpu_logits r = *row;
    double total = 0;
    for (int64_t at = 0; at < r.n; at += CPU_SUM_BLOCK) {
        const int64_t end = cpu_min(at + CPU_SUM_BLOCK, r.n);
        float sum = 0;
        CPU_SIMD_SUM(sum)
        for (int64_t i = at; i < end; i++)
            sum += cpu_exp_low(cpu_logit(&r, i, type, has_shift) - max);
        total += (double)sum;
    }
    return total;
}

/* The mean of `n` terms that pieces of a kernel left in scratch, in their order. */
CPU_INLINE double cpu_mean_of_terms(const double *terms, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += terms[i];
    return sum / (double)n;
}

#endif
