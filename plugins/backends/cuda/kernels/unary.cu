/* unary.cu - functions of one value and their slopes.
 *
 * Bytes an element of size s: 2 s forward (x, y); 3 s backward (dy, x or y, dx; affine: 2 s). */
#include "packs.cuh"
#include "unary.h"
#include "wisp/kernels.h"

namespace
{

template <int KIND> WISP_DEVICE float value(float x, float a, float b)
{
    switch (KIND) {
    case WISP_UNARY_RELU:
        return x < 0.0f ? 0.0f : x;
    case WISP_UNARY_RELU6:
        return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x;
    case WISP_UNARY_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case WISP_UNARY_TANH:
        return tanhf(x);
    case WISP_UNARY_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case WISP_UNARY_EXP:
        return expf(x);
    case WISP_UNARY_LOG:
        return logf(x);
    case WISP_UNARY_SQRT:
        return sqrtf(x);
    case WISP_UNARY_SQUARE:
        return x * x;
    case WISP_UNARY_ABS:
        return fabsf(x);
    case WISP_UNARY_AFFINE:
        return a * x + b;
    default: /* WISP_UNARY_CLAMP */
        return x < a ? a : x > b ? b : x;
    }
}

/* Whether the slope is made of the result. */
WISP_DEVICE bool looks_at_result(int kind)
{
    return kind == WISP_UNARY_TANH || kind == WISP_UNARY_SIGMOID || kind == WISP_UNARY_EXP ||
           kind == WISP_UNARY_SQRT;
}

/* `at` is y for the kinds above, else x. */
template <int KIND> WISP_DEVICE float slope(float at, float a, float b)
{
    switch (KIND) {
    case WISP_UNARY_RELU:
        return at > 0.0f ? 1.0f : 0.0f;
    case WISP_UNARY_RELU6:
        return at > 0.0f && at < 6.0f ? 1.0f : 0.0f;
    case WISP_UNARY_GELU:
        return 0.5f * (1.0f + erff(at * 0.70710678f)) + at * 0.39894228f * expf(-0.5f * at * at);
    case WISP_UNARY_TANH:
        return 1.0f - at * at;
    case WISP_UNARY_SIGMOID:
        return at * (1.0f - at);
    case WISP_UNARY_EXP:
        return at;
    case WISP_UNARY_LOG:
        return 1.0f / at;
    case WISP_UNARY_SQRT:
        return 0.5f / at;
    case WISP_UNARY_SQUARE:
        return 2.0f * at;
    case WISP_UNARY_ABS:
        return at > 0.0f ? 1.0f : at < 0.0f ? -1.0f : 0.0f;
    case WISP_UNARY_AFFINE:
        return a;
    default: /* WISP_UNARY_CLAMP */
        return at > a && at < b ? 1.0f : 0.0f;
    }
}

/* Two packs a turn, so that loads wait together. */
template <class T, int N, int KIND> WISP_DEVICE void values_of(const unary_args &a)
{
    const T *x = static_cast<const T *>(a.x);
    T *y = static_cast<T *>(a.y);
    const int64_t step = thread_count() * N, end = a.n / N * N;
    for (int64_t i = thread_index() * N; i < end; i += 2 * step) {
        const int64_t j = i + step < end ? i + step : i;
        pack<N> p = load<N>(x + i), q = load<N>(x + j);
        for (int k = 0; k < N; k++) {
            p.v[k] = value<KIND>(p.v[k], a.a, a.b);
            q.v[k] = value<KIND>(q.v[k], a.a, a.b);
        }
        store(y + i, p);
        if (j != i)
            store(y + j, q);
    }
}

template <class T, int N, int KIND> WISP_DEVICE void slopes_of(const unary_args &a)
{
    const T *dy = static_cast<const T *>(a.dy);
    const T *at = static_cast<const T *>(looks_at_result(KIND) ? a.y_in : a.x);
    T *dx = static_cast<T *>(a.y);
    for (int64_t i = thread_index() * N; i < a.n / N * N; i += thread_count() * N) {
        pack<N> g = load<N>(dy + i);
        pack<N> p = KIND == WISP_UNARY_AFFINE ? g : load<N>(at + i);
        for (int k = 0; k < N; k++)
            g.v[k] *= slope<KIND>(p.v[k], a.a, a.b);
        store(dx + i, g);
    }
}

/* What is left over behind the packs, or all of it. */
template <class T, int KIND, bool GRAD> WISP_DEVICE void elements(const unary_args &a)
{
    const T *from = static_cast<const T *>(GRAD && looks_at_result(KIND) ? a.y_in : a.x);
    T *to = static_cast<T *>(a.y);
    const int64_t begin = a.wide ? a.n / wide_of<T>::n * wide_of<T>::n : 0;
    for (int64_t i = begin + thread_index(); i < a.n; i += thread_count()) {
        const float at = to_f32(from[i]);
        const float v = GRAD ? to_f32(static_cast<const T *>(a.dy)[i]) * slope<KIND>(at, a.a, a.b)
                             : value<KIND>(at, a.a, a.b);
        to[i] = from_f32<T>(v);
    }
}

template <class T, int KIND, bool GRAD> WISP_DEVICE void one_kind(const unary_args &a)
{
    if (a.wide && GRAD)
        slopes_of<T, wide_of<T>::n, KIND>(a);
    else if (a.wide)
        values_of<T, wide_of<T>::n, KIND>(a);
    elements<T, KIND, GRAD>(a);
}

} // namespace

#define UNARY_KERNELS(name, kind)                                                                  \
    WISP_KERNEL(unary_##name##_f32, unary_args)                                                    \
    {                                                                                              \
        one_kind<float, kind, false>(a);                                                           \
    }                                                                                              \
    WISP_KERNEL(unary_##name##_bf16, unary_args)                                                   \
    {                                                                                              \
        one_kind<bf16, kind, false>(a);                                                            \
    }                                                                                              \
    WISP_KERNEL(unary_grad_##name##_f32, unary_args)                                               \
    {                                                                                              \
        one_kind<float, kind, true>(a);                                                            \
    }                                                                                              \
    WISP_KERNEL(unary_grad_##name##_bf16, unary_args)                                              \
    {                                                                                              \
        one_kind<bf16, kind, true>(a);                                                             \
    }

UNARY_KERNELS(relu, WISP_UNARY_RELU)
UNARY_KERNELS(relu6, WISP_UNARY_RELU6)
UNARY_KERNELS(gelu, WISP_UNARY_GELU)
UNARY_KERNELS(tanh, WISP_UNARY_TANH)
UNARY_KERNELS(sigmoid, WISP_UNARY_SIGMOID)
UNARY_KERNELS(exp, WISP_UNARY_EXP)
UNARY_KERNELS(log, WISP_UNARY_LOG)
UNARY_KERNELS(sqrt, WISP_UNARY_SQRT)
UNARY_KERNELS(square, WISP_UNARY_SQUARE)
UNARY_KERNELS(abs, WISP_UNARY_ABS)
UNARY_KERNELS(affine, WISP_UNARY_AFFINE)
UNARY_KERNELS(clamp, WISP_UNARY_CLAMP)
