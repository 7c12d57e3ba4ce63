/* reduce.cu - sums, means and maxima over dimensions.
 *
 * Bytes: x once, s an element; partial results are 4 for every chunk of rows and column, a few
 * hundred chunks at most. reduce_max_grad: x twice (the second time mostly from caches), dx once.
 */
#include "columns.cuh"
#include "reduce.h"

namespace
{

/* A finished result or, where there are more chunks, a partial one. */
template <class T>
WISP_DEVICE void put_result(const reduce_args &a, int64_t outer, int64_t chunk, int64_t column,
                            float v)
{
    if (a.cut.n_chunks > 1) {
        a.partial[(outer * a.cut.n_chunks + chunk) * a.cut.columns + column] = v;
        return;
    }
    const int64_t at = outer * a.cut.columns + column;
    if (a.y_f32)
        static_cast<float *>(a.y)[at] = v * a.scale;
    else
        static_cast<T *>(a.y)[at] = from_f32<T>(v * a.scale);
}

template <class T, class WAY, int N> WISP_DEVICE void columns_of(const reduce_args &a, float *room)
{
    const column_seat s = column_seat_of<N>(a.cut);
    const T *x = static_cast<const T *>(a.x) + s.outer * a.cut.rows * a.cut.columns;
    pack<N> all = filled_pack<N>(WAY::none());
    const int64_t step = a.cut.lanes;
    for (int64_t r = s.begin + s.lane; s.taken && r < s.last; r += 4 * step) {
        raw<T, N> rows[4];
        for (int u = 0; u < 4; u++)
            rows[u] = load_raw<N>(x + (r + u * step < s.last ? r + u * step : r) * a.cut.columns +
                                  s.column);
        for (int u = 0; u < 4; u++) {
            const pack<N> p = spread(rows[u]);
            for (int k = 0; k < N && r + u * step < s.last; k++)
                all.v[k] = WAY::join(all.v[k], p.v[k]);
        }
    }
    join_lanes<WAY, N>(a.cut, s, all, room);
    for (int64_t e = threadIdx.x; e < a.cut.tile * N; e += COLUMN_THREADS)
        if (s.tile_column + e < a.cut.columns)
            put_result<T>(a, s.outer, s.chunk, s.tile_column + e, room[e]);
}

template <class T, class WAY> WISP_DEVICE void reduce_columns(const reduce_args &a)
{
    __shared__ float room[COLUMN_THREADS * wide_of<T>::n];
    if (a.cut.wide)
        columns_of<T, WAY, wide_of<T>::n>(a, room);
    else
        columns_of<T, WAY, 1>(a, room);
}

template <class WAY> WISP_DEVICE float join_warp(float x)
{
    for (int offset = 16; offset > 0; offset /= 2)
        x = WAY::join(x, __shfl_xor_sync(WISP_FULL_WARP, x, offset));
    return x;
}

template <class WAY> WISP_DEVICE float join_block(float x, float *room)
{
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    x = join_warp<WAY>(x);
    __syncthreads();
    if (lane == 0)
        room[warp] = x;
    __syncthreads();
    return join_warp<WAY>(lane < COLUMN_THREADS / 32 ? room[lane] : WAY::none());
}

/* A block for each chunk of a row: N elements at once, four times. */
template <class T, class WAY, int N>
WISP_DEVICE float row_of(const T *x, int64_t begin, int64_t end)
{
    float all = WAY::none();
    const int64_t step = static_cast<int64_t>(COLUMN_THREADS) * N;
    for (int64_t i = begin + threadIdx.x * N; i < end; i += 4 * step) {
        raw<T, N> parts[4];
        for (int u = 0; u < 4; u++)
            parts[u] = load_raw<N>(x + (i + u * step < end ? i + u * step : i));
        for (int u = 0; u < 4; u++) {
            const pack<N> p = spread(parts[u]);
            for (int k = 0; k < N && i + u * step < end; k++)
                all = WAY::join(all, p.v[k]);
        }
    }
    return all;
}

template <class T, class WAY> WISP_DEVICE void reduce_rows(const reduce_args &a)
{
    __shared__ float room[COLUMN_THREADS / 32];
    const int64_t outer = blockIdx.x / a.cut.n_chunks, chunk = blockIdx.x % a.cut.n_chunks;
    const T *x = static_cast<const T *>(a.x) + outer * a.cut.rows;
    const int64_t begin = chunk * a.cut.chunk;
    const int64_t end = begin + a.cut.chunk < a.cut.rows ? begin + a.cut.chunk : a.cut.rows;
    const float mine = a.cut.wide ? row_of<T, WAY, wide_of<T>::n>(x, begin, end)
                                  : row_of<T, WAY, 1>(x, begin, end);
    const float all = join_block<WAY>(mine, room);
    if (threadIdx.x == 0)
        put_result<T>(a, outer, chunk, 0, all);
}

/* --- kept and reduced dimensions in any order --- */

WISP_DEVICE int64_t offset_of(const reduce_walk &w, int32_t from, int32_t n, int64_t index)
{
    int64_t offset = 0;
    for (int32_t d = from + n - 1; d >= from; d--) {
        const int64_t next = index / w.size[d];
        offset += (index - next * w.size[d]) * w.stride[d];
        index = next;
    }
    return offset;
}

template <class T, class WAY> WISP_DEVICE void reduce_any(const reduce_args &a)
{
    const int64_t lane = thread_index() % a.team, teams = thread_count() / a.team;
    for (int64_t o = thread_index() / a.team; o < a.walk.results; o += teams) {
        const T *x = static_cast<const T *>(a.x) + offset_of(a.walk, 0, a.walk.n_kept, o);
        float all = WAY::none();
        for (int64_t r = lane; r < a.walk.length; r += a.team)
            all = WAY::join(all, to_f32(x[offset_of(a.walk, a.walk.n_kept, a.walk.n_reduced, r)]));
        if (a.team > 1)
            all = join_warp<WAY>(all);
        if (lane == 0)
            put_result<T>(a, 0, 0, o, all);
    }
}

template <class T, class WAY> WISP_DEVICE void reduce_finish(const reduce_args &a)
{
    __shared__ float room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    const float all = finish<WAY>(s, a.partial, a.cut, room);
    if (s.lane != 0 || s.result >= a.cut.outer * a.cut.columns)
        return;
    if (a.y_f32)
        static_cast<float *>(a.y)[s.result] = all * a.scale;
    else
        static_cast<T *>(a.y)[s.result] = from_f32<T>(all * a.scale);
}

/* --- the gradient of a maximum: a warp a result --- */

/* The first of the largest; as in a scan from the front, a NaN is never larger, and nothing is
 * larger than a NaN in front. */
template <class T> WISP_DEVICE int64_t first_largest(const T *x, const reduce_walk &w, int lane)
{
    int64_t at = 0;
    float best = to_f32(x[0]);
    for (int64_t r = lane; r < w.length; r += 32) {
        const float v = to_f32(x[offset_of(w, w.n_kept, w.n_reduced, r)]);
        if (v > best) {
            best = v;
            at = r;
        }
    }
    for (int offset = 16; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(WISP_FULL_WARP, best, offset);
        const int64_t other_at = static_cast<int64_t>(
            __shfl_xor_sync(WISP_FULL_WARP, static_cast<long long>(at), offset));
        if (other > best || (other == best && other_at < at)) {
            best = other;
            at = other_at;
        }
    }
    return at;
}

template <class T> WISP_DEVICE void reduce_max_grad(const reduce_max_grad_args &a)
{
    const int lane = static_cast<int>(threadIdx.x % 32);
    for (int64_t o = thread_index() / 32; o < a.walk.results; o += thread_count() / 32) {
        const int64_t base = offset_of(a.walk, 0, a.walk.n_kept, o);
        const int64_t first = first_largest(static_cast<const T *>(a.x) + base, a.walk, lane);
        const float dy = a.dy_f32 ? static_cast<const float *>(a.dy)[o]
                                  : to_f32(static_cast<const T *>(a.dy)[o]);
        T *dx = static_cast<T *>(a.dx) + base;
        for (int64_t r = lane; r < a.walk.length; r += 32)
            dx[offset_of(a.walk, a.walk.n_kept, a.walk.n_reduced, r)] =
                from_f32<T>(r == first ? dy : 0.0f);
    }
}

} // namespace

#define REDUCE_KERNELS(form, way, WAY)                                                             \
    WISP_KERNEL(reduce_##form##_##way##_f32, reduce_args)                                          \
    {                                                                                              \
        reduce_##form<float, WAY>(a);                                                              \
    }                                                                                              \
    WISP_KERNEL(reduce_##form##_##way##_bf16, reduce_args)                                         \
    {                                                                                              \
        reduce_##form<bf16, WAY>(a);                                                               \
    }
REDUCE_KERNELS(columns, sum, adding)
REDUCE_KERNELS(columns, max, taking_larger)
REDUCE_KERNELS(rows, sum, adding)
REDUCE_KERNELS(rows, max, taking_larger)
REDUCE_KERNELS(any, sum, adding)
REDUCE_KERNELS(any, max, taking_larger)
REDUCE_KERNELS(finish, sum, adding)
REDUCE_KERNELS(finish, max, taking_larger)

WISP_KERNEL(reduce_max_grad_f32, reduce_max_grad_args)
{
    reduce_max_grad<float>(a);
}
WISP_KERNEL(reduce_max_grad_bf16, reduce_max_grad_args)
{
    reduce_max_grad<bf16>(a);
}
