/* pooling.h - arguments of the pooling kernels. */
#ifndef CUDA_KERNELS_POOLING_H
#define CUDA_KERNELS_POOLING_H

#include "division.h"

/* Channels are counted in vectors, of four elements or of one. */
typedef struct pool_args {
    const void *from;                 /* x; gradients: dy */
    void *to;                         /* y; gradients: dx */
    uint8_t *index;                   /* max_pool; its gradient only reads it */
    int64_t n;                        /* vectors of what is written */
    division channels, width, height; /* of what is written */
    int32_t h, w, ho, wo;             /* of x and of y */
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    int32_t include_padding;
    int32_t reserved;
} pool_args;

#endif
