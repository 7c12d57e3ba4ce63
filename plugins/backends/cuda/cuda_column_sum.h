/* cuda_column_sum.h - sums of the columns of a matrix, always in the same order: gradients of
 * biases. */
#ifndef CUDA_COLUMN_SUM_H
#define CUDA_COLUMN_SUM_H

#include "cuda_cuts.h"

typedef struct cuda_column_sum {
    CUfunction function, finish;
    column_plan plan;
    size_t scratch_bytes;
} cuda_column_sum;

/* x: `rows` of `columns` values of `dtype`. [main] */
wisp_status cuda_column_sum_make(const cuda_device *device, int32_t dtype, int64_t rows,
                                 int64_t columns, cuda_column_sum *sum, wisp_error *err);

/* out f32(columns) = sums of x, or of x * y where y, shaped like x, is there. [main] */
wisp_status cuda_column_sum_run(const cuda_device *device, const cuda_column_sum *sum,
                                const void *x, const void *y, void *out, void *scratch,
                                wisp_error *err);

#endif
