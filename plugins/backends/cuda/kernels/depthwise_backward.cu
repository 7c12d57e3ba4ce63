// depthwise_backward.cu - the gradients of depthwise convolutions.
//
// With t what arrives at y (dy, and its share through the mean and variance of y), pixel i of x
// meets row (i + pad - ky) / S of t in tap ky, where that is whole: dx sums t w over the taps, dw
// sums t a over the pixels, a what the convolution reads of x. A thread walks down a band of x with
// the rows of t that its taps reach in registers, so that one reading of t and x serves both. From
// memory t, x and dx are moved once: e (2 + 2 / S^2) bytes for an element of x of e bytes, and e /
// S^2 more where y is read. Sums over pixels are of a thread first, then of a block, then of a
// second launch, in one order.
#include "depthwise.cuh"

namespace
{

/* What a kernel is for. */
enum { FOR_INPUT = 1, FOR_WEIGHT = 2, FOR_NORM = 4, FOR_ALL = 7 };

/* S = 1: a thread has 4 columns of x; S = 2: two times two. ROWS, COLUMNS: of t, in registers. */
template <int K, int S> struct shape {
    enum {
        STEPS = DEPTHWISE_TILE / S,
        REACH = (K + S - 1) / S, /* taps along an axis that meet one pixel, at most */
        COLUMNS = STEPS + REACH - 1
    };
};

/* What of a thread does not change from tile to tile. */
template <int V, int K> struct fixed {
    seat s;
    channels<V> weight[K * K];
    channels<V> flat, slope; /* t = dy + flat + slope y */
    reading<V> read;
};

/* What it sums up. */
template <int V, int K> struct gathered {
    channels<V> dw[K * K], dscale, dshift;
};

template <int V, int K, int FOR> WISP_DEVICE fixed<V, K> fixed_of(const depthwise_args &a)
{
    fixed<V, K> f;
    f.s = seat_of<V>(a);
    const int channel = f.s.taken ? f.s.channel : 0;
    if (FOR & FOR_INPUT)
#pragma unroll
        for (int t = 0; t < K * K; t++)
#pragma unroll
            for (int k = 0; k < V; k++)
                f.weight[t].v[k] = a.weights[(channel + k) * K * K + t];
    f.flat = f.slope = {};
    if ((FOR & FOR_NORM) && a.y) {
        const double n = static_cast<double>(a.pixels);
#pragma unroll
        for (int k = 0; k < V; k++) {
            const double slope = 2.0 * static_cast<double>(a.dvar[channel + k]) / n;
            const double mean = a.mean[channel + k], dmean = a.dmean[channel + k];
            f.slope.v[k] = static_cast<float>(slope);
            f.flat.v[k] = static_cast<float>(dmean / n - slope * mean);
        }
    }
    f.read = reading_of<V>(a, channel);
    return f;
}

/* Row `row` of t; outside of the map 0. */
template <class T, int V, int K, int FOR, int N>
WISP_DEVICE void read_t(const depthwise_args &a, const fixed<V, K> &f, const strip &s, int row,
                        channels<V> (&to)[N])
{
    const T *dy = static_cast<const T *>(a.dy), *y = static_cast<const T *>(a.y);
    const bool whole = row >= 0 && row < a.ho, has_y = (FOR & FOR_NORM) && a.y;
    int64_t at = s.at + row * s.pitch;
    channels<V> result[N];
#pragma unroll
    for (int i = 0; i < N; i++, at += s.step) {
        to[i] = result[i] = {};
        if (whole && is_inside(s, i))
            to[i] = load_channels(dy + at, channels<V>());
        if (whole && is_inside(s, i) && has_y)
            result[i] = load_channels(y + at, channels<V>());
    }
#pragma unroll
    for (int i = 0; i < N && (FOR & FOR_NORM); i++) {
        const bool inside = whole && is_inside(s, i);
#pragma unroll
        for (int k = 0; k < V; k++)
            to[i].v[k] += inside ? f.flat.v[k] + f.slope.v[k] * result[i].v[k] : 0.0f;
    }
}

/* Takes what arrives behind the activation back to x, and sums up for scale and shift. */
template <int V, int K>
WISP_DEVICE void pass_activation(const fixed<V, K> &f, const channels<V> &x, channels<V> &d,
                                 gathered<V, K> &sum)
{
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float v = x.v[k] * f.read.scale.v[k] + f.read.shift.v[k];
        const float g = v > f.read.low && v < f.read.high ? d.v[k] : 0.0f;
        sum.dscale.v[k] += g * x.v[k];
        sum.dshift.v[k] += g;
        d.v[k] = g * f.read.scale.v[k];
    }
}

