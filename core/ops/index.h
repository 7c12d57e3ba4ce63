/* index.h - where an element lies in a row-major tensor; for the plain loops of reference kernels.
 */
#ifndef WISPI_OPS_INDEX_H
#define WISPI_OPS_INDEX_H

#include "tensor/op.h"

/* Offset of (a,b,c,d) in a tensor of rank 4. */
static inline int64_t wispi_at4(const wisp_desc *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return ((a * t->shape[1] + b) * t->shape[2] + c) * t->shape[3] + d;
}

/* Size of the last dimension: channels. */
static inline int64_t wispi_last(const wisp_desc *t)
{
    return t->shape[t->rank - 1];
}

/* Product of all dimensions but the last `tail` ones. */
static inline int64_t wispi_leading_count(const wisp_desc *t, int32_t tail)
{
    int64_t count = 1;
    for (int32_t d = 0; d < t->rank - tail; d++)
        count *= t->shape[d];
    return count;
}

/* Values of argument i; NULL when it is absent. */
static inline double *wispi_values(const wispi_ref *in, int32_t n_in, int32_t i)
{
    return i < n_in ? in[i].v : NULL;
}

#endif
