/* permute.h - arguments of permute: dimensions of one element are left out, those that stay
 * neighbours are one. */
#ifndef CUDA_KERNELS_PERMUTE_H
#define CUDA_KERNELS_PERMUTE_H

#include "division.h"

enum { PERMUTE_RANK = 6, PERMUTE_TILE = 32 };

/* Word by word. Entry d: dimension d of y, outermost first. */
typedef struct permute_args {
    const void *x;
    void *y;
    int64_t n; /* words */
    int32_t rank, reserved;
    division size[PERMUTE_RANK];
    int64_t stride[PERMUTE_RANK]; /* in x */
} permute_args;

/* Through tiles in shared memory: the innermost dimensions of x and y differ. */
typedef struct permute_tile_args {
    const void *x;
    void *y;
    int64_t n;              /* tiles */
    int64_t size_x, size_y; /* of the dimension that is innermost in x, in y */
    int64_t step_x, step_y; /* in x along the innermost of y; in y along the innermost of x */
    division tiles_x, tiles_y;
    int32_t rank, reserved; /* of the other dimensions */
    division size[PERMUTE_RANK];
    int64_t stride_x[PERMUTE_RANK], stride_y[PERMUTE_RANK];
} permute_tile_args;

#endif
