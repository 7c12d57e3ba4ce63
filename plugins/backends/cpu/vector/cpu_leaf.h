/* cpu_leaf.h - small single-threaded loops around the products: one copy for each instruction set,
 * as all files of this folder. */
#ifndef CPU_LEAF_H
#define CPU_LEAF_H

#include "cpu_device.h"

typedef struct cpu_leaf {
    /* sum[c] = sum over rows of x[r, c]; x is f32 or bf16, row-major. */
    void (*column_sum)(int32_t dtype, const void *x, int64_t rows, int64_t columns, double *sum);
    /* Copies rows of `width` elements; strides in elements. */
    void (*copy_rows)(int32_t dtype, const void *from, int64_t from_stride, void *to,
                      int64_t to_stride, int64_t rows, int64_t width);
    /* Rounds rows of f32 to dtype. */
    void (*store_rows)(int32_t dtype, const float *from, void *to, int64_t to_stride, int64_t rows,
                       int64_t width);
    /* p[r, :] = softmax(scale * s[r, :]), lse[r] = log sum exp(scale * s[r, :]); p may be s where
     * dtype is f32. */
    void (*softmax_rows)(int32_t dtype, const float *s, void *p, int64_t rows, int64_t width,
                         float scale, float *lse);
    /* p = exp(scale * s - lse): what softmax_rows gave. */
    void (*softmax_again)(int32_t dtype, const float *s, void *p, int64_t rows, int64_t width,
                          float scale, const float *lse);
    /* ds = scale * p * (dp - sum over the row of p * dp). */
    void (*softmax_grad)(int32_t dtype, const void *p, const float *dp, void *ds, int64_t rows,
                         int64_t width, float scale);
    /* sum += x */
    void (*add)(const float *x, float *sum, int64_t n);
} cpu_leaf;

extern const cpu_leaf cpu_leaf_base;
#ifdef CPU_HAS_X86_VARIANTS
extern const cpu_leaf cpu_leaf_avx2;
extern const cpu_leaf cpu_leaf_avx512;
#endif

static inline const cpu_leaf *cpu_leaf_for(const cpu_device *device)
{
#ifdef CPU_HAS_X86_VARIANTS
    if (device->has_avx512)
        return &cpu_leaf_avx512;
    if (device->has_avx2)
        return &cpu_leaf_avx2;
#endif
    (void)device;
    return &cpu_leaf_base;
}

#endif
