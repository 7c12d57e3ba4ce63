/* attention.h - arguments of the plain attention kernels. */
#ifndef CUDA_KERNELS_ATTENTION_H
#define CUDA_KERNELS_ATTENTION_H

#include <stdint.h>

/* A block has 8 warps of four rows each, and meets 32 rows of the other side at a time. */
enum { ATTENTION_THREADS = 256, ATTENTION_ROWS = 32, ATTENTION_WIDEST = 128 };

typedef struct attention_args {
    const void *q, *k, *v; /* first element of head 0, sample 0 */
    const void *y, *dy;
    void *out; /* y */
    void *dq, *dk, *dv;
    float *lse;   /* (batch, heads, queries) */
    float *delta; /* the same: dy . y */
    int64_t batch, n_queries, n_keys;
    int64_t stride;       /* from a token of q, k, v and their gradients to the next */
    int64_t y_stride;     /* the same of y and dy */
    int32_t heads, width; /* channels of a head, at most ATTENTION_WIDEST */
    float scale;
    int32_t reserved;
} attention_args;

#endif
