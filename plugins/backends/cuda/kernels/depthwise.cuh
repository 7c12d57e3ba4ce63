// depthwise.cuh - what the passes of depthwise convolutions share: channels side by side, how x and
// dy are read, and sums over the threads of a block that have the same channels.
#ifndef CUDA_DEPTHWISE_CUH
#define CUDA_DEPTHWISE_CUH

#include "depthwise.h"
#include "words.cuh"

namespace
{

/* --- V neighbouring channels --- */

template <int V> struct channels {
    float v[V];
};

WISP_DEVICE channels<4> load_channels(const float *p, channels<4>)
{
    const four x = load4(p);
    return {{x.v[0], x.v[1], x.v[2], x.v[3]}};
}
WISP_DEVICE channels<4> load_channels(const bf16 *p, channels<4>)
{
    const four x = load4(p);
    return {{x.v[0], x.v[1], x.v[2], x.v[3]}};
}
WISP_DEVICE channels<2> load_channels(const float *p, channels<2>)
{
    const float2 x = *reinterpret_cast<const float2 *>(p);
    return {{x.x, x.y}};
}
WISP_DEVICE channels<2> load_channels(const bf16 *p, channels<2>)
{
    const uint32_t x = *reinterpret_cast<const uint32_t *>(p);
    return {{__uint_as_float(x << 16), __uint_as_float(x & 0xffff0000u)}};
}
template <class T> WISP_DEVICE channels<1> load_channels(const T *p, channels<1>)
{
    return {{to_f32(p[0])}};
}

template <class T> WISP_DEVICE void store_channels(T *p, const channels<4> &x)
{
    const four y = {{x.v[0], x.v[1], x.v[2], x.v[3]}};
    store4(p, y);
}
WISP_DEVICE void store_channels(float *p, const channels<2> &x)
{
    *reinterpret_cast<float2 *>(p) = make_float2(x.v[0], x.v[1]);
}
WISP_DEVICE void store_channels(bf16 *p, const channels<2> &x)
{
    *reinterpret_cast<uint32_t *>(p) = bf16_pair(x.v[0], x.v[1]);
}
template <class T> WISP_DEVICE void store_channels(T *p, const channels<1> &x)
{
    p[0] = from_f32<T>(x.v[0]);
}

/* V numbers, one a channel; `otherwise` where there is no vector. */
template <int V> WISP_DEVICE channels<V> parameters(const float *p, int channel, float otherwise)
{
    channels<V> r;
#pragma unroll
    for (int k = 0; k < V; k++)
        r.v[k] = p ? p[channel + k] : otherwise;
    return r;
}

/* --- threads --- */

/* Where a thread stands. Threads without channels take part in barriers alone. */
struct seat {
    int channel; /* the first one */
    bool taken;
    int64_t spot, spots; /* among all that walk over the same channels */
};

template <int V> WISP_DEVICE seat seat_of(const depthwise_args &a)
{
    const int lane = threadIdx.x % a.lanes, own = DEPTHWISE_THREADS / a.lanes;
    seat s;
    s.channel = (static_cast<int>(blockIdx.y) * a.lanes + lane) * V;
    s.taken = s.channel < a.c;
    s.spot = static_cast<int64_t>(blockIdx.x) * own + threadIdx.x / a.lanes;
    s.spots = static_cast<int64_t>(gridDim.x) * own;
    return s;
}

/* A tile: image, first row of its band and rows of it, and which group of columns. */
struct tile {
    int64_t image;
    int row, rows, group;
};

WISP_DEVICE tile tile_of(const depthwise_args &a, int64_t i)
{
    int64_t group, band;
    tile t;
    i = split(a.groups, i, &group);
    t.image = split(a.bands, i, &band);
    t.group = static_cast<int>(group);
    t.row = static_cast<int>(band) * a.band;
    t.rows = min(a.band, a.rows - t.row);
    return t;
}

/* Columns side by side of one image, of a thread's channels; in elements, so that maps of one shape
 * share it. */
struct strip {
    int64_t at;      /* the first column, in the first row of the map */
    int64_t pitch;   /* of a row */
    int step;        /* of a pixel */
    uint32_t inside; /* bit i: column i lies in the map */
};

/* n columns from `first` on of a map of h x w pixels. */
WISP_DEVICE strip strip_of(const depthwise_args &a, int64_t image, int h, int w, int first,
                           int channel, int n)
{
    strip s;
    s.step = a.c;
    s.pitch = static_cast<int64_t>(w) * a.c;
    s.at = image * h * s.pitch + static_cast<int64_t>(first) * a.c + channel;
    s.inside = 0;
#pragma unroll
    for (int i = 0; i < n; i++)
        s.inside |= (first + i >= 0 && first + i < w ? 1u : 0u) << i;
    return s;
}

WISP_DEVICE bool is_inside(const strip &s, int i)
{
    return (s.inside >> i & 1u) != 0;
}

/* --- how x is read --- */

template <int V> struct reading {
    channels<V> scale, shift;
    float low, high;
};

template <int V> WISP_DEVICE reading<V> reading_of(const depthwise_args &a, int channel)
{
    reading<V> r;
    r.scale = parameters<V>(a.scale, channel, 1.0f);
    r.shift = parameters<V>(a.shift, channel, 0.0f);
    r.low = a.low;
    r.high = a.high;
    return r;
}

/* NaN stays NaN, which fminf and fmaxf would hide. */
WISP_DEVICE float between(float v, float low, float high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* Padding is 0 behind the activation. */
template <int V> WISP_DEVICE channels<V> activated(const reading<V> &r, channels<V> x, bool inside)
{
    const float low = inside ? r.low : 0.0f, high = inside ? r.high : 0.0f;
#pragma unroll
    for (int k = 0; k < V; k++)
        x.v[k] = between(x.v[k] * r.scale.v[k] + r.shift.v[k], low, high);
    return x;
}

/* As they are stored at `p`. */
template <int V> WISP_DEVICE void round_channels(const float *, channels<V> &)
{
}
template <int V> WISP_DEVICE void round_channels(const bf16 *, channels<V> &x)
{
#pragma unroll
    for (int k = 0; k < V; k += 2) {
        const uint32_t both = bf16_pair(x.v[k], x.v[k + 1 < V ? k + 1 : k]);
        x.v[k] = __uint_as_float(both << 16);
        if (k + 1 < V)
            x.v[k + 1 < V ? k + 1 : k] = __uint_as_float(both & 0xffff0000u);
    }
}

/* --- sums over a block --- */

/* Adds up x over the threads of a block that have the same channels, in their order, and writes the
 * sum to to[channel]. `room`: DEPTHWISE_THREADS * V. */
template <int V>
WISP_DEVICE void sum_spots(const depthwise_args &a, const seat &s, const channels<V> &x,
                           float *room, float *to)
{
    const int lanes = a.lanes, id = threadIdx.x;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < V; k++)
        room[k * DEPTHWISE_THREADS + id] = x.v[k];
    __syncthreads();
    if (id >= lanes || !s.taken)
        return;
#pragma unroll
    for (int k = 0; k < V; k++) {
        float sum = 0;
        for (int i = id; i < DEPTHWISE_THREADS; i += lanes)
            sum += room[k * DEPTHWISE_THREADS + i];
        to[s.channel + k] = sum;
    }
}

} // namespace

#endif
