// filter.cu - weights of convolutions between our order (o, c, taps) and cuDNN's (o, taps, c), and
// biases.
#include "filter.h"
#include "kernel.cuh"

namespace
{

template <class T> WISP_DEVICE void read_filter(const filter_args &a)
{
    const float *x = static_cast<const float *>(a.x);
    T *y = static_cast<T *>(a.y);
    const int64_t n = a.o * a.c * a.taps;
    for (int64_t i = thread_index(); i < n; i += thread_count()) {
        const int64_t c = i % a.c, t = i / a.c % a.taps, o = i / a.c / a.taps;
        y[i] = from_f32<T>(x[(o * a.c + c) * a.taps + t]);
    }
}

template <class T> WISP_DEVICE void write_filter(const filter_args &a)
{
    const T *x = static_cast<const T *>(a.x);
    float *y = static_cast<float *>(a.y);
    const int64_t n = a.o * a.c * a.taps;
    for (int64_t i = thread_index(); i < n; i += thread_count()) {
        const int64_t t = i % a.taps, c = i / a.taps % a.c, o = i / a.taps / a.c;
        const float v = to_f32(x[(o * a.taps + t) * a.c + c]);
        y[i] = a.add ? y[i] + v : v;
    }
}

template <class T> WISP_DEVICE void add_bias(const filter_bias_args &a)
{
    T *y = static_cast<T *>(a.y);
    const int64_t n = a.rows * a.columns;
    const bool vector =
        a.columns % 4 == 0 && reinterpret_cast<uintptr_t>(a.y) % (4 * sizeof(T)) == 0;
    if (!vector) {
        for (int64_t i = thread_index(); i < n; i += thread_count())
            y[i] = from_f32<T>(to_f32(y[i]) + a.bias[i % a.columns]);
        return;
    }
    for (int64_t i = thread_index() * 4; i < n; i += thread_count() * 4) {
        const int64_t c = i % a.columns;
        four v = load4(y + i);
        for (int k = 0; k < 4; k++)
            v.v[k] += a.bias[c + k];
        store4(y + i, v);
    }
}

} // namespace

WISP_KERNEL(filter_read_f32, filter_args)
{
    read_filter<float>(a);
}
WISP_KERNEL(filter_read_bf16, filter_args)
{
    read_filter<bf16>(a);
}

WISP_KERNEL(filter_write_f32, filter_args)
{
    write_filter<float>(a);
}
WISP_KERNEL(filter_write_bf16, filter_args)
{
    write_filter<bf16>(a);
}

WISP_KERNEL(filter_bias_f32, filter_bias_args)
{
    add_bias<float>(a);
}
WISP_KERNEL(filter_bias_bf16, filter_bias_args)
{
    add_bias<bf16>(a);
}
