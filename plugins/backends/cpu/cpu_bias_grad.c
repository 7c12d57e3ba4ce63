/* cpu_bias_grad.c - sums of columns, in parallel over chunks of rows. */
#include "cpu_bias_grad.h"

enum { MIN_CHUNK_ROWS = 256, MAX_CHUNKS = 32 };

void cpu_bias_grad_plan(const cpu_device *device, const wisp_desc *dy, cpu_bias_grad *plan)
{
    plan->leaf = cpu_leaf_for(device);
    plan->dtype = dy->dtype;
    plan->columns = dy->shape[dy->rank - 1];
    plan->rows = plan->columns ? wisp_desc_count(dy) / plan->columns : 0;
    int64_t chunks = plan->rows / MIN_CHUNK_ROWS;
    plan->chunks = chunks < 1 ? 1 : chunks > MAX_CHUNKS ? MAX_CHUNKS : (int32_t)chunks;
    plan->scratch_bytes =
        cpu_align64((size_t)plan->chunks * (size_t)plan->columns * sizeof(double));
}

void cpu_bias_grad_run(const cpu_device *device, const cpu_bias_grad *plan, const void *dy,
                       float *dbias, void *scratch)
{
    double *partial = scratch;
    int64_t n = plan->columns;
    size_t row_bytes = (size_t)(n * wisp_dtype_bytes(plan->dtype));
#pragma omp parallel for num_threads(device->n_threads) if (plan->chunks > 1) schedule(static)
    for (int32_t i = 0; i < plan->chunks; i++) {
        int64_t first = plan->rows * i / plan->chunks, last = plan->rows * (i + 1) / plan->chunks;
        plan->leaf->column_sum(plan->dtype, (const char *)dy + (size_t)first * row_bytes,
                               last - first, n, partial + i * n);
    }
    for (int64_t c = 0; c < n; c++) {
        double sum = 0;
        for (int32_t i = 0; i < plan->chunks; i++)
            sum += partial[i * n + c];
        dbias[c] = (float)sum;
    }
}
