/* batch_norm.cu - normalisation by channel, and what its gradient needs.
 *
 * Everything is one pass over the maps. Bytes an element of size s, all of them memory bound:
 *   channel_stats          s        (x)
 *   batch_norm             2 s      (x, y), 3 s with a residual
 *   batch_norm_grad_stats  2 s      (dy, x), 3 s with an activation (y)
 *   batch_norm_grad_input  3 s      (dy, x, dx), s more for y and s more for dresidual
 * Partial sums are 8 for every chunk of rows and channel, a few hundred chunks at most. */
#include "batch_norm.h"
#include "columns.cuh"
#include "wisp/kernels.h"

namespace
{

WISP_DEVICE float activated(int32_t activation, float v)
{
    if (activation != WISP_ACT_NONE && v < 0.0f)
        return 0.0f;
    if (activation == WISP_ACT_RELU6 && v > 6.0f)
        return 6.0f;
    return v;
}

/* The gradient behind the activation, judged by the result y alone. */
WISP_DEVICE float masked(int32_t activation, float dy, float y)
{
    if (activation != WISP_ACT_NONE && !(y > 0.0f))
        return 0.0f;
    if (activation == WISP_ACT_RELU6 && !(y < 6.0f))
        return 0.0f;
    return dy;
}

/* Several rows in flight: row r + u * step, or r again where that is beyond the last. */
template <int N, int U, class T> struct rows_ahead {
    raw<T, N> v[U];
    WISP_DEVICE void fetch(const T *x, const column_cut &c, const column_seat &s, int64_t r)
    {
        const int64_t step = c.lanes;
        for (int u = 0; u < U; u++)
            v[u] =
                load_raw<N>(x + (r + u * step < s.last ? r + u * step : r) * c.columns + s.column);
    }
};

/* --- mean and variance --- */

/* Sums of x - shift and of its square, where shift is the chunk's first row: a value of the channel
 * itself, so that nothing is lost to a mean that is large beside the deviation. */
template <class T, int N> WISP_DEVICE void stats_of_chunk(const batch_norm_args &a, float *room)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x);
    pack<N> sum = filled_pack<N>(0.0f), square = sum, shift = sum;
    if (s.taken)
        shift = load<N>(x + s.begin * c.columns + s.column);
    for (int64_t r = s.begin + s.lane; s.taken && r < s.last; r += 4 * c.lanes) {
        rows_ahead<N, 4, T> rows;
        rows.fetch(x, c, s, r);
        for (int u = 0; u < 4; u++) {
            const pack<N> p = spread(rows.v[u]);
            for (int k = 0; k < N && r + u * c.lanes < s.last; k++) {
                const float d = p.v[k] - shift.v[k];
                sum.v[k] += d;
                square.v[k] = fmaf(d, d, square.v[k]);
            }
        }
    }
    float *squares = room + COLUMN_THREADS * N;
    join_lanes<adding, N>(c, s, sum, room);
    join_lanes<adding, N>(c, s, square, squares);
    const float n = static_cast<float>(s.last - s.begin);
    for (int64_t e = threadIdx.x; e < c.tile * N; e += COLUMN_THREADS) {
        const int64_t column = s.tile_column + e;
        if (column >= c.columns)
            break;
        const float off = room[e] / n, rest = squares[e] - room[e] * off;
        a.partial[0][s.chunk * c.columns + column] = to_f32(x[s.begin * c.columns + column]) + off;
        a.partial[1][s.chunk * c.columns + column] = rest < 0.0f ? 0.0f : rest;
    }
}

template <class T> WISP_DEVICE void channel_stats(const batch_norm_args &a)
{
    __shared__ float room[2 * COLUMN_THREADS * wide_of<T>::n];
    if (a.cut.wide)
        stats_of_chunk<T, wide_of<T>::n>(a, room);
    else
        stats_of_chunk<T, 1>(a, room);
}

/* Number, mean and sum of squared deviations of some values, and of two such sets together. */
struct moments {
    float n, mean, squares;
};

WISP_DEVICE moments join_moments(const moments &a, const moments &b)
{
    if (b.n == 0.0f)
        return a;
    if (a.n == 0.0f)
        return b;
    const float n = a.n + b.n, away = b.mean - a.mean, part = b.n / n;
    const moments all = {n, a.mean + away * part, a.squares + b.squares + away * away * a.n * part};
    return all;
}

WISP_DEVICE moments moments_of_lane(const batch_norm_args &a, const finish_seat &s)
{
    const column_cut &c = a.cut;
    moments all = {0.0f, 0.0f, 0.0f};
    for (int64_t k = s.lane; s.result < c.columns && k < c.n_chunks; k += FINISH_LANES) {
        const int64_t rows = c.rows - k * c.chunk;
        const moments part = {static_cast<float>(rows < c.chunk ? rows : c.chunk),
                              a.partial[0][k * c.columns + s.result],
                              a.partial[1][k * c.columns + s.result]};
        all = join_moments(all, part);
    }
    return all;
}

