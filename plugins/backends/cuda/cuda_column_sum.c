/* cuda_column_sum.c - sums of the columns of a matrix: parts of the rows first, then of the parts.
 */
#include "cuda_column_sum.h"
#include "kernels/column_sum.h"

enum { MOST_PARTS = 512 };

static int64_t divide_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

wisp_status cuda_column_sum_make(const cuda_device *device, int32_t dtype, int64_t rows,
                                 int64_t columns, cuda_column_sum *sum, wisp_error *err)
{
    const int64_t tiles = divide_up(columns, COLUMN_SUM_COLUMNS);
    /* Two waves of four blocks, and at least eight rows for each thread. */
    int64_t parts = divide_up((int64_t)device->n_multiprocessors * 8, tiles);
    const int64_t useful = divide_up(rows, (int64_t)COLUMN_SUM_ROWS * 8);
    parts = parts < useful ? parts : useful;
    parts = parts < 1 ? 1 : parts > MOST_PARTS ? MOST_PARTS : parts;
    memset(sum, 0, sizeof *sum);
    WISP_TRY(cuda_function_for(device, "column_sum", dtype, &sum->part, err));
    WISP_TRY(cuda_function(device, "column_sum_parts", &sum->whole, err));
    sum->rows = rows;
    sum->columns = columns;
    sum->rows_of_part = divide_up(rows, parts);
    sum->n_parts = (int32_t)parts;
    sum->scratch_bytes = parts > 1 ? (size_t)(parts * columns) * sizeof(float) : 0;
    return WISP_OK;
}

wisp_status cuda_column_sum_run(const cuda_device *device, const cuda_column_sum *sum,
                                const void *x, const void *y, void *out, void *scratch,
                                wisp_error *err)
{
    const column_sum_args part = {
        .x = x,
        .y = y,
        .out = sum->n_parts > 1 ? scratch : out,
        .rows = sum->rows,
        .columns = sum->columns,
        .rows_of_part = sum->rows_of_part,
    };
    const cuda_grid tiles = {.x = (uint32_t)divide_up(sum->columns, COLUMN_SUM_COLUMNS),
                             .y = (uint32_t)sum->n_parts,
                             .threads = COLUMN_SUM_THREADS};
    WISP_TRY(cuda_launch(device, sum->part, tiles, &part, err));
    if (sum->n_parts == 1)
        return WISP_OK;
    const column_sum_args whole = {
        .x = scratch, .out = out, .rows = sum->n_parts, .columns = sum->columns};
    return cuda_launch(
        device, sum->whole,
        (cuda_grid){.x = (uint32_t)divide_up(sum->columns, 8), .threads = COLUMN_SUM_THREADS},
        &whole, err);
}
