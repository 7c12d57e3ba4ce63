// pooling.cu - max and average pooling. A thread makes one vector of channels of the result.
//
// x is read from memory once: windows overlap in the caches. Bytes for an element of y of size e,
// where the map of x has r times the elements: max_pool (r + 1) e + 1, its gradient (r + 1) e + 1,
// avg_pool and its gradient (r + 1) e.
#include "pooling.h"
#include "words.cuh"

namespace
{

/* V neighbours: four, or one where the number of channels or an address is odd. */
template <int V> struct channels_of {
    float v[V];
};

template <int V, class T> WISP_DEVICE channels_of<V> load(const T *p)
{
    channels_of<V> r;
    if (V == 4) {
        const four x = load4(p);
        for (int k = 0; k < V; k++)
            r.v[k] = x.v[k];
    } else {
        r.v[0] = to_f32(p[0]);
    }
    return r;
}

template <int V, class T> WISP_DEVICE void store(T *p, const channels_of<V> &x)
{
    if (V == 4) {
        four r;
        for (int k = 0; k < V; k++)
            r.v[k] = x.v[k];
        store4(p, r);
    } else {
        p[0] = from_f32<T>(x.v[0]);
    }
}

/* The bytes of V positions in one word. */
template <int V> WISP_DEVICE uint32_t load_index(const uint8_t *p)
{
    return V == 4 ? *reinterpret_cast<const uint32_t *>(p) : *p;
}

template <int V> WISP_DEVICE void store_index(uint8_t *p, const int *index)
{
    if (V == 4) {
        uint32_t word = 0;
        for (int k = 0; k < V; k++)
            word |= static_cast<uint32_t>(index[k]) << 8 * k;
        *reinterpret_cast<uint32_t *>(p) = word;
    } else {
        p[0] = static_cast<uint8_t>(index[0]);
    }
}

/* Where a vector of the result lies. */
struct place {
    int64_t image, channel; /* channel: in vectors */
    int row, column;
};

WISP_DEVICE place place_of(const pool_args &a, int64_t i)
{
    place p;
    int64_t row, column;
    i = split(a.channels, i, &p.channel);
    i = split(a.width, i, &column);
    p.image = split(a.height, i, &row);
    p.row = static_cast<int>(row);
    p.column = static_cast<int>(column);
    return p;
}

/* First element of the vector at (row, column) of a map of the same image and channels. */
template <int V>
WISP_DEVICE int64_t at(const pool_args &a, const place &p, int h, int w, int row, int column)
{
    return (((p.image * h + row) * w + column) * a.channels.by + p.channel) * V;
}

/* The part of a window that lies in the map: rows [top, bottom), columns [left, right). */
struct window {
    int top, bottom, left, right;
};

WISP_DEVICE window window_of(const pool_args &a, int i, int j)
{
    const int row = i * a.stride_h - a.pad_h, column = j * a.stride_w - a.pad_w;
    const window r = {max(row, 0), min(row + a.kernel_h, a.h), max(column, 0),
                      min(column + a.kernel_w, a.w)};
    return r;
}

/* The windows that a pixel lies in, as rows and columns of y. */
WISP_DEVICE window windows_over(const pool_args &a, int i, int j)
{
    const int row = i + a.pad_h, column = j + a.pad_w;
    const int top = row - a.kernel_h + 1, left = column - a.kernel_w + 1;
    const window r = {
        top > 0 ? (top + a.stride_h - 1) / a.stride_h : 0, min(row / a.stride_h + 1, a.ho),
        left > 0 ? (left + a.stride_w - 1) / a.stride_w : 0, min(column / a.stride_w + 1, a.wo)};
    return r;
}

template <class T, int V> WISP_DEVICE void max_pool_at(const pool_args &a, int64_t i)
{
    const place p = place_of(a, i);
    const window w = window_of(a, p.row, p.column);
    const int first = (p.row * a.stride_h - a.pad_h) * a.kernel_w + p.column * a.stride_w - a.pad_w;
    channels_of<V> best = {};
    int index[V];
    for (int k = 0; k < V; k++)
        index[k] = -1;
    for (int row = w.top; row < w.bottom; row++)
        for (int column = w.left; column < w.right; column++) {
            const channels_of<V> x =
                load<V>(static_cast<const T *>(a.from) + at<V>(a, p, a.h, a.w, row, column));
            for (int k = 0; k < V; k++)
                if (index[k] < 0 || x.v[k] > best.v[k] ||
                    (x.v[k] != x.v[k] && best.v[k] == best.v[k])) {
                    best.v[k] = x.v[k];
                    index[k] = row * a.kernel_w + column - first;
                }
        }
    store<V>(static_cast<T *>(a.to) + V * i, best);
    if (a.index)
        store_index<V>(a.index + V * i, index);
}

/* A pixel collects from the windows that chose it. */
template <class T, int V> WISP_DEVICE void max_pool_grad_at(const pool_args &a, int64_t i)
{
    const place p = place_of(a, i);
    const window w = windows_over(a, p.row, p.column);
    channels_of<V> sum = {};
    for (int row = w.top; row < w.bottom; row++)
        for (int column = w.left; column < w.right; column++) {
            const int64_t from = at<V>(a, p, a.ho, a.wo, row, column);
            const uint32_t chosen = load_index<V>(a.index + from);
            const channels_of<V> dy = load<V>(static_cast<const T *>(a.from) + from);
            const uint32_t here = (p.row + a.pad_h - row * a.stride_h) * a.kernel_w + p.column +
                                  a.pad_w - column * a.stride_w;
            for (int k = 0; k < V; k++)
                sum.v[k] += (chosen >> 8 * k & 255u) == here ? dy.v[k] : 0.0f;
        }
    store<V>(static_cast<T *>(a.to) + V * i, sum);
}

WISP_DEVICE float share_of(const pool_args &a, const window &w)
{
    const int positions =
        a.include_padding ? a.kernel_h * a.kernel_w : (w.bottom - w.top) * (w.right - w.left);
    return 1.0f / static_cast<float>(positions);
}

template <class T, int V> WISP_DEVICE void avg_pool_at(const pool_args &a, int64_t i)
{
    const place p = place_of(a, i);
    const window w = window_of(a, p.row, p.column);
    const float share = share_of(a, w);
    channels_of<V> sum = {};
    for (int row = w.top; row < w.bottom; row++)
        for (int column = w.left; column < w.right; column++) {
            const channels_of<V> x =
                load<V>(static_cast<const T *>(a.from) + at<V>(a, p, a.h, a.w, row, column));
            for (int k = 0; k < V; k++)
                sum.v[k] += x.v[k];
        }
    for (int k = 0; k < V; k++)
        sum.v[k] *= share;
    store<V>(static_cast<T *>(a.to) + V * i, sum);
}

template <class T, int V> WISP_DEVICE void avg_pool_grad_at(const pool_args &a, int64_t i)
{
    const place p = place_of(a, i);
    const window w = windows_over(a, p.row, p.column);
    channels_of<V> sum = {};
    for (int row = w.top; row < w.bottom; row++)
        for (int column = w.left; column < w.right; column++) {
            const float share = share_of(a, window_of(a, row, column));
            const channels_of<V> dy =
                load<V>(static_cast<const T *>(a.from) + at<V>(a, p, a.ho, a.wo, row, column));
            for (int k = 0; k < V; k++)
                sum.v[k] += share * dy.v[k];
        }
    store<V>(static_cast<T *>(a.to) + V * i, sum);
}

} // namespace

/* NAME_f32, NAME_bf16 by vectors of four channels, and NAME_one_... by one. */
#define POOL_KERNEL(name, type, vector, entry)                                                     \
    WISP_KERNEL(entry, pool_args)                                                                  \
    {                                                                                              \
        for (int64_t i = thread_index(); i < a.n; i += thread_count())                             \
            name##_at<type, vector>(a, i);                                                         \
    }
#define POOL_KERNELS(name)                                                                         \
    POOL_KERNEL(name, float, 4, name##_f32)                                                        \
    POOL_KERNEL(name, bf16, 4, name##_bf16)                                                        \
    POOL_KERNEL(name, float, 1, name##_one_f32)                                                    \
    POOL_KERNEL(name, bf16, 1, name##_one_bf16)

POOL_KERNELS(max_pool)
POOL_KERNELS(max_pool_grad)
POOL_KERNELS(avg_pool)
POOL_KERNELS(avg_pool_grad)