WISP_DEVICE void channel_stats_join(const batch_norm_args &a)
{
    __shared__ moments room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    room[s.slot] = moments_of_lane(a, s);
    for (int32_t half = FINISH_LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (s.lane < half)
            room[s.slot] = join_moments(room[s.slot], room[s.slot + half * FINISH_COLUMNS]);
    }
    if (s.lane != 0 || s.result >= a.cut.columns)
        return;
    a.first[s.result] = room[s.slot].mean;
    a.second[s.result] = room[s.slot].squares / static_cast<float>(a.cut.rows);
}

/* --- forward --- */

template <int N> WISP_DEVICE pack<N> rstd_at(const batch_norm_args &a, int64_t column)
{
    pack<N> r = load<N>(a.var + column);
    for (int k = 0; k < N; k++)
        r.v[k] = 1.0f / sqrtf(r.v[k] + a.eps);
    return r;
}

template <class T, int N, bool MORE> WISP_DEVICE void normalise(const batch_norm_args &a)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    if (!s.taken)
        return;
    const T *x = static_cast<const T *>(a.x), *residual = static_cast<const T *>(a.residual);
    T *y = static_cast<T *>(a.y);
    const pack<N> mean = load<N>(a.mean + s.column), beta = load_or<N>(a.beta, s.column, 0.0f);
    const pack<N> gamma = load_or<N>(a.gamma, s.column, 1.0f);
    pack<N> scale = rstd_at<N>(a, s.column);
    for (int k = 0; k < N; k++)
        scale.v[k] *= gamma.v[k];
    for (int64_t r = s.begin + s.lane; r < s.last; r += 2 * c.lanes) {
        rows_ahead<N, 2, T> rows, more = {};
        rows.fetch(x, c, s, r);
        if (MORE)
            more.fetch(residual, c, s, r);
        for (int u = 0; u < 2 && r + u * c.lanes < s.last; u++) {
            pack<N> p = spread(rows.v[u]);
            const pack<N> add = spread(more.v[u]);
            for (int k = 0; k < N; k++) {
                const float v = fmaf(p.v[k] - mean.v[k], scale.v[k], beta.v[k]);
                p.v[k] = activated(a.activation, MORE ? v + add.v[k] : v);
            }
            store(y + (r + u * c.lanes) * c.columns + s.column, p);
        }
    }
}

template <class T> WISP_DEVICE void batch_norm(const batch_norm_args &a)
{
    if (a.cut.wide && a.residual)
        normalise<T, wide_of<T>::n, true>(a);
    else if (a.cut.wide)
        normalise<T, wide_of<T>::n, false>(a);
    else if (a.residual)
        normalise<T, 1, true>(a);
    else
        normalise<T, 1, false>(a);
}

/* --- gradient --- */

template <class T, int N> WISP_DEVICE void grad_sums_of_chunk(const batch_norm_args &a, float *room)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x), *dy = static_cast<const T *>(a.dy);
    const T *y = a.activation != WISP_ACT_NONE ? static_cast<const T *>(a.y_in) : dy;
    pack<N> sum = filled_pack<N>(0.0f), product = sum, mean = sum;
    if (s.taken)
        mean = load<N>(a.mean + s.column);
    for (int64_t r = s.begin + s.lane; s.taken && r < s.last; r += 2 * c.lanes) {
        rows_ahead<N, 2, T> rows, slopes, results;
        rows.fetch(x, c, s, r);
        slopes.fetch(dy, c, s, r);
        results.fetch(y, c, s, r);
        for (int u = 0; u < 2 && r + u * c.lanes < s.last; u++) {
            const pack<N> p = spread(rows.v[u]), d = spread(slopes.v[u]), q = spread(results.v[u]);
            for (int k = 0; k < N; k++) {
                const float g = masked(a.activation, d.v[k], q.v[k]);
                sum.v[k] += g;
                product.v[k] = fmaf(g, p.v[k] - mean.v[k], product.v[k]);
            }
        }
    }
    float *products = room + COLUMN_THREADS * N;
    join_lanes<adding, N>(c, s, sum, room);
    join_lanes<adding, N>(c, s, product, products);
    for (int64_t e = threadIdx.x; e < c.tile * N && s.tile_column + e < c.columns;
         e += COLUMN_THREADS) {
        a.partial[0][s.chunk * c.columns + s.tile_column + e] = room[e];
        a.partial[1][s.chunk * c.columns + s.tile_column + e] = products[e];
    }
}

template <class T> WISP_DEVICE void grad_stats(const batch_norm_args &a)
{
    __shared__ float room[2 * COLUMN_THREADS * wide_of<T>::n];
    if (a.cut.wide)
        grad_sums_of_chunk<T, wide_of<T>::n>(a, room);
    else
        grad_sums_of_chunk<T, 1>(a, room);
}

