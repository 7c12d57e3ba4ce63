/* ring.h - arguments of the kernels of lerp and ring_write. */
#ifndef CUDA_KERNELS_RING_H
#define CUDA_KERNELS_RING_H

#include "division.h"

typedef struct lerp_args {
    void *buffer;
    const void *x;
    const float *m;
    int64_t n;
    int32_t by_four; /* both begin where four elements can be read at once */
    int32_t reserved;
} lerp_args;

/* Rows and widths in words, or in elements where types are converted. */
typedef struct ring_args {
    void *ring;
    const void *rows;
    int64_t *cursor;
    int64_t size, n_rows; /* rows of the ring, new ones */
    int64_t n;            /* words of the new rows */
    division width;
} ring_args;

#endif
