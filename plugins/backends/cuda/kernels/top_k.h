/* top_k.h - arguments of top_k. */
#ifndef CUDA_KERNELS_TOP_K_H
#define CUDA_KERNELS_TOP_K_H

#include <stdint.h>

enum { TOP_K_MOST = 256 }; /* found in one pass over x */

typedef struct top_k_args {
    const void *x;
    void *values;
    int64_t *index;
    int64_t n, m, k;     /* rows, columns, wanted of each row */
    int64_t done, now;   /* found by earlier passes, to be found by this one */
    int64_t parts, part; /* of a row: their number and length */
    uint64_t *found;     /* scratch (n, parts, now): keys of the largest of each part */
    uint64_t *last;      /* scratch (n): the key that the pass before ended with */
    int32_t by_four;     /* rows begin where four elements can be read at once */
    int32_t reserved;
} top_k_args;

#endif
