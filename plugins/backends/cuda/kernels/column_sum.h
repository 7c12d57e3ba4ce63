/* column_sum.h - arguments of the kernels that sum the columns of a matrix. */
#ifndef CUDA_KERNELS_COLUMN_SUM_H
#define CUDA_KERNELS_COLUMN_SUM_H

#include "cuts.h"

typedef struct column_sum_args {
    const void *x, *y; /* y may be NULL: sums of x * y */
    float *partial;    /* (chunks, columns) */
    float *out;
    column_cut cut;
} column_sum_args;

#endif
