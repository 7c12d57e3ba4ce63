/* filter.h - arguments of the kernels that turn weights of convolutions into cuDNN's order, and add
 * biases. */
#ifndef CUDA_KERNELS_FILTER_H
#define CUDA_KERNELS_FILTER_H

#include <stdint.h>

/* (o, c, taps) in f32 <-> (o, taps, c) in the type of the product */
typedef struct filter_args {
    const void *x;
    void *y;
    int64_t o, c, taps;
    int32_t add; /* back to f32: added to what y holds */
    int32_t reserved;
} filter_args;

/* y (rows, columns) += bias (columns) */
typedef struct filter_bias_args {
    const float *bias;
    void *y;
    int64_t rows, columns;
} filter_bias_args;

#endif
