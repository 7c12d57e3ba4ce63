// depthwise_forward.cu - depthwise convolution, y = conv(act(x * scale + shift)), and the
// statistics of y.
//
// A thread makes DEPTHWISE_TILE columns of a band of rows, V channels of each. It walks down the
// rows of x; every element that it reads goes into all the sums of y that it belongs to, and those
// stay in registers: rows of x overlap between bands alone, columns between neighbours in the
// cache. From memory x is read once and y written once: e (1 + 1 / S^2) bytes for an element of x
// of e bytes. Statistics are sums around the first value that a thread sees, taken together by the
// block and then by a second launch (Chan, Golub and LeVeque, 1983).
#include "depthwise.cuh"

namespace
{

enum { TILE = DEPTHWISE_TILE };

/* --- statistics --- */

template <int V> struct running {
    channels<V> at, sum, squares; /* of y - at */
    int n;
};

struct moments {
    float n, mean, squares; /* squares: sum of (y - mean)^2 */
};

/* Both parts together. */
WISP_DEVICE moments joined(const moments &a, const moments &b)
{
    if (b.n == 0.0f)
        return a;
    const float n = a.n + b.n, share = b.n / n, gap = b.mean - a.mean;
    const moments r = {n, a.mean + gap * share, a.squares + b.squares + gap * gap * a.n * share};
    return r;
}

template <int V> WISP_DEVICE void measure(running<V> &r, const channels<V> &y)
{
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float d = y.v[k] - r.at.v[k];
        r.sum.v[k] += d;
        r.squares.v[k] += d * d;
    }
    r.n++;
}

/* parts[block][n, mean, squares][channel] */
template <int V>
WISP_DEVICE void write_moments(const depthwise_args &a, const seat &s, const running<V> &r)
{
    __shared__ float room[3][DEPTHWISE_THREADS];
    const int id = threadIdx.x;
    float *to = a.parts + static_cast<int64_t>(blockIdx.x) * 3 * a.c + s.channel;
    const float n = static_cast<float>(r.n);
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float mean = r.n ? r.sum.v[k] / n : 0.0f;
        __syncthreads();
        room[0][id] = n;
        room[1][id] = r.at.v[k] + mean;
        room[2][id] = r.squares.v[k] - r.sum.v[k] * mean;
        __syncthreads();
        if (id >= a.lanes || !s.taken)
            continue;
        moments all = {room[0][id], room[1][id], room[2][id]};
        for (int i = id + a.lanes; i < DEPTHWISE_THREADS; i += a.lanes)
            all = joined(all, {room[0][i], room[1][i], room[2][i]});
        to[k] = all.n;
        to[a.c + k] = all.mean;
        to[2 * a.c + k] = all.squares;
    }
}

/* --- the pass --- */

/* What of a thread does not change from tile to tile. */
template <int V, int K> struct fixed {
    seat s;
    channels<V> weight[K * K], bias;
    reading<V> read;
};

template <int V, int K> WISP_DEVICE fixed<V, K> fixed_of(const depthwise_args &a)
{
    fixed<V, K> f;
    f.s = seat_of<V>(a);
    const int channel = f.s.taken ? f.s.channel : 0;
#pragma unroll
    for (int t = 0; t < K * K; t++)
#pragma unroll
        for (int k = 0; k < V; k++)
            f.weight[t].v[k] = a.weights[(channel + k) * K * K + t];
    f.bias = parameters<V>(a.bias, channel, 0.0f);
    f.read = reading_of<V>(a, channel);
    return f;
}

/* Sums of the rows of y that a row of x may still reach; sum[j] belongs to the j-th last begun. */
template <int V, int K, int S> struct sums {
    enum { ROWS = (K + S - 1) / S, COLUMNS = (TILE - 1) * S + K };
    channels<V> of[ROWS][TILE];
};

/* Adds row `row` of x, which is row `phase` of the S that began the newest row of y. */
template <class T, int V, int K, int S, bool NORM>
WISP_DEVICE void add_row(const fixed<V, K> &f, const depthwise_args &a, const strip &x, int row,
                         int phase, sums<V, K, S> &sum)
{
    enum { COLUMNS = sums<V, K, S>::COLUMNS };
    const T *from = static_cast<const T *>(a.x) + x.at + row * x.pitch;
    channels<V> value[COLUMNS];
#pragma unroll
    for (int i = 0; i < COLUMNS; i++, from += x.step) {
        value[i] = {};
        if (is_inside(x, i))
            value[i] = load_channels(from, channels<V>());
    }
#pragma unroll
    for (int i = 0; i < COLUMNS && NORM; i++)
        value[i] = activated(f.read, value[i], is_inside(x, i));
#pragma unroll
    for (int j = 0; j < sums<V, K, S>::ROWS; j++)
#pragma unroll
        for (int kx = 0; kx < K; kx++)
#pragma unroll
            for (int c = 0; c < TILE; c++)
#pragma unroll
                for (int k = 0; k < V; k++)
                    if (phase + S * j < K)
                        sum.of[j][c].v[k] +=
                            value[c * S + kx].v[k] * f.weight[(phase + S * j) * K + kx].v[k];
}

