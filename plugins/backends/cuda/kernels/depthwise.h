/* depthwise.h - arguments of the depthwise convolutions, of conv2d and of conv_norm.
 *
 * A thread keeps its channels and walks over tiles of the map: DEPTHWISE_TILE columns of one band
 * of rows of one image. A block has `lanes` threads side by side over the channels and 128 / lanes
 * over the tiles; blockIdx.y counts the slabs of channels. */
#ifndef CUDA_KERNELS_DEPTHWISE_H
#define CUDA_KERNELS_DEPTHWISE_H

#include "division.h"

/* So many blocks run side by side on a multiprocessor: of 168 registers a thread, of 128 in the
 * gradients of conv2d. */
enum {
    DEPTHWISE_THREADS = 128,
    DEPTHWISE_BLOCKS = 3,
    DEPTHWISE_GRAD_BLOCKS = 4,
    DEPTHWISE_TILE = 4
};

typedef struct depthwise_args {
    const void *x;              /* gradients: NULL where nothing needs it */
    const float *scale, *shift; /* x is read as act(x * scale + shift); NULL: as it is */
    float low, high;            /* of the activation */
    const float *weights;       /* (C, K, K) */
    const float *bias;          /* forward; may be NULL */
    void *y; /* forward: result; gradients: result of the forward pass, or NULL */
    const void *dy;
    const float *mean, *dmean, *dvar; /* with y in gradients */
    void *dx;                         /* may be NULL */
    float *parts; /* scratch (blocks, values, C); NULL: no statistics, no sums */
    int64_t tiles;
    division groups, bands; /* of a row of tiles, of an image */
    int64_t pixels;         /* of y, in all images */
    int32_t band, rows;     /* rows of a band, of the map that is walked over */
    int32_t h, w, ho, wo, c;
    int32_t pad_h, pad_w;
    int32_t lanes;
} depthwise_args;

/* What the second launch does with the parts. */
typedef struct depthwise_finish_args {
    const float *parts;
    int64_t n_parts; /* blocks */
    int64_t pixels;
    int32_t c, taps;             /* taps: K * K */
    float *mean, *var;           /* forward */
    float *dw, *dscale, *dshift; /* gradients; each may be NULL */
    int32_t add;                 /* dw += */
    int32_t reserved;
} depthwise_finish_args;

#endif
