// resize.cu - maps on a grid of another size, by cubic convolution, and the gradient.
//
// A first launch of two blocks makes the taps of both axes; in the second a thread makes one
// element of the result. x is read 16 times, from the caches but once; y is written once. In the
// gradient a pixel collects from the output pixels that had it among their taps.
#include "resize.h"
#include "words.cuh"

namespace
{

/* Keys' kernel with A = -0.75 at distance d. */
WISP_DEVICE double cubic(double d)
{
    const double a = -0.75, x = fabs(d);
    if (x <= 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

WISP_DEVICE void make_taps(const resize_axis &x, int i)
{
    const double source = (static_cast<double>(i) + 0.5) * x.step - 0.5, left = floor(source);
    for (int k = 0; k < RESIZE_TAPS; k++) {
        const double at = left - 1.0 + k, most = x.in - 1;
        x.at[RESIZE_TAPS * i + k] = static_cast<int>(at < 0.0 ? 0.0 : at > most ? most : at);
        x.weight[RESIZE_TAPS * i + k] = static_cast<float>(cubic(source - at));
    }
}

/* The first output pixel whose last tap is `pixel` or lies behind it; taps never go back. */
WISP_DEVICE int first_reaching(const resize_axis &x, int pixel)
{
    int low = 0, high = x.out;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (x.at[RESIZE_TAPS * middle + RESIZE_TAPS - 1] < pixel)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first output pixel whose first tap lies behind `pixel`. */
WISP_DEVICE int first_beyond(const resize_axis &x, int pixel)
{
    int low = 0, high = x.out;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (x.at[RESIZE_TAPS * middle] <= pixel)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One block. */
WISP_DEVICE void make_axis(const resize_axis &x)
{
    for (int i = threadIdx.x; i < x.out; i += blockDim.x)
        make_taps(x, i);
    __syncthreads();
    for (int i = threadIdx.x; i < x.in; i += blockDim.x) {
        x.begin[i] = first_reaching(x, i);
        x.end[i] = first_beyond(x, i);
    }
}

/* Where an element of the result lies. */
struct place {
    int64_t image, channel;
    int row, column;
};

WISP_DEVICE place place_of(const resize_args &a, int64_t i)
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

template <class T> WISP_DEVICE float resized(const resize_args &a, const place &p)
{
    const T *x = static_cast<const T *>(a.from);
    float sum = 0;
    for (int r = RESIZE_TAPS * p.row; r < RESIZE_TAPS * (p.row + 1); r++) {
        const int64_t line = (p.image * a.rows.in + a.rows.at[r]) * a.columns.in;
        for (int c = RESIZE_TAPS * p.column; c < RESIZE_TAPS * (p.column + 1); c++)
            sum += a.rows.weight[r] * a.columns.weight[c] *
                   to_f32(x[(line + a.columns.at[c]) * a.channels.by + p.channel]);
    }
    return sum;
}

/* What output pixel i takes of an input pixel, along one axis. */
WISP_DEVICE float weight_of(const resize_axis &x, int i, int pixel)
{
    float sum = 0;
    for (int k = RESIZE_TAPS * i; k < RESIZE_TAPS * (i + 1); k++)
        sum += x.at[k] == pixel ? x.weight[k] : 0.0f;
    return sum;
}

template <class T> WISP_DEVICE float returned(const resize_args &a, const place &p)
{
    const T *dy = static_cast<const T *>(a.from);
    float sum = 0;
    for (int r = a.rows.begin[p.row]; r < a.rows.end[p.row]; r++) {
        const float weight = weight_of(a.rows, r, p.row);
        const int64_t line = (p.image * a.rows.out + r) * a.columns.out;
        for (int c = a.columns.begin[p.column]; c < a.columns.end[p.column]; c++)
            sum += weight * weight_of(a.columns, c, p.column) *
                   to_f32(dy[(line + c) * a.channels.by + p.channel]);
    }
    return sum;
}

template <class T> WISP_DEVICE void resize(const resize_args &a)
{
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        static_cast<T *>(a.to)[i] = from_f32<T>(resized<T>(a, place_of(a, i)));
}

template <class T> WISP_DEVICE void resize_grad(const resize_args &a)
{
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        static_cast<T *>(a.to)[i] = from_f32<T>(returned<T>(a, place_of(a, i)));
}

} // namespace

/* Two blocks. */
WISP_KERNEL(resize_axes, resize_args)
{
    make_axis(blockIdx.x == 0 ? a.rows : a.columns);
}

WISP_KERNEL(resize_bicubic_f32, resize_args)
{
    resize<float>(a);
}
WISP_KERNEL(resize_bicubic_bf16, resize_args)
{
    resize<bf16>(a);
}
WISP_KERNEL(resize_bicubic_grad_f32, resize_args)
{
    resize_grad<float>(a);
}
WISP_KERNEL(resize_bicubic_grad_bf16, resize_args)
{
    resize_grad<bf16>(a);
}