/* dx = scale (g - a0 - (x - mean) a1): what does not change along a channel. */
template <int N> struct grad_factors {
    pack<N> mean, scale, a0, a1;
};

template <int N>
WISP_DEVICE grad_factors<N> grad_factors_at(const batch_norm_args &a, int64_t column)
{
    grad_factors<N> f;
    const pack<N> rstd = rstd_at<N>(a, column), gamma = load_or<N>(a.gamma, column, 1.0f);
    f.a0 = f.a1 = filled_pack<N>(0.0f);
    f.mean = load<N>(a.mean + column);
    for (int k = 0; k < N; k++)
        f.scale.v[k] = rstd.v[k] * gamma.v[k];
    if (a.per_count == 0.0f)
        return f;
    const pack<N> dbeta = load<N>(a.dbeta + column), dgamma = load<N>(a.dgamma + column);
    for (int k = 0; k < N; k++) {
        f.a0.v[k] = dbeta.v[k] * a.per_count;
        f.a1.v[k] = dgamma.v[k] * a.per_count * rstd.v[k];
    }
    return f;
}

template <class T, int N> WISP_DEVICE void grad_rows(const batch_norm_args &a)
{
    const column_cut &c = a.cut;
    const column_seat s = column_seat_of<N>(c);
    if (!s.taken)
        return;
    const T *dy = static_cast<const T *>(a.dy);
    /* What is not needed is read as dy, which is there anyway. */
    const T *x = a.per_count != 0.0f ? static_cast<const T *>(a.x) : dy;
    const T *y = a.activation != WISP_ACT_NONE ? static_cast<const T *>(a.y_in) : dy;
    T *dx = static_cast<T *>(a.y), *dresidual = static_cast<T *>(a.dresidual);
    const grad_factors<N> f = grad_factors_at<N>(a, s.column);
    for (int64_t r = s.begin + s.lane; r < s.last; r += 2 * c.lanes) {
        rows_ahead<N, 2, T> rows, slopes, results;
        slopes.fetch(dy, c, s, r);
        rows.fetch(x, c, s, r);
        results.fetch(y, c, s, r);
        for (int u = 0; u < 2 && r + u * c.lanes < s.last; u++) {
            const pack<N> p = spread(rows.v[u]), q = spread(results.v[u]);
            pack<N> g = spread(slopes.v[u]), d;
            for (int k = 0; k < N; k++) {
                g.v[k] = masked(a.activation, g.v[k], q.v[k]);
                const float back =
                    a.per_count != 0.0f ? fmaf(p.v[k] - f.mean.v[k], f.a1.v[k], f.a0.v[k]) : 0.0f;
                d.v[k] = f.scale.v[k] * (g.v[k] - back);
            }
            store(dx + (r + u * c.lanes) * c.columns + s.column, d);
            if (dresidual)
                store(dresidual + (r + u * c.lanes) * c.columns + s.column, g);
        }
    }
}

template <class T> WISP_DEVICE void grad_input(const batch_norm_args &a)
{
    if (a.cut.wide)
        grad_rows<T, wide_of<T>::n>(a);
    else
        grad_rows<T, 1>(a);
}

} // namespace

WISP_KERNEL(channel_stats_f32, batch_norm_args)
{
    channel_stats<float>(a);
}
WISP_KERNEL(channel_stats_bf16, batch_norm_args)
{
    channel_stats<bf16>(a);
}
WISP_KERNEL(channel_stats_finish, batch_norm_args)
{
    channel_stats_join(a);
}
WISP_KERNEL(batch_norm_f32, batch_norm_args)
{
    batch_norm<float>(a);
}
WISP_KERNEL(batch_norm_bf16, batch_norm_args)
{
    batch_norm<bf16>(a);
}
WISP_KERNEL(batch_norm_grad_stats_f32, batch_norm_args)
{
    grad_stats<float>(a);
}
WISP_KERNEL(batch_norm_grad_stats_bf16, batch_norm_args)
{
    grad_stats<bf16>(a);
}
WISP_KERNEL(batch_norm_grad_stats_finish, batch_norm_args)
{
    __shared__ float room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    const float dbeta = finish<adding>(s, a.partial[0], a.cut, room);
    const float dgamma = finish<adding>(s, a.partial[1], a.cut, room);
    if (s.lane != 0 || s.result >= a.cut.columns)
        return;
    a.first[s.result] = dbeta;
    a.second[s.result] = dgamma / sqrtf(a.var[s.result] + a.eps);
}
WISP_KERNEL(batch_norm_grad_input_f32, batch_norm_args)
{
    grad_input<float>(a);
}
WISP_KERNEL(batch_norm_grad_input_bf16, batch_norm_args)
{
    grad_input<bf16>(a);
}
