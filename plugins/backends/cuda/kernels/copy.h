/* copy.h - arguments of the kernels that move, convert and fill. */
#ifndef CUDA_KERNELS_COPY_H
#define CUDA_KERNELS_COPY_H

#include <stdint.h>

typedef struct copy_args {
    const void *x;
    void *y;
    int64_t n; /* elements */
    int64_t value_i64;
    double value; /* fill */
} copy_args;

#endif