/* Everything that the pixels of row `row` of x exchange with t. The row is `phase` rows behind the
 * one that meets the newest row of t in its first tap. rows[j]: the j-th newest row of t. */
template <class T, int V, int K, int S, int FOR>
WISP_DEVICE void exchange_row(const depthwise_args &a, const fixed<V, K> &f, const strip &s,
                              int row, int phase,
                              const channels<V> (&rows)[shape<K, S>::REACH][shape<K, S>::COLUMNS],
                              gathered<V, K> &sum)
{
    enum { REACH = shape<K, S>::REACH };
    const int64_t at = s.at + row * s.pitch;
    channels<V> value[DEPTHWISE_TILE];
#pragma unroll
    for (int i = 0; i < DEPTHWISE_TILE; i++) {
        value[i] = {};
        if ((FOR & FOR_WEIGHT) && is_inside(s, i))
            value[i] = load_channels(static_cast<const T *>(a.x) + at + i * s.step, channels<V>());
    }
#pragma unroll
    for (int i = 0; i < DEPTHWISE_TILE; i++) {
        if (!is_inside(s, i))
            continue;
        const channels<V> read = FOR & FOR_NORM ? activated(f.read, value[i], true) : value[i];
        channels<V> d = {};
#pragma unroll
        for (int ky = 0; ky < K; ky++)
#pragma unroll
            for (int kx = 0; kx < K; kx++) {
                /* i = S * step + phase; step - kx / S is where it meets t */
                const bool meets = ky % S == phase && kx % S == i % S;
                if (!meets)
                    continue;
                const channels<V> &g = rows[ky / S][i / S - kx / S + REACH - 1];
#pragma unroll
                for (int k = 0; k < V; k++) {
                    if (FOR & FOR_INPUT)
                        d.v[k] += g.v[k] * f.weight[ky * K + kx].v[k];
                    if (FOR & FOR_WEIGHT)
                        sum.dw[ky * K + kx].v[k] += g.v[k] * read.v[k];
                }
            }
        if (!(FOR & FOR_INPUT) || !a.dx)
            continue;
        if ((FOR & FOR_NORM) && a.scale)
            pass_activation(f, value[i], d, sum);
        store_channels(static_cast<T *>(a.dx) + at + i * s.step, d);
    }
}

/* Step p stands for the rows S p - pad .. S p - pad + S - 1 of x, whose newest row of t is p. The
 * same goes for columns. */
template <class T, int V, int K, int S, int FOR>
WISP_DEVICE void walk_tile(const depthwise_args &a, const fixed<V, K> &f, const tile &t,
                           gathered<V, K> &sum)
{
    enum { REACH = shape<K, S>::REACH, COLUMNS = shape<K, S>::COLUMNS };
    const int column = a.pad_w / S + t.group * shape<K, S>::STEPS; /* of t, for the first step */
    const int top = a.pad_h / S + t.row;
    const strip of_t = strip_of(a, t.image, a.ho, a.wo, column - (REACH - 1), f.s.channel, COLUMNS);
    const strip of_x =
        strip_of(a, t.image, a.h, a.w, S * column - a.pad_w, f.s.channel, DEPTHWISE_TILE);
    channels<V> rows[REACH][COLUMNS] = {};
    for (int p = top - (REACH - 1); p < top + t.rows; p++) {
#pragma unroll
        for (int j = REACH - 1; j > 0; j--)
#pragma unroll
            for (int i = 0; i < COLUMNS; i++)
                rows[j][i] = rows[j - 1][i];
        read_t<T, V, K, FOR>(a, f, of_t, p, rows[0]);
        if (p < top)
            continue;
#pragma unroll
        for (int phase = 0; phase < S; phase++) {
            const int row = S * p + phase - a.pad_h;
            if (row >= 0 && row < a.h)
                exchange_row<T, V, K, S, FOR>(a, f, of_x, row, phase, rows, sum);
        }
    }
}

