// column_sum.cu - sums of the columns of a matrix, or of the products of two, in an order that
// depends on the shape alone.
#include "column_sum.h"
#include "columns.cuh"

namespace
{

template <class T, int N> WISP_DEVICE void sums_of_chunk(const column_sum_args &a, float *room)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x), *y = static_cast<const T *>(a.y);
    pack<N> sum = filled_pack<N>(0.0f);
#pragma unroll 4
    for (int64_t r = s.begin + s.lane; r < s.last; r += c.lanes) {
        if (!s.taken)
            break;
        const pack<N> p = load<N>(x + r * c.columns + s.column);
        const pack<N> q = y ? load<N>(y + r * c.columns + s.column) : filled_pack<N>(1.0f);
        for (int k = 0; k < N; k++)
            sum.v[k] = fmaf(p.v[k], q.v[k], sum.v[k]);
    }
    join_lanes<adding, N>(c, s, sum, room);
    for (int64_t e = threadIdx.x; e < c.tile * N && s.tile_column + e < c.columns;
         e += COLUMN_THREADS)
        a.partial[s.chunk * c.columns + s.tile_column + e] = room[e];
}

template <class T> WISP_DEVICE void sum_columns(const column_sum_args &a)
{
    __shared__ float room[COLUMN_THREADS * wide_of<T>::n];
    if (a.cut.wide)
        sums_of_chunk<T, wide_of<T>::n>(a, room);
    else
        sums_of_chunk<T, 1>(a, room);
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

WISP_KERNEL(column_sum_finish, column_sum_args)
{
    __shared__ float room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    const float all = finish<adding>(s, a.partial, a.cut, room);
    if (s.lane == 0 && s.result < a.cut.columns)
        a.out[s.result] = all;
}
