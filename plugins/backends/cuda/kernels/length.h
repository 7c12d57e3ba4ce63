/* length.h - arguments of the kernels that divide rows by their length. */
#ifndef CUDA_KERNELS_LENGTH_H
#define CUDA_KERNELS_LENGTH_H

#include "cuts.h"

typedef struct length_args {
    const void *x, *dy; /* dy: in gradients, where x is y of l2_normalize, or v of weight_norm */
    const float *gain;  /* weight_norm: g, by row */
    const float *norm_in;
    void *y; /* or dx */
    float *norm;
    float *dgain; /* where wanted */
    row_cut cut;
    float eps; /* l2_normalize */
    int32_t reserved;
} length_args;

#endif
