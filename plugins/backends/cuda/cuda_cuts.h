/* cuda_cuts.h - plans for work on rows and on columns (kernels/cuts.h). */
#ifndef CUDA_CUTS_H
#define CUDA_CUTS_H

#include "cuda_device.h"
#include "kernels/cuts.h"

/* Rows of `length` elements, `n` of them; `per_access` elements are read at once. `wide` is left
 * to run(), which sees the addresses, and may be set where row_fits. */
row_cut cuda_row_cut(int64_t n, int64_t length, int32_t per_access);
cuda_grid cuda_row_grid(const cuda_device *device, const row_cut *cut);

/* Columns of (outer, rows, columns) for accesses of `per_access` elements, or single ones where
 * that does not divide the columns. `turns` is how many rows a thread should have at least;
 * `blocks` the wanted number of blocks a multiprocessor. */
column_cut cuda_column_cut(const cuda_device *device, int64_t outer, int64_t rows, int64_t columns,
                           int32_t per_access, int32_t turns, int32_t blocks);
cuda_grid cuda_column_grid(const column_cut *cut);
/* The blocks that join partial results. */
cuda_grid cuda_finish_grid(int64_t columns);

#endif
