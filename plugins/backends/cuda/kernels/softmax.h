/* softmax.h - arguments of softmax and its gradient, and of the cross-entropy against labels. */
#ifndef CUDA_KERNELS_SOFTMAX_H
#define CUDA_KERNELS_SOFTMAX_H

#include "cuts.h"

typedef struct softmax_args {
    const void *x;      /* forward */
    const float *shift; /* by class; may be absent */
    const float *scale; /* one value; may be absent */
    const void *dy, *y_in;
    void *y; /* or dx */
    row_cut cut;
    float factor; /* besides the tensor's */
    int32_t log;
} softmax_args;

typedef struct cross_entropy_args {
    const void *logits;
    const int64_t *labels;
    const float *dloss, *lse_in; /* gradient */
    float *loss, *lse;           /* forward */
    float *rows;                 /* (N) losses of the rows */
    void *dlogits;
    row_cut cut;
    float scale;
    int32_t reserved;
} cross_entropy_args;

#endif
