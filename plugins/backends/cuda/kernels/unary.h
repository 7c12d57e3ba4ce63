/* unary.h - arguments of the functions of one value. */
#ifndef CUDA_KERNELS_UNARY_H
#define CUDA_KERNELS_UNARY_H

#include <stdint.h>

typedef struct unary_args {
    const void *x, *dy; /* dy: in gradients */
    const void *y_in;   /* the forward result, where the gradient looks at it */
    void *y;            /* or dx */
    int64_t n;          /* elements */
    float a, b;         /* of affine and clamp */
    int32_t wide;       /* every address is one of 16 bytes */
} unary_args;

#endif