/* parts[block][tap, then scale and shift][channel] */
template <int V, int K, int FOR>
WISP_DEVICE void write_sums(const depthwise_args &a, const seat &s, const gathered<V, K> &sum)
{
    __shared__ float room[V * DEPTHWISE_THREADS];
    float *to = a.parts + static_cast<int64_t>(blockIdx.x) * (K * K + 2) * a.c;
#pragma unroll
    for (int i = 0; i < K * K; i++)
        sum_spots<V>(a, s, sum.dw[i], room, to + i * a.c);
    if (FOR & FOR_NORM) {
        sum_spots<V>(a, s, sum.dscale, room, to + K * K * a.c);
        sum_spots<V>(a, s, sum.dshift, room, to + (K * K + 1) * a.c);
    }
}

template <class T, int V, int K, int S, int FOR> WISP_DEVICE void backward(const depthwise_args &a)
{
    const fixed<V, K> f = fixed_of<V, K, FOR>(a);
    gathered<V, K> sum = {};
    for (int64_t i = f.s.spot; i < a.tiles && f.s.taken; i += f.s.spots)
        walk_tile<T, V, K, S, FOR>(a, f, tile_of(a, i), sum);
    if (FOR & FOR_WEIGHT)
        write_sums<V, K, FOR>(a, f.s, sum);
}

/* --- the second launch: 32 channels and 4 parts at a time, a value in blockIdx.y --- */

WISP_DEVICE float *sum_place(const depthwise_finish_args &a, int value, int channel)
{
    if (value < a.taps)
        return a.dw ? a.dw + static_cast<int64_t>(channel) * a.taps + value : nullptr;
    float *vector = value == a.taps ? a.dscale : a.dshift;
    return vector ? vector + channel : nullptr;
}

WISP_DEVICE void finish_sums(const depthwise_finish_args &a)
{
    __shared__ float room[4][32];
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32, value = blockIdx.y;
    const int channel = blockIdx.x * 32 + lane;
    float *to = channel < a.c ? sum_place(a, value, channel) : nullptr;
    float sum = 0;
    for (int64_t i = row; i < a.n_parts && to; i += 4)
        sum += a.parts[(i * (a.taps + 2) + value) * a.c + channel];
    room[row][lane] = sum;
    __syncthreads();
    if (row > 0 || !to)
        return;
    sum = room[0][lane] + room[1][lane] + (room[2][lane] + room[3][lane]);
    *to = a.add ? *to + sum : sum;
}

} // namespace

WISP_KERNEL(depthwise_sums, depthwise_finish_args)
{
    finish_sums(a);
}

#define DEPTHWISE_BACKWARD(entry, type, v, k, s, purpose, blocks)                                  \
    WISP_KERNEL_WITHIN(entry, depthwise_args, DEPTHWISE_THREADS, blocks)                           \
    {                                                                                              \
        backward<type, v, k, s, purpose>(a);                                                       \
    }
#define DEPTHWISE_OF_TYPE(k, s, v, type, name)                                                     \
    DEPTHWISE_BACKWARD(depthwise_input_##k##_##s##_##v##_##name, type, v, k, s, FOR_INPUT,         \
                       DEPTHWISE_GRAD_BLOCKS)                                                      \
    DEPTHWISE_BACKWARD(depthwise_weight_##k##_##s##_##v##_##name, type, v, k, s, FOR_WEIGHT,       \
                       DEPTHWISE_GRAD_BLOCKS)
#define DEPTHWISE_TYPES(k, s, v)                                                                   \
    DEPTHWISE_OF_TYPE(k, s, v, float, f32)                                                         \
    DEPTHWISE_OF_TYPE(k, s, v, bf16, bf16)
#define DEPTHWISE_NORM_TYPES(k, s, v)                                                              \
    DEPTHWISE_BACKWARD(depthwise_norm_grad_##k##_##s##_##v##_f32, float, v, k, s, FOR_ALL,         \
                       DEPTHWISE_BLOCKS)                                                           \
    DEPTHWISE_BACKWARD(depthwise_norm_grad_##k##_##s##_##v##_bf16, bf16, v, k, s, FOR_ALL,         \
                       DEPTHWISE_BLOCKS)

DEPTHWISE_TYPES(3, 1, 2)
DEPTHWISE_TYPES(3, 1, 1)
DEPTHWISE_TYPES(3, 2, 2)
DEPTHWISE_TYPES(3, 2, 1)
DEPTHWISE_TYPES(5, 1, 1)
DEPTHWISE_TYPES(5, 2, 1)
DEPTHWISE_NORM_TYPES(3, 1, 2)
DEPTHWISE_NORM_TYPES(3, 1, 1)
DEPTHWISE_NORM_TYPES(3, 2, 2)
DEPTHWISE_NORM_TYPES(3, 2, 1)
