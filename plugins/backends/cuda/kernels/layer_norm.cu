/* layer_norm.cu - normalisation by row.
 *
 * A row is read once from memory and again from caches: for its mean, for its variance, to write.
 * Bytes an element of size s: layer_norm 2 s (x, y); layer_norm_grad 3 s (dy, x, dx), its sums by
 * channel, dgamma and dbeta, included where a warp holds a row in registers. Longer rows are read
 * again for them: 2 s more, from caches where the map is not large. */
#include "columns.cuh"
#include "layer_norm.h"
#include "rows.cuh"

namespace
{

template <class T, int N> WISP_DEVICE void norm_rows(const layer_norm_args &a, float *room)
{
    const row_team t = row_team_of(a.rows, room);
    const int64_t length = a.rows.length;
    const float n = static_cast<float>(length);
    for (int64_t row = t.first; row < a.rows.n; row += t.step) {
        const T *x = static_cast<const T *>(a.x) + row * length;
        T *y = static_cast<T *>(a.y) + row * length;
        float sum = 0.0f, square = 0.0f;
        each_pack<N>(t, x, length, [&](int64_t, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                sum += p.v[k];
        });
        const float mean = team_sum(t, sum) / n;
        each_pack<N>(t, x, length, [&](int64_t, const pack<N> &p) {
            for (int k = 0; k < N; k++)
                square = fmaf(p.v[k] - mean, p.v[k] - mean, square);
        });
        const float rstd = 1.0f / sqrtf(team_sum(t, square) / n + a.eps);
        each_pack<N>(t, x, length, [&](int64_t i, pack<N> p) {
            const pack<N> gamma = load_or<N>(a.gamma, i, 1.0f), beta = load_or<N>(a.beta, i, 0.0f);
            for (int k = 0; k < N; k++)
                p.v[k] = fmaf((p.v[k] - mean) * rstd, gamma.v[k], beta.v[k]);
            store(y + i, p);
        });
        if (t.lane == 0) {
            a.mean[row] = mean;
            a.rstd[row] = rstd;
        }
    }
}

template <class T> WISP_DEVICE void layer_norm(const layer_norm_args &a)
{
    __shared__ float room[32];
    if (a.rows.wide)
        norm_rows<T, wide_of<T>::n>(a, room);
    else
        norm_rows<T, 1>(a, room);
}

/* With g = dy gamma: dx = rstd (g - mean of g - xhat mean of g xhat). */
template <class T, int N> WISP_DEVICE void norm_grad_rows(const layer_norm_args &a, float *room)
{
    const row_team t = row_team_of(a.rows, room);
    const int64_t length = a.rows.length;
    const float n = static_cast<float>(length);
    for (int64_t row = t.first; row < a.rows.n; row += t.step) {
        const T *x = static_cast<const T *>(a.x) + row * length;
        const T *dy = static_cast<const T *>(a.dy) + row * length;
        T *dx = static_cast<T *>(a.y) + row * length;
        const float mean = a.mean_in[row], rstd = a.rstd_in[row];
        float sum = 0.0f, product = 0.0f;
        each_two<N>(t, dy, x, length, [&](int64_t i, const pack<N> &d, const pack<N> &p) {
            const pack<N> gamma = load_or<N>(a.gamma, i, 1.0f);
            for (int k = 0; k < N; k++) {
                const float g = d.v[k] * gamma.v[k];
                sum += g;
                product = fmaf(g, (p.v[k] - mean) * rstd, product);
            }
        });
        const float mean_g = team_sum(t, sum) / n, mean_gx = team_sum(t, product) / n;
        each_two<N>(t, dy, x, length, [&](int64_t i, pack<N> d, const pack<N> &p) {
            const pack<N> gamma = load_or<N>(a.gamma, i, 1.0f);
            for (int k = 0; k < N; k++) {
                const float xhat = (p.v[k] - mean) * rstd;
                d.v[k] = rstd * (d.v[k] * gamma.v[k] - mean_g - xhat * mean_gx);
            }
            store(dx + i, d);
        });
    }
}

template <class T> WISP_DEVICE void layer_norm_grad(const layer_norm_args &a)
{
    __shared__ float room[32];
    if (a.rows.wide)
        norm_grad_rows<T, wide_of<T>::n>(a, room);
    else
        norm_grad_rows<T, 1>(a, room);
}

/* --- dx and the sums over the rows at once --- */

/* A warp holds its row, and the sums of its lanes' channels over all of its rows. */
template <class T, int N, int HOLD> struct held_rows {
    pack<N> sum[HOLD], product[HOLD]; /* of dy, of dy xhat */
    raw<T, N> dy[HOLD], x[HOLD];

    WISP_DEVICE void fetch(const T *slopes, const T *row, int64_t length)
    {
        for (int h = 0; h < HOLD; h++) {
            const int64_t i = (h * 32 + threadIdx.x % 32) * N;
            dy[h] = x[h] = raw<T, N>{};
            if (i < length) {
                dy[h] = load_raw<N>(slopes + i);
                x[h] = load_raw<N>(row + i);
            }
        }
    }

    WISP_DEVICE void work(const float *gamma, float mean, float rstd, T *dx, int64_t length)
    {
        float all = 0.0f, along = 0.0f;
        for (int h = 0; h < HOLD; h++) {
            const int64_t i = (h * 32 + threadIdx.x % 32) * N;
            const pack<N> d = spread(dy[h]), p = spread(x[h]);
            const pack<N> by = i < length ? load_or<N>(gamma, i, 1.0f) : filled_pack<N>(0.0f);
            for (int k = 0; k < N; k++) {
                const float xhat = (p.v[k] - mean) * rstd;
                all = fmaf(d.v[k], by.v[k], all);
                along = fmaf(d.v[k] * by.v[k], xhat, along);
                sum[h].v[k] += d.v[k];
                product[h].v[k] = fmaf(d.v[k], xhat, product[h].v[k]);
            }
        }
        const float n = static_cast<float>(length);
        const float mean_g = warp_sum(all) / n, mean_gx = warp_sum(along) / n;
        for (int h = 0; h < HOLD; h++) {
            const int64_t i = (h * 32 + threadIdx.x % 32) * N;
            const pack<N> p = spread(x[h]);
            pack<N> d = spread(dy[h]);
            if (i >= length)
                continue;
            const pack<N> by = load_or<N>(gamma, i, 1.0f);
            for (int k = 0; k < N; k++) {
                const float xhat = (p.v[k] - mean) * rstd;
                d.v[k] = rstd * (d.v[k] * by.v[k] - mean_g - xhat * mean_gx);
            }
            store(dx + i, d);
        }
    }
};

/* Sums over the block's warps, `room` being COLUMN_THREADS packs, to where the block has its own.
 */
template <int N>
WISP_DEVICE void join_warps(const pack<N> &x, int64_t first, int64_t length, float *room, float *to)
{
    const int32_t width = 32 * N, lane = static_cast<int32_t>(threadIdx.x % 32);
    __syncthreads();
    for (int k = 0; k < N; k++)
        room[static_cast<int32_t>(threadIdx.x / 32) * width + lane * N + k] = x.v[k];
    __syncthreads();
    for (int32_t e = static_cast<int32_t>(threadIdx.x); e < width; e += COLUMN_THREADS) {
        float all = 0.0f;
        for (int32_t warp = 0; warp < COLUMN_THREADS / 32; warp++)
            all += room[warp * width + e];
        if (first + e < length)
            to[first + e] = all;
    }
}

template <class T, int HOLD> WISP_DEVICE void grad_and_sums(const layer_norm_args &a)
{
    const int N = wide_of<T>::n;
    __shared__ float room[COLUMN_THREADS * wide_of<T>::n];
    const row_team t = row_team_of(a.rows, nullptr);
    const int64_t length = a.rows.length;
    held_rows<T, N, HOLD> held;
    for (int h = 0; h < HOLD; h++)
        held.sum[h] = held.product[h] = filled_pack<N>(0.0f);
    for (int64_t row = t.first; row < a.rows.n; row += t.step) {
        const int64_t at = row * length;
        held.fetch(static_cast<const T *>(a.dy) + at, static_cast<const T *>(a.x) + at, length);
        held.work(a.gamma, a.mean_in[row], a.rstd_in[row], static_cast<T *>(a.y) + at, length);
    }
#pragma unroll
    for (int h = 0; h < HOLD; h++) {
        join_warps(held.sum[h], h * 32 * N, length, room, a.partial[0] + blockIdx.x * length);
        join_warps(held.product[h], h * 32 * N, length, room, a.partial[1] + blockIdx.x * length);
    }
}

/* --- sums over the rows alone --- */

template <class T, int N>
WISP_DEVICE void affine_sums_of_chunk(const layer_norm_args &a, float *room)
{
    const column_cut &c = a.columns;
    const column_seat s = column_seat_of<N>(c);
    const T *x = static_cast<const T *>(a.x) + s.column, *dy = static_cast<const T *>(a.dy);
    pack<N> sum = filled_pack<N>(0.0f), product = sum;
    for (int64_t r = s.begin + s.lane; s.taken && r < s.last; r += 2 * c.lanes) {
        const int64_t next = r + c.lanes < s.last ? r + c.lanes : r, row[2] = {r, next};
        const raw<T, N> rows[2] = {load_raw<N>(x + r * c.columns),
                                   load_raw<N>(x + next * c.columns)};
        const raw<T, N> slopes[2] = {load_raw<N>(dy + r * c.columns + s.column),
                                     load_raw<N>(dy + next * c.columns + s.column)};
        for (int u = 0; u < 2; u++) {
            if (u == 1 && next == r)
                break;
            const pack<N> p = spread(rows[u]), d = spread(slopes[u]);
            const float mean = a.mean_in[row[u]], rstd = a.rstd_in[row[u]];
            for (int k = 0; k < N; k++) {
                sum.v[k] += d.v[k];
                product.v[k] = fmaf(d.v[k], (p.v[k] - mean) * rstd, product.v[k]);
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

template <class T> WISP_DEVICE void affine_sums(const layer_norm_args &a)
{
    __shared__ float room[2 * COLUMN_THREADS * wide_of<T>::n];
    if (a.columns.wide)
        affine_sums_of_chunk<T, wide_of<T>::n>(a, room);
    else
        affine_sums_of_chunk<T, 1>(a, room);
}

} // namespace

WISP_KERNEL(layer_norm_f32, layer_norm_args)
{
    layer_norm<float>(a);
}
WISP_KERNEL(layer_norm_bf16, layer_norm_args)
{
    layer_norm<bf16>(a);
}
WISP_KERNEL(layer_norm_grad_f32, layer_norm_args)
{
    layer_norm_grad<float>(a);
}
WISP_KERNEL(layer_norm_grad_bf16, layer_norm_args)
{
    layer_norm_grad<bf16>(a);
}
#define HELD_KERNELS(hold)                                                                         \
    WISP_KERNEL(layer_norm_grad_held_##hold##_f32, layer_norm_args)                                \
    {                                                                                              \
        grad_and_sums<float, hold>(a);                                                             \
    }                                                                                              \
    WISP_KERNEL(layer_norm_grad_held_##hold##_bf16, layer_norm_args)                               \
    {                                                                                              \
        grad_and_sums<bf16, hold>(a);                                                              \
    }
HELD_KERNELS(1)
HELD_KERNELS(2)
HELD_KERNELS(3)
WISP_KERNEL(layer_norm_affine_f32, layer_norm_args)
{
    affine_sums<float>(a);
}
WISP_KERNEL(layer_norm_affine_bf16, layer_norm_args)
{
    affine_sums<bf16>(a);
}
WISP_KERNEL(layer_norm_affine_finish, layer_norm_args)
{
    __shared__ float room[FINISH_COLUMNS * FINISH_LANES];
    const finish_seat s = finish_seat_of();
    const float dbeta = finish<adding>(s, a.partial[0], a.columns, room);
    const float dgamma = finish<adding>(s, a.partial[1], a.columns, room);
    if (s.lane != 0 || s.result >= a.columns.columns)
        return;
    a.dbeta[s.result] = dbeta;
    a.dgamma[s.result] = dgamma;
}
