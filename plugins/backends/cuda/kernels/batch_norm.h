/* batch_norm.h - arguments of normalisation by channel. */
#ifndef CUDA_KERNELS_BATCH_NORM_H
#define CUDA_KERNELS_BATCH_NORM_H

#include "cuts.h"

/* x T(rows, columns). What a kernel does not use is not there. */
typedef struct batch_norm_args {
    const void *x, *y_in, *dy, *residual;
    const float *mean, *var, *gamma, *beta;
    const float *dbeta, *dgamma;
    void *y;           /* or dx */
    void *dresidual;   /* masked dy, where wanted */
    float *first;      /* results by channel: mean, or dbeta */
    float *second;     /* var, or dgamma */
    float *partial[2]; /* (chunks, columns) of both */
    column_cut cut;
    float eps;
    float per_count;    /* 1 / count; 0: statistics were constants */
    int32_t activation; /* WISP_ACT_... */
    int32_t reserved;
} batch_norm_args;

#endif
