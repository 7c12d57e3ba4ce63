/* conv_norm.h - arguments of what stands around a convolution that normalises its input and
 * measures its result. */
#ifndef CUDA_KERNELS_CONV_NORM_H
#define CUDA_KERNELS_CONV_NORM_H

#include "cuts.h"

/* Maps T(rows, columns). What a kernel does not use is not there. */
typedef struct conv_norm_args {
    const void *x;
    const float *scale, *shift; /* of x's channels */
    const void *dy, *y;
    const float *mean, *dmean, *dvar; /* of y's channels */
    void *out;
    float *partial[2]; /* (chunks, columns) */
    float *first, *second;
    column_cut cut;
    float per_row;      /* 1 / rows */
    int32_t activation; /* WISP_ACT_... */
} conv_norm_args;

#endif
