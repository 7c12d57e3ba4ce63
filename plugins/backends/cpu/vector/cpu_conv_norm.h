/* cpu_conv_norm.h - what the kernels of conv_norm and its gradient share: how maps are read.
 *
 * An element of x is read as act(x * scale + shift), an element of the gradient dy of a result y as
 * dy + flat + slope * y; the latter holds what reaches y through its mean and variance. */
#ifndef CPU_CONV_NORM_H
#define CPU_CONV_NORM_H

#include <math.h>

#include "cpu_vector.h"

enum { CPU_FWD_X, CPU_FWD_SCALE, CPU_FWD_SHIFT, CPU_FWD_W };
enum {
    CPU_GRAD_DY,
    CPU_GRAD_Y,
    CPU_GRAD_MEAN,
    CPU_GRAD_DMEAN,
    CPU_GRAD_DVAR,
    CPU_GRAD_X,
    CPU_GRAD_SCALE,
    CPU_GRAD_SHIFT,
    CPU_GRAD_W
};

typedef struct cpu_reading {
    const float *scale, *shift; /* NULL: as it is */
    float low, high;            /* of the activation */
} cpu_reading;

CPU_INLINE cpu_reading cpu_reading_of(int32_t activation, const wisp_kernel_arg *scale)
{
    cpu_reading r = {scale[0].data, scale[1].data, -INFINITY, INFINITY};
    if (activation != WISP_ACT_NONE)
        r.low = 0.0f;
    if (activation == WISP_ACT_RELU6)
        r.high = 6.0f;
    return r;
}

CPU_INLINE float cpu_between(float v, float low, float high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* One pixel of x. */
CPU_INLINE void cpu_read_pixel(const cpu_reading *r, const void *x, int64_t n, float *restrict to,
                               const int type)
{
    const float *restrict scale = r->scale, *restrict shift = r->shift;
    const float low = r->low, high = r->high;
    if (!scale) {
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            to[i] = cpu_load(x, i, type);
        return;
    }
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        to[i] = cpu_between(cpu_load(x, i, type) * scale[i] + shift[i], low, high);
}

/* Takes g from behind the activation to x, in place: one pixel, and its part of the sums. */
CPU_INLINE void cpu_return_pixel(const cpu_reading *r, float *restrict g, const void *x, int64_t n,
                                 float *restrict dscale, float *restrict dshift, const int type)
{
    const float *restrict scale = r->scale, *restrict shift = r->shift;
    const float low = r->low, high = r->high;
    CPU_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float value = cpu_load(x, i, type), v = value * scale[i] + shift[i];
        const float d = v > low ? (v < high ? g[i] : 0.0f) : 0.0f;
        dscale[i] += d * value;
        dshift[i] += d;
        g[i] = d * scale[i];
    }
}

/* dy + flat + slope * y; both vectors are NULL where y has no part in it. */
CPU_INLINE void cpu_reach_pixel(const void *dy, const void *y, const float *restrict flat,
                                const float *restrict slope, int64_t n, float *restrict to,
                                const int type)
{
    if (!y) {
        CPU_SIMD
        for (int64_t i = 0; i < n; i++)
            to[i] = cpu_load(dy, i, type);
        return;
    }
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        to[i] = cpu_load(dy, i, type) + (flat[i] + slope[i] * cpu_load(y, i, type));
}

/* flat and slope for channel i of n elements. */
CPU_INLINE void cpu_reach_expand(const cpu_call *call, int64_t channels, int64_t elements,
                                 float *flat, float *slope)
{
    const float *mean = call->in[CPU_GRAD_MEAN].data, *dmean = call->in[CPU_GRAD_DMEAN].data;
    const float *dvar = call->in[CPU_GRAD_DVAR].data;
    const double n = (double)elements;
    for (int64_t i = 0; i < channels; i++) {
        const double b = 2.0 * (double)dvar[i] / n;
        slope[i] = (float)b;
        flat[i] = (float)((double)dmean[i] / n - b * (double)mean[i]);
    }
}

/* Sums of one chunk: f32 ones of some rows, and double ones of all. */
typedef struct cpu_scale_sums {
    double *scale, *shift;
    float *dscale, *dshift;
} cpu_scale_sums;

CPU_INLINE int64_t cpu_scale_sums_bytes(int64_t channels)
{
    return (int64_t)cpu_align64((size_t)channels * (2 * sizeof(double) + 2 * sizeof(float)));
}

CPU_INLINE cpu_scale_sums cpu_scale_sums_at(char *memory, int64_t channels)
{
    cpu_scale_sums s;
    s.scale = (double *)memory;
    s.shift = s.scale + channels;
    s.dscale = (float *)(s.shift + channels);
    s.dshift = s.dscale + channels;
    return s;
}

CPU_INLINE void cpu_scale_sums_close(const cpu_scale_sums *s, int64_t channels)
{
    double *restrict scale = s->scale, *restrict shift = s->shift;
    float *restrict dscale = s->dscale, *restrict dshift = s->dshift;
    CPU_SIMD
    for (int64_t i = 0; i < channels; i++) {
        scale[i] += (double)dscale[i];
        shift[i] += (double)dshift[i];
        dscale[i] = 0.0f;
        dshift[i] = 0.0f;
    }
}

/* Kernels of the two kinds of windows: all channels at one pixel (or few gathered ones), and one
 * channel at a time. */
CPU_PREPARE(conv_norm_point);
CPU_PREPARE(conv_norm_point_grad);
CPU_PREPARE(conv_norm_depth);
CPU_PREPARE(conv_norm_depth_grad);

#endif
