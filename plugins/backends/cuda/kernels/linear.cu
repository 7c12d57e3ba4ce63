// linear.cu - what fully connected layers need beside products: weights in the product's type, the
// exact GELU of an input (cuBLASLt's epilogue is the approximation by tanh, and of an output), and
// weights given as direction and length.
#include "linear.h"
#include "kernel.cuh"

namespace
{

WISP_DEVICE bool is_aligned(const void *p, uint64_t bytes)
{
    return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

template <class T>
WISP_DEVICE void convert(const float *x, T *y, int64_t n, int64_t first, int64_t step)
{
    const int64_t n4 = is_aligned(x, 16) && is_aligned(y, 4 * sizeof(T)) ? n / 4 : 0;
    for (int64_t i = first; i < n4; i += step)
        store4(y + i * 4, load4(x + i * 4));
    for (int64_t i = n4 * 4 + first; i < n; i += step)
        y[i] = from_f32<T>(x[i]);
}

template <class T> WISP_DEVICE void convert_both(const linear_convert_args &a)
{
    convert(a.w, static_cast<T *>(a.w_out), a.n_w, thread_index(), thread_count());
    convert(a.bias, static_cast<T *>(a.bias_out), a.n_bias, thread_index(), thread_count());
}

WISP_DEVICE float gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
}

WISP_DEVICE float gelu_slope(float x)
{
    const float density = 0.39894228040143268f * expf(-0.5f * x * x);
    return 0.5f * (1.0f + erff(x * 0.70710678118654752f)) + x * density;
}

template <class T> WISP_DEVICE void activate(const linear_gelu_args &a)
{
    const T *x = static_cast<const T *>(a.x);
    T *y = static_cast<T *>(a.y);
    const int64_t n4 = is_aligned(x, 4 * sizeof(T)) && is_aligned(y, 4 * sizeof(T)) ? a.n / 4 : 0;
    for (int64_t i = thread_index(); i < n4; i += thread_count()) {
        four v = load4(x + i * 4);
        for (int k = 0; k < 4; k++)
            v.v[k] = gelu(v.v[k]);
        store4(y + i * 4, v);
    }
    for (int64_t i = n4 * 4 + thread_index(); i < a.n; i += thread_count())
        y[i] = from_f32<T>(gelu(to_f32(x[i])));
}

template <class T> WISP_DEVICE void times_slope(const linear_gelu_args &a)
{
    const T *x = static_cast<const T *>(a.x);
    T *y = static_cast<T *>(a.y);
    const int64_t n4 = is_aligned(x, 4 * sizeof(T)) && is_aligned(y, 4 * sizeof(T)) ? a.n / 4 : 0;
    for (int64_t i = thread_index(); i < n4; i += thread_count()) {
        const four v = load4(x + i * 4);
        four d = load4(y + i * 4);
        for (int k = 0; k < 4; k++)
            d.v[k] *= gelu_slope(v.v[k]);
        store4(y + i * 4, d);
    }
    for (int64_t i = n4 * 4 + thread_index(); i < a.n; i += thread_count())
        y[i] = from_f32<T>(to_f32(y[i]) * gelu_slope(to_f32(x[i])));
}

/* The warp's first row, and how many warps there are. */
WISP_DEVICE int64_t warp_index()
{
    return thread_index() / 32;
}

WISP_DEVICE int64_t warp_count()
{
    return thread_count() / 32;
}

WISP_DEVICE float row_norm(const float *v, int64_t n, int lane)
{
    float sum = 0;
    for (int64_t i = lane; i < n; i += 32)
        sum = fmaf(v[i], v[i], sum);
    return sqrtf(warp_sum(sum));
}

template <class T> WISP_DEVICE void scale_rows(const linear_normed_args &a)
{
    const int lane = static_cast<int>(threadIdx.x % 32);
    T *w = static_cast<T *>(a.w);
    for (int64_t r = warp_index(); r < a.rows; r += warp_count()) {
        const float *v = a.v + r * a.columns;
        const float norm = a.norm ? a.norm[r] : row_norm(v, a.columns, lane);
        if (a.norm_out && lane == 0)
            a.norm_out[r] = norm;
        const float factor = a.g[r] / norm;
        if (w)
            for (int64_t i = lane; i < a.columns; i += 32)
                w[r * a.columns + i] = from_f32<T>(v[i] * factor);
    }
}

} // namespace

WISP_KERNEL(linear_convert_f32, linear_convert_args)
{
    convert_both<float>(a);
}
WISP_KERNEL(linear_convert_bf16, linear_convert_args)
{
    convert_both<bf16>(a);
}

WISP_KERNEL(linear_gelu_f32, linear_gelu_args)
{
    activate<float>(a);
}
WISP_KERNEL(linear_gelu_bf16, linear_gelu_args)
{
    activate<bf16>(a);
}

WISP_KERNEL(linear_gelu_slope_f32, linear_gelu_args)
{
    times_slope<float>(a);
}
WISP_KERNEL(linear_gelu_slope_bf16, linear_gelu_args)
{
    times_slope<bf16>(a);
}

WISP_KERNEL(linear_scale_rows_f32, linear_normed_args)
{
    scale_rows<float>(a);
}
WISP_KERNEL(linear_scale_rows_bf16, linear_normed_args)
{
    scale_rows<bf16>(a);
}

/* dv = g / norm dw - v along / norm^2 */
WISP_KERNEL(linear_finish_rows, linear_normed_args)
{
    const int lane = static_cast<int>(threadIdx.x % 32);
    for (int64_t r = warp_index(); r < a.rows; r += warp_count()) {
        const float norm = a.norm[r], factor = a.g[r] / norm, along = a.along[r] / norm / norm;
        for (int64_t i = r * a.columns + lane; i < (r + 1) * a.columns; i += 32)
            a.dv[i] = factor * a.dv[i] - a.v[i] * along;
    }
}
