/* draw.h - arguments of the kernels that draw random numbers or use them per sample. */
#ifndef CUDA_KERNELS_DRAW_H
#define CUDA_KERNELS_DRAW_H

#include <stdint.h>

typedef struct uniform_args {
    const int32_t *key; /* two words */
    float *y;
    int64_t n;
    uint64_t stream;
} uniform_args;

/* y[n,...] = keep[n] x[n,...]; drop_path draws keep first. */
typedef struct drop_path_args {
    const void *x;
    const int32_t *key; /* NULL: keep is given */
    const float *keep_in;
    float *keep;
    void *y;
    uint64_t stream;
    int64_t samples, row; /* row: elements of a sample */
    int64_t slices;       /* blocks a sample */
    float kept;           /* 1 / (1 - p) */
    uint32_t limit;       /* dropped where the 24 bits drawn are below: ceil(p 2^24) */
    int32_t wide;         /* rows divide into packs, and so do addresses */
} drop_path_args;

#endif
