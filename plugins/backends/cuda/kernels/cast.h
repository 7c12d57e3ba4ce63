/* cast.h - arguments of the conversions between element types. */
#ifndef CUDA_KERNELS_CAST_H
#define CUDA_KERNELS_CAST_H

#include <stdint.h>

typedef struct cast_args {
    const void *x;
    void *y;
    int64_t n;    /* elements */
    int32_t wide; /* every address is one of 16 bytes */
} cast_args;

#endif
