/* column_sum.h - arguments of the kernels that sum the columns of a matrix. */
#ifndef CUDA_KERNELS_COLUMN_SUM_H
#define CUDA_KERNELS_COLUMN_SUM_H

#include <stdint.h>

/* A block covers this many columns, four a thread, with so many rows at a time. */
#define COLUMN_SUM_COLUMNS 128
#define COLUMN_SUM_ROWS 8
#define COLUMN_SUM_THREADS 256

typedef struct column_sum_args {
    const void *x, *y; /* y may be NULL: sums of x * y */
    float *out;        /* (parts, columns) */
    int64_t rows, columns;
    int64_t rows_of_part;
} column_sum_args;

#endif
