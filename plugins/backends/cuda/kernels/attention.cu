// attention.cu - softmax(scale q k') v for each head, and its gradient, where cuDNN has no engine.
//
// A warp keeps four rows of one side; 32 rows of the other side lie in shared memory, a lane has
// one of them. Scores live in registers, rows of results as well; nothing of size queries x keys is
// ever in memory. Gradients are two kernels, one that owns queries and one that owns keys: no two
// blocks write the same place, and sums have one order.
//
// Shared memory, in floats: own rows (8 warps, width, 4) once or twice, tiles (32, width + 1)
// twice, weights (8 warps, 32, 4) once or twice.
#include "attention.h"
#include "kernel.cuh"

namespace
{

/* One number for each of the four rows of a warp. */
struct alignas(16) by_row {
    float v[4];
};

/* Where a block works: sample and head, and its first own row. */
struct place {
    int64_t head; /* of batch * heads */
    int64_t first;
    int warp, lane;
};

WISP_DEVICE place place_of(int64_t n_own)
{
    const int64_t tiles = (n_own + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
    place p;
    p.head = blockIdx.x / tiles;
    p.first = (blockIdx.x - p.head * tiles) * ATTENTION_ROWS;
    p.warp = static_cast<int>(threadIdx.x) / 32;
    p.lane = static_cast<int>(threadIdx.x) % 32;
    return p;
}

/* Row `row` of this head in a tensor of `n` tokens. */
template <class T>
WISP_DEVICE T *head_row(const attention_args &a, T *x, int64_t n, int64_t stride, int64_t head,
                        int64_t row)
{
    const int64_t sample = head / a.heads, h = head - sample * a.heads;
    return x + (sample * n + row) * stride + h * a.width;
}

/* Four rows of the warp, channel by channel: own[c].v[r]; 0 beyond the last row. */
template <class T>
WISP_DEVICE void fetch_own(const attention_args &a, const place &p, const T *x, int64_t n,
                           int64_t stride, by_row *own)
{
    for (int r = 0; r < 4; r++) {
        const int64_t row = p.first + p.warp * 4 + r;
        const T *from = head_row(a, x, n, stride, p.head, row < n ? row : 0);
        for (int c = p.lane; c < a.width; c += 32)
            own[c].v[r] = row < n ? to_f32(from[c]) : 0.0f;
    }
}

/* 32 rows from `first` on, of all warps together; 0 beyond the last row. */
template <class T>
WISP_DEVICE void fetch_tile(const attention_args &a, const place &p, const T *x, int64_t n,
                            int64_t stride, int64_t first, float *tile)
{
    for (int i = p.warp; i < ATTENTION_ROWS; i += 8) {
        const int64_t row = first + i;
        const T *from = head_row(a, x, n, stride, p.head, row < n ? row : 0);
        for (int c = p.lane; c < a.width; c += 32)
            tile[i * (a.width + 1) + c] = row < n ? to_f32(from[c]) : 0.0f;
    }
}

/* This lane's row of the tile times each of the own four. */
WISP_DEVICE by_row products(const by_row *own, const float *line, int width)
{
    by_row s = {{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int c = 0; c < width; c++) {
        const by_row o = own[c];
        for (int r = 0; r < 4; r++)
            s.v[r] = fmaf(o.v[r], line[c], s.v[r]);
    }
    return s;
}

/* Channels lane, lane + 32, ... of four rows. */
template <int N> struct rows_of_sums {
    float v[4][N];
};

template <int N> WISP_DEVICE rows_of_sums<N> no_sums()
{
    rows_of_sums<N> s;
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < N; i++)
            s.v[r][i] = 0.0f;
    return s;
}

/* sums[r] += weights[j][r] * tile[j], over the 32 rows j of the tile */
template <int N>
WISP_DEVICE void add_rows(rows_of_sums<N> &sums, const by_row *weights, const float *tile,
                          int width, int lane)
{
    for (int j = 0; j < ATTENTION_ROWS; j++) {
        const by_row w = weights[j];
        const float *line = tile + j * (width + 1);
        for (int i = 0; i < N; i++) {
            const int c = lane + i * 32;
            const float x = c < width ? line[c] : 0.0f;
            for (int r = 0; r < 4; r++)
                sums.v[r][i] = fmaf(w.v[r], x, sums.v[r][i]);
        }
    }
}

template <class T, int N>
WISP_DEVICE void write_rows(const attention_args &a, const place &p, const rows_of_sums<N> &sums,
                            const float *factor, T *x, int64_t n, int64_t stride)
{
    for (int r = 0; r < 4; r++) {
        const int64_t row = p.first + p.warp * 4 + r;
        if (row >= n)
            break;
        T *to = head_row(a, x, n, stride, p.head, row);
        for (int i = 0; i < N; i++)
            if (p.lane + i * 32 < a.width)
                to[p.lane + i * 32] = from_f32<T>(sums.v[r][i] * factor[r]);
    }
}

/* --- forward --- */

/* The running softmax of four queries: largest score, sum of weights. */
struct softmax_state {
    float largest[4], sum[4];
};

/* Weights of the lane's key for the four queries, and what earlier sums are to be scaled by. */
WISP_DEVICE by_row next_weights(softmax_state &s, const by_row &score, float *rescale)
{
    by_row w;
    for (int r = 0; r < 4; r++) {
        const float largest = fmaxf(s.largest[r], warp_max(score.v[r]));
        w.v[r] = expf(score.v[r] - largest);
        rescale[r] = expf(s.largest[r] - largest);
        s.sum[r] = s.sum[r] * rescale[r] + warp_sum(w.v[r]);
        s.largest[r] = largest;
    }
    return w;
}

template <class T, int N> WISP_DEVICE void forward(const attention_args &a, by_row *shared)
{
    const place p = place_of(a.n_queries);
    by_row *own = shared + p.warp * a.width, *weights = shared + 8 * a.width + p.warp * 32;
    float *keys = shared[8 * a.width + 8 * 32].v, *values = keys + ATTENTION_ROWS * (a.width + 1);
    rows_of_sums<N> sums = no_sums<N>();
    softmax_state s;
    for (int r = 0; r < 4; r++) {
        s.largest[r] = -INFINITY;
        s.sum[r] = 0.0f;
    }
    fetch_own(a, p, static_cast<const T *>(a.q), a.n_queries, a.stride, own);
    for (int64_t first = 0; first < a.n_keys; first += ATTENTION_ROWS) {
        __syncthreads(); /* the tiles are still being read */
        fetch_tile(a, p, static_cast<const T *>(a.k), a.n_keys, a.stride, first, keys);
        fetch_tile(a, p, static_cast<const T *>(a.v), a.n_keys, a.stride, first, values);
        __syncthreads();
        by_row score = products(own, keys + p.lane * (a.width + 1), a.width);
        float rescale[4];
        for (int r = 0; r < 4; r++)
            score.v[r] = first + p.lane < a.n_keys ? score.v[r] * a.scale : -INFINITY;
        weights[p.lane] = next_weights(s, score, rescale);
        for (int r = 0; r < 4; r++)
            for (int i = 0; i < N; i++)
                sums.v[r][i] *= rescale[r];
        __syncwarp();
        add_rows(sums, weights, values, a.width, p.lane);
    }
    float factor[4];
    for (int r = 0; r < 4; r++)
        factor[r] = 1.0f / s.sum[r];
    write_rows(a, p, sums, factor, static_cast<T *>(a.out), a.n_queries, a.y_stride);
    for (int r = 0; r < 4; r++) {
        const int64_t row = p.first + p.warp * 4 + r;
        if (p.lane == 0 && row < a.n_queries)
            a.lse[p.head * a.n_queries + row] = s.largest[r] + logf(s.sum[r]);
    }
}

/* --- gradients --- */

/* delta = dy . y for each query and head, a warp each */
template <class T> WISP_DEVICE void make_delta(const attention_args &a)
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t n = a.batch * a.heads * a.n_queries;
    for (int64_t i = thread_index() / 32; i < n; i += thread_count() / 32) {
        const int64_t head = i / a.n_queries, row = i - head * a.n_queries;
        const T *y = head_row(a, static_cast<const T *>(a.y), a.n_queries, a.y_stride, head, row);
        const T *dy = head_row(a, static_cast<const T *>(a.dy), a.n_queries, a.y_stride, head, row);
        float sum = 0.0f;
        for (int c = lane; c < a.width; c += 32)
            sum = fmaf(to_f32(y[c]), to_f32(dy[c]), sum);
        sum = warp_sum(sum);
        if (lane == 0)
            a.delta[i] = sum;
    }
}

/* The parts of shared memory of a gradient: two kinds of own rows, of weights and of tiles. */
struct gradient_room {
    by_row *own[2], *weights[2];
    float *tile[2];
};

WISP_DEVICE gradient_room gradient_room_of(const attention_args &a, const place &p, by_row *shared)
{
    gradient_room room;
    by_row *weights = shared + 16 * a.width;
    for (int i = 0; i < 2; i++) {
        room.own[i] = shared + (i * 8 + p.warp) * a.width;
        room.weights[i] = weights + (i * 8 + p.warp) * 32;
        room.tile[i] = weights[16 * 32].v + i * ATTENTION_ROWS * (a.width + 1);
    }
    return room;
}

/* dq[i] = scale * sum over j of ds[i,j] k[j], ds = p (dp - delta) */
template <class T, int N> WISP_DEVICE void grad_queries(const attention_args &a, by_row *shared)
{
    const place p = place_of(a.n_queries);
    const gradient_room room = gradient_room_of(a, p, shared);
    rows_of_sums<N> sums = no_sums<N>();
    float lse[4], delta[4];
    for (int r = 0; r < 4; r++) {
        const int64_t row = p.first + p.warp * 4 + r;
        const int64_t at = p.head * a.n_queries + (row < a.n_queries ? row : 0);
        lse[r] = a.lse[at];
        delta[r] = a.delta[at];
    }
    fetch_own(a, p, static_cast<const T *>(a.q), a.n_queries, a.stride, room.own[0]);
    fetch_own(a, p, static_cast<const T *>(a.dy), a.n_queries, a.y_stride, room.own[1]);
    for (int64_t first = 0; first < a.n_keys; first += ATTENTION_ROWS) {
        const bool there = first + p.lane < a.n_keys;
        __syncthreads();
        fetch_tile(a, p, static_cast<const T *>(a.k), a.n_keys, a.stride, first, room.tile[0]);
        fetch_tile(a, p, static_cast<const T *>(a.v), a.n_keys, a.stride, first, room.tile[1]);
        __syncthreads();
        const by_row score = products(room.own[0], room.tile[0] + p.lane * (a.width + 1), a.width);
        by_row d = products(room.own[1], room.tile[1] + p.lane * (a.width + 1), a.width);
        for (int r = 0; r < 4; r++)
            d.v[r] = there ? expf(score.v[r] * a.scale - lse[r]) * (d.v[r] - delta[r]) : 0.0f;
        room.weights[0][p.lane] = d;
        __syncwarp();
        add_rows(sums, room.weights[0], room.tile[0], a.width, p.lane);
    }
    const float factor[4] = {a.scale, a.scale, a.scale, a.scale};
    write_rows(a, p, sums, factor, static_cast<T *>(a.dq), a.n_queries, a.stride);
}

/* dk[j] = scale * sum over i of ds[i,j] q[i], dv[j] = sum over i of p[i,j] dy[i] */
template <class T, int N> WISP_DEVICE void grad_keys(const attention_args &a, by_row *shared)
{
    const place p = place_of(a.n_keys);
    const gradient_room room = gradient_room_of(a, p, shared);
    rows_of_sums<N> of_k = no_sums<N>(), of_v = no_sums<N>();
    fetch_own(a, p, static_cast<const T *>(a.k), a.n_keys, a.stride, room.own[0]);
    fetch_own(a, p, static_cast<const T *>(a.v), a.n_keys, a.stride, room.own[1]);
    for (int64_t first = 0; first < a.n_queries; first += ATTENTION_ROWS) {
        const bool there = first + p.lane < a.n_queries;
        const int64_t at = p.head * a.n_queries + (there ? first + p.lane : 0);
        const float lse = a.lse[at], delta = a.delta[at];
        __syncthreads();
        fetch_tile(a, p, static_cast<const T *>(a.q), a.n_queries, a.stride, first, room.tile[0]);
        fetch_tile(a, p, static_cast<const T *>(a.dy), a.n_queries, a.y_stride, first,
                   room.tile[1]);
        __syncthreads();
        by_row w = products(room.own[0], room.tile[0] + p.lane * (a.width + 1), a.width);
        by_row d = products(room.own[1], room.tile[1] + p.lane * (a.width + 1), a.width);
        for (int r = 0; r < 4; r++) {
            w.v[r] = there ? expf(w.v[r] * a.scale - lse) : 0.0f;
            d.v[r] = w.v[r] * (d.v[r] - delta);
        }
        room.weights[0][p.lane] = d;
        room.weights[1][p.lane] = w;
        __syncwarp();
        add_rows(of_k, room.weights[0], room.tile[0], a.width, p.lane);
        add_rows(of_v, room.weights[1], room.tile[1], a.width, p.lane);
    }
    const float factor[4] = {a.scale, a.scale, a.scale, a.scale};
    const float one[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    write_rows(a, p, of_k, factor, static_cast<T *>(a.dk), a.n_keys, a.stride);
    write_rows(a, p, of_v, one, static_cast<T *>(a.dv), a.n_keys, a.stride);
}

} // namespace

#define ATTENTION_BY_WIDTH(function, type)                                                         \
    WISP_DYNAMIC_SHARED(by_row, shared);                                                           \
    if (a.width <= 32)                                                                             \
        function<type, 1>(a, shared);                                                              \
    else if (a.width <= 64)                                                                        \
        function<type, 2>(a, shared);                                                              \
    else                                                                                           \
        function<type, 4>(a, shared)

WISP_KERNEL(attention_forward_f32, attention_args)
{
    ATTENTION_BY_WIDTH(forward, float);
}
WISP_KERNEL(attention_forward_bf16, attention_args)
{
    ATTENTION_BY_WIDTH(forward, bf16);
}

WISP_KERNEL(attention_delta_f32, attention_args)
{
    make_delta<float>(a);
}
WISP_KERNEL(attention_delta_bf16, attention_args)
{
    make_delta<bf16>(a);
}

WISP_KERNEL(attention_grad_queries_f32, attention_args)
{
    ATTENTION_BY_WIDTH(grad_queries, float);
}
WISP_KERNEL(attention_grad_queries_bf16, attention_args)
{
    ATTENTION_BY_WIDTH(grad_queries, bf16);
}

WISP_KERNEL(attention_grad_keys_f32, attention_args)
{
    ATTENTION_BY_WIDTH(grad_keys, float);
}
WISP_KERNEL(attention_grad_keys_bf16, attention_args)
{
    ATTENTION_BY_WIDTH(grad_keys, bf16);
}
