/* channel.h - arguments of the kernels that work on a few numbers a channel. */
#ifndef CUDA_KERNELS_CHANNEL_H
#define CUDA_KERNELS_CHANNEL_H

#include <stdint.h>

/* What a kernel does not use is not there; gamma and beta may be absent. */
typedef struct channel_args {
    const float *mean, *var, *gamma, *beta;
    const float *dscale, *dshift;
    float *out[4];
    int64_t n; /* channels */
    float eps;
    float momentum, rest, unbiased; /* running_update; rest: 1 - momentum */
} channel_args;

#endif
