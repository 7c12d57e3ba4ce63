/* reduce.h - arguments of sums, means and maxima over dimensions. */
#ifndef CUDA_KERNELS_REDUCE_H
#define CUDA_KERNELS_REDUCE_H

#include "cuts.h"

enum { REDUCE_MAX_RANK = 6 };

/* Neighbouring dimensions of one fate are joined; kept ones come first. Where both alternate, a
 * result's elements lie at the offsets that these make. */
typedef struct reduce_walk {
    int64_t size[REDUCE_MAX_RANK], stride[REDUCE_MAX_RANK];
    int32_t n_kept, n_reduced;
    int64_t results, length; /* elements of a result */
} reduce_walk;

typedef struct reduce_args {
    const void *x;
    void *y;
    float *partial; /* (outer, chunks, columns); not there with one chunk */
    column_cut cut; /* rows: `rows` is their length, columns 1 */
    reduce_walk walk;
    float scale;
    int32_t y_f32; /* y is f32 whatever T is */
    int32_t team;  /* threads a result, of reduce_any: 1 or 32 */
} reduce_args;

/* dx = dy at the first maximum, else 0. */
typedef struct reduce_max_grad_args {
    const void *dy, *x;
    void *dx;
    reduce_walk walk;
    int32_t dy_f32;
} reduce_max_grad_args;

#endif
