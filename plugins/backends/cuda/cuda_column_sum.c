/* cuda_column_sum.c - sums of the columns of a matrix: of chunks of rows first, then of the chunks.
 */
#include "cuda_column_sum.h"
#include "cuda_wide.h"
#include "kernels/column_sum.h"

wisp_status cuda_column_sum_make(const cuda_device *device, int32_t dtype, int64_t rows,
                                 int64_t columns, cuda_column_sum *sum, wisp_error *err)
{
    const column_cut shape = {.outer = 1, .rows = rows, .columns = columns};
    WISP_TRY(cuda_function_for(device, "column_sum", dtype, &sum->function, err));
    WISP_TRY(cuda_function(device, "column_sum_finish", &sum->finish, err));
    sum->plan = cuda_column_plan(device, &shape, cuda_per_access(dtype), 8, 4);
    sum->scratch_bytes = cuda_partial_bytes(&sum->plan, 1);
    return WISP_OK;
}

wisp_status cuda_column_sum_run(const cuda_device *device, const cuda_column_sum *sum,
                                const void *x, const void *y, void *out, void *scratch,
                                wisp_error *err)
{
    const column_cut *cut = cuda_column_pick(&sum->plan, cuda_address(x) | cuda_address(y));
    const column_sum_args args = {.x = x, .y = y, .partial = scratch, .out = out, .cut = *cut};
    WISP_TRY(cuda_launch(device, sum->function, cuda_column_grid(cut), &args, err));
    return cuda_launch(device, sum->finish, cuda_finish_grid(cut), &args, err);
}
