// column_sum.cu - sums of the columns of a matrix, in an order that depends on its shape alone.
#include "column_sum.h"
#include "kernel.cuh"

namespace
{

/* Four neighbours of a row that begins at p; n of them are there. */
template <class T> WISP_DEVICE four load_up_to(const T *p, int64_t n, bool vector)
{
    if (vector)
        return load4(p);
    four r = {{0, 0, 0, 0}};
    for (int i = 0; i < 4; i++)
        if (i < n)
            r.v[i] = to_f32(p[i]);
    return r;
}

template <class T> WISP_DEVICE bool is_vector(const column_sum_args &a)
{
    const uint64_t unit = 4 * sizeof(T);
    const uint64_t x = reinterpret_cast<uintptr_t>(a.x), y = reinterpret_cast<uintptr_t>(a.y);
    return a.columns % 4 == 0 && x % unit == 0 && y % unit == 0;
}

template <class T> WISP_DEVICE void sum_columns(const column_sum_args &a)
{
    __shared__ float room[COLUMN_SUM_ROWS][COLUMN_SUM_COLUMNS];
    const T *x = static_cast<const T *>(a.x), *y = static_cast<const T *>(a.y);
    const int lane = static_cast<int>(threadIdx.x % 32), row = static_cast<int>(threadIdx.x / 32);
    const int64_t column = static_cast<int64_t>(blockIdx.x) * COLUMN_SUM_COLUMNS + lane * 4;
    const int64_t first = blockIdx.y * a.rows_of_part, end = first + a.rows_of_part;
    const int64_t last = end < a.rows ? end : a.rows, n = a.columns - column;
    const bool vector = is_vector<T>(a);
    float sum[4] = {0, 0, 0, 0};
    if (n > 0)
        for (int64_t r = first + row; r < last; r += COLUMN_SUM_ROWS) {
            const four v = load_up_to(x + r * a.columns + column, n, vector);
            four w = {{1, 1, 1, 1}};
            if (y)
                w = load_up_to(y + r * a.columns + column, n, vector);
            for (int i = 0; i < 4; i++)
                sum[i] = fmaf(v.v[i], w.v[i], sum[i]);
        }
    for (int i = 0; i < 4; i++)
        room[row][lane * 4 + i] = sum[i];
    __syncthreads();
    const int c = static_cast<int>(threadIdx.x);
    const int64_t at = static_cast<int64_t>(blockIdx.x) * COLUMN_SUM_COLUMNS + c;
    if (c >= COLUMN_SUM_COLUMNS || at >= a.columns)
        return;
    float total = 0;
    for (int r = 0; r < COLUMN_SUM_ROWS; r++)
        total += room[r][c];
    a.out[blockIdx.y * a.columns + at] = total;
}

} // namespace

WISP_KERNEL(column_sum_f32, column_sum_args)
{
    sum_columns<float>(a);
}
WISP_KERNEL(column_sum_bf16, column_sum_args)
{
    sum_columns<bf16>(a);
}

/* One warp a column: few rows. */
WISP_KERNEL(column_sum_parts, column_sum_args)
{
    const float *x = static_cast<const float *>(a.x);
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int64_t column = static_cast<int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
    if (column >= a.columns)
        return;
    float sum = 0;
    for (int64_t r = lane; r < a.rows; r += 32)
        sum += x[r * a.columns + column];
    sum = warp_sum(sum);
    if (lane == 0)
        a.out[column] = sum;
}
