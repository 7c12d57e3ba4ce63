/* layer_norm.h - arguments of normalisation by row. */
#ifndef CUDA_KERNELS_LAYER_NORM_H
#define CUDA_KERNELS_LAYER_NORM_H

#include "cuts.h"

typedef struct layer_norm_args {
    const void *x, *dy;
    const float *gamma, *beta; /* by channel; may be absent */
    const float *mean_in, *rstd_in;
    void *y; /* or dx */
    float *mean, *rstd;
    float *dgamma, *dbeta; /* where wanted */
    float *partial[2];     /* (chunks, channels) of both */
    row_cut rows;
    column_cut columns; /* for dgamma and dbeta */
    float eps;
    int32_t reserved;
} layer_norm_args;

#endif
