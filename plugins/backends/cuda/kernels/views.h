/* views.h - arguments of the kernels that make views. */
#ifndef CUDA_KERNELS_VIEWS_H
#define CUDA_KERNELS_VIEWS_H

#include <stdint.h>

/* Threads of a block, and the tile of a view that a block of the first kernel resizes. */
enum { VIEWS_TILE_THREADS = 256, VIEWS_TILE = 32, VIEWS_FINISH_THREADS = 512 };

typedef struct views_args {
    const uint8_t *pixels;
    const int64_t *views; /* (n, WISP_VIEW_COLUMNS) */
    const float *ops;     /* (n, WISP_MAX_PIXEL_OPS, 2) */
    uint8_t *map;         /* (n, height, width, 3): resized, and changed in place */
    uint8_t *spare;       /* the same, for blurring */
    void *y;              /* (n, height, width, 3) */
    int64_t n_bytes;      /* of pixels */
    int32_t width, height;
    int32_t tiles_x, tiles_y; /* of a view */
    float mean[3], std[3];
} views_args;

#endif
