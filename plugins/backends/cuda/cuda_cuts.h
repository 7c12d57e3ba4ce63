/* cuda_cuts.h - plans for work on rows and on columns (kernels/cuts.h). */
#ifndef CUDA_CUTS_H
#define CUDA_CUTS_H

#include "cuda_device.h"
#include "kernels/cuts.h"

/* `n` rows of `length` elements; `per_access` are read at once where sizes and addresses allow it.
 */
typedef struct row_plan {
    row_cut cut;
    int32_t per_access;
} row_plan;

row_plan cuda_row_plan(int64_t n, int64_t length, int32_t per_access);
/* The same for the rows that the last dimension of x makes. */
row_plan cuda_row_plan_of(const wisp_desc *x);
/* The cut for these addresses, joined by |. */
row_cut cuda_row_pick(const row_plan *plan, uintptr_t addresses);
cuda_grid cuda_row_grid(const cuda_device *device, const row_cut *cut);

/* Columns, by accesses of single elements and of 16 bytes; the latter has no tiles where sizes do
 * not divide. */
typedef struct column_plan {
    column_cut narrow, wide;
} column_plan;

/* Columns of (outer, rows, columns). `turns` is how many rows a thread should have at least,
 * `blocks` the wanted number of blocks a multiprocessor. */
column_plan cuda_column_plan(const cuda_device *device, const column_cut *shape, int32_t per_access,
                             int32_t turns, int32_t blocks);
/* The cut for these addresses, joined by |. */
const column_cut *cuda_column_pick(const column_plan *plan, uintptr_t addresses);
/* Bytes of partial results of either cut, which are `floats` a column and chunk. */
size_t cuda_partial_bytes(const column_plan *plan, int32_t floats);
cuda_grid cuda_column_grid(const column_cut *cut);
/* The blocks that join partial results. */
cuda_grid cuda_finish_grid(const column_cut *cut);

#endif