/* The oldest row of y is complete. What is measured is y as it is stored. */
template <class T, int V, int K, int S, bool NORM>
WISP_DEVICE void write_row(const fixed<V, K> &f, const depthwise_args &a, const strip &y, int row,
                           const sums<V, K, S> &sum, running<V> &stats)
{
    T *to = static_cast<T *>(a.y) + y.at + row * y.pitch;
#pragma unroll
    for (int c = 0; c < TILE; c++, to += y.step) {
        channels<V> r = sum.of[sums<V, K, S>::ROWS - 1][c];
#pragma unroll
        for (int k = 0; k < V && !NORM; k++)
            r.v[k] += f.bias.v[k];
        if (!is_inside(y, c))
            continue;
        store_channels(to, r);
        if (!NORM || !a.parts)
            continue;
        round_channels(to, r);
        if (c == 0 && stats.n == 0)
            stats.at = r;
        measure(stats, r);
    }
}

template <class T, int V, int K, int S, bool NORM>
WISP_DEVICE void walk_tile(const depthwise_args &a, const fixed<V, K> &f, const tile &t,
                           running<V> &stats)
{
    enum { ROWS = sums<V, K, S>::ROWS };
    const int first = t.group * TILE, channel = f.s.channel;
    const strip x =
        strip_of(a, t.image, a.h, a.w, first * S - a.pad_w, channel, sums<V, K, S>::COLUMNS);
    const strip y = strip_of(a, t.image, a.ho, a.wo, first, channel, TILE);
    sums<V, K, S> sum = {};
    for (int r = 0; r < t.rows + ROWS - 1; r++) {
#pragma unroll
        for (int phase = 0; phase < S; phase++) {
            const int row = (t.row + r) * S + phase - a.pad_h;
            if (row >= 0 && row < a.h && (r < t.rows || phase + S * (r - t.rows + 1) < K))
                add_row<T, V, K, S, NORM>(f, a, x, row, phase, sum);
        }
        if (r >= ROWS - 1)
            write_row<T, V, K, S, NORM>(f, a, y, t.row + r - (ROWS - 1), sum, stats);
#pragma unroll
        for (int j = ROWS - 1; j >= 0; j--)
#pragma unroll
            for (int c = 0; c < TILE; c++)
                sum.of[j][c] = j > 0 ? sum.of[j > 0 ? j - 1 : 0][c] : channels<V>();
    }
}

template <class T, int V, int K, int S, bool NORM> WISP_DEVICE void forward(const depthwise_args &a)
{
    const fixed<V, K> f = fixed_of<V, K>(a);
    running<V> stats = {};
    for (int64_t i = f.s.spot; i < a.tiles && f.s.taken; i += f.s.spots)
        walk_tile<T, V, K, S, NORM>(a, f, tile_of(a, i), stats);
    if (NORM && a.parts)
        write_moments(a, f.s, stats);
}

/* --- the second launch: 32 channels and 8 parts at a time --- */

WISP_DEVICE void finish_moments(const depthwise_finish_args &a)
{
    __shared__ float room[3][8][32];
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32;
    const int channel = blockIdx.x * 32 + lane;
    moments all = {0, 0, 0};
    for (int64_t i = row; i < a.n_parts && channel < a.c; i += 8) {
        const float *part = a.parts + i * 3 * a.c + channel;
        const moments one = {part[0], part[a.c], part[2 * a.c]};
        all = joined(all, one);
    }
    room[0][row][lane] = all.n;
    room[1][row][lane] = all.mean;
    room[2][row][lane] = all.squares;
    __syncthreads();
    if (row > 0 || channel >= a.c)
        return;
    for (int i = 1; i < 8; i++)
        all = joined(all, {room[0][i][lane], room[1][i][lane], room[2][i][lane]});
    a.mean[channel] = all.mean;
    a.var[channel] = all.squares / static_cast<float>(a.pixels);
}

} // namespace

WISP_KERNEL(depthwise_moments, depthwise_finish_args)
{
    finish_moments(a);
}

#define DEPTHWISE_FORWARD(entry, type, v, k, s, norm)                                              \
    WISP_KERNEL_WITHIN(entry, depthwise_args, DEPTHWISE_THREADS, DEPTHWISE_BLOCKS)                 \
    {                                                                                              \
        forward<type, v, k, s, norm>(a);                                                           \
    }
#define DEPTHWISE_TYPES(k, s, v)                                                                   \
    DEPTHWISE_FORWARD(depthwise_##k##_##s##_##v##_f32, float, v, k, s, false)                      \
    DEPTHWISE_FORWARD(depthwise_##k##_##s##_##v##_bf16, bf16, v, k, s, false)
#define DEPTHWISE_NORM_TYPES(k, s, v)                                                              \
    DEPTHWISE_FORWARD(depthwise_norm_##k##_##s##_##v##_f32, float, v, k, s, true)                  \
    DEPTHWISE_FORWARD(depthwise_norm_##k##_##s##_##v##_bf16, bf16, v, k, s, true)

DEPTHWISE_TYPES(3, 1, 4)
DEPTHWISE_TYPES(3, 1, 1)
DEPTHWISE_TYPES(3, 2, 4)
DEPTHWISE_TYPES(3, 2, 1)
DEPTHWISE_TYPES(5, 1, 2)
DEPTHWISE_TYPES(5, 1, 1)
DEPTHWISE_TYPES(5, 2, 2)
DEPTHWISE_TYPES(5, 2, 1)
DEPTHWISE_NORM_TYPES(3, 1, 4)
DEPTHWISE_NORM_TYPES(3, 1, 1)
DEPTHWISE_NORM_TYPES(3, 2, 4)
DEPTHWISE_NORM_TYPES(3, 2, 1)
