/* linear.h - arguments of the kernels around the products of fully connected layers. */
#ifndef CUDA_KERNELS_LINEAR_H
#define CUDA_KERNELS_LINEAR_H

#include <stdint.h>

/* Parameters to the type of a product: two ranges in one launch. */
typedef struct linear_convert_args {
    const float *w, *bias;
    void *w_out, *bias_out;
    int64_t n_w, n_bias; /* 0: none */
} linear_convert_args;

/* y = gelu(x), or y *= the slope of gelu at x */
typedef struct linear_gelu_args {
    const void *x;
    void *y;
    int64_t n;
} linear_gelu_args;

/* Rows of a weight that is given as direction v and length g. */
typedef struct linear_normed_args {
    const float *v, *g;
    const float *norm;  /* NULL: is measured */
    const float *along; /* finishing dv: sums of dy * y */
    float *norm_out;
    void *w;   /* v * g / norm, of the type of the product */
    float *dv; /* holds dw, becomes dv */
    int64_t rows, columns;
} linear_normed_args;

#endif
