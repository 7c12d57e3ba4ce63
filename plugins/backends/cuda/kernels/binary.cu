/* binary.cu - functions of two values with numpy broadcasting, and broadcasting alone.
 *
 * Bytes an element of size s: 3 s for two whole operands; less what an operand repeats, which
 * caches hold (a bias, a column, a scalar: 2 s). broadcast: s for y, and x once. */
#include "binary.h"
#include "packs.cuh"
#include "wisp/kernels.h"

namespace
{

template <int KIND> WISP_DEVICE float combine(float a, float b)
{
    switch (KIND) {
    case WISP_BINARY_ADD:
        return a + b;
    case WISP_BINARY_SUB:
        return a - b;
    case WISP_BINARY_MUL:
        return a * b;
    case WISP_BINARY_DIV:
        return a / b;
    case WISP_BINARY_MAX: /* a NaN on either side stays one */
        return a > b || a != a ? a : b;
    default: /* WISP_BINARY_MIN */
        return a < b || a != a ? a : b;
    }
}

/* Divisions of 64 bits are slow, and sizes that need them rare. */
WISP_DEVICE int64_t quotient(int64_t n, int64_t by)
{
    if ((n | by) >> 32 == 0)
        return static_cast<uint32_t>(n) / static_cast<uint32_t>(by);
    return n / by;
}

/* Where element `at` of y stands in both operands. */
struct place {
    int64_t a, b;
};

WISP_DEVICE place place_of(const binary_walk &w, int64_t at)
{
    if (w.rank == 1) {
        const place p = {at * w.stride[0][0], at * w.stride[1][0]};
        return p;
    }
    int64_t row = quotient(at, w.row);
    const int64_t in_row = at - row * w.row;
    place p = {in_row * w.stride[0][w.rank - 1], in_row * w.stride[1][w.rank - 1]};
    for (int32_t d = w.rank - 2; d >= 0; d--) {
        const int64_t next = d ? quotient(row, w.size[d]) : 0;
        const int64_t i = row - next * w.size[d];
        p.a += i * w.stride[0][d];
        p.b += i * w.stride[1][d];
        row = next;
    }
    return p;
}

/* N values of an operand from `at` on, or one for all. */
template <class T, int N> WISP_DEVICE pack<N> operand(const void *x, int64_t at, bool runs, int f32)
{
    if (runs)
        return load<N>(static_cast<const T *>(x) + at);
    return filled_pack<N>(f32 ? static_cast<const float *>(x)[at]
                              : to_f32(static_cast<const T *>(x)[at]));
}

template <class T, int N, int KIND> WISP_DEVICE void combine_all(const binary_args &a)
{
    T *y = static_cast<T *>(a.y);
    const bool runs_a = a.walk.stride[0][a.walk.rank - 1] != 0;
    const bool runs_b = a.walk.stride[1][a.walk.rank - 1] != 0;
    for (int64_t i = thread_index() * N; i < a.walk.count; i += thread_count() * N) {
        const place at = place_of(a.walk, i);
        pack<N> p = operand<T, N>(a.a, at.a, runs_a, a.a_f32);
        const pack<N> q = operand<T, N>(a.b, at.b, runs_b, a.b_f32);
        for (int k = 0; k < N; k++)
            p.v[k] = combine<KIND>(p.v[k], q.v[k]);
        store(y + i, p);
    }
}

template <class T, int KIND> WISP_DEVICE void binary_kind(const binary_args &a)
{
    if (a.walk.wide)
        combine_all<T, wide_of<T>::n, KIND>(a);
    else
        combine_all<T, 1, KIND>(a);
}

/* Packs of 8 for any two types: one access of bf16, two of f32. */
template <class X, class Y, int N> WISP_DEVICE void stretch(const broadcast_args &a)
{
    const X *x = static_cast<const X *>(a.x);
    Y *y = static_cast<Y *>(a.y);
    const bool runs = a.walk.stride[0][a.walk.rank - 1] != 0;
    for (int64_t i = thread_index() * N; i < a.walk.count; i += thread_count() * N) {
        const place at = place_of(a.walk, i);
        pack<N> p = operand<X, N>(x, at.a, runs, 0);
        for (int k = 0; k < N; k++)
            p.v[k] *= a.scale;
        store(y + i, p);
    }
}

template <class X, class Y> WISP_DEVICE void broadcast(const broadcast_args &a)
{
    if (a.walk.wide)
        stretch<X, Y, 8>(a);
    else
        stretch<X, Y, 1>(a);
}

} // namespace

#define BINARY_KERNELS(name, kind)                                                                 \
    WISP_KERNEL(binary_##name##_f32, binary_args)                                                  \
    {                                                                                              \
        binary_kind<float, kind>(a);                                                               \
    }                                                                                              \
    WISP_KERNEL(binary_##name##_bf16, binary_args)                                                 \
    {                                                                                              \
        binary_kind<bf16, kind>(a);                                                                \
    }

BINARY_KERNELS(add, WISP_BINARY_ADD)
BINARY_KERNELS(sub, WISP_BINARY_SUB)
BINARY_KERNELS(mul, WISP_BINARY_MUL)
BINARY_KERNELS(div, WISP_BINARY_DIV)
BINARY_KERNELS(max, WISP_BINARY_MAX)
BINARY_KERNELS(min, WISP_BINARY_MIN)

WISP_KERNEL(broadcast_f32_f32, broadcast_args)
{
    broadcast<float, float>(a);
}
WISP_KERNEL(broadcast_f32_bf16, broadcast_args)
{
    broadcast<float, bf16>(a);
}
WISP_KERNEL(broadcast_bf16_f32, broadcast_args)
{
    broadcast<bf16, float>(a);
}
WISP_KERNEL(broadcast_bf16_bf16, broadcast_args)
{
    broadcast<bf16, bf16>(a);
}
