/* cast.cu - the same values in another element type.
 *
 * To integers towards zero, within the type's limits, NaN to 0. Bytes an element: one of each type
 * (f32 to bf16: 6). */
#include "cast.h"
#include "packs.cuh"

namespace
{

WISP_DEVICE int64_t towards_zero(float x)
{
    if (x != x)
        return 0;
    if (x <= -9223372036854775808.0f)
        return INT64_MIN;
    if (x >= 9223372036854775808.0f)
        return 9223372036854774784; /* the largest double below 2^63, as the reference has it */
    return static_cast<int64_t>(x);
}

/* Values on their way are float where the source is, else int64. */
WISP_DEVICE float widen(float x)
{
    return x;
}
WISP_DEVICE float widen(bf16 x)
{
    return to_f32(x);
}
template <class X> WISP_DEVICE int64_t widen(X x)
{
    return x;
}

WISP_DEVICE int64_t whole(float x)
{
    return towards_zero(x);
}
WISP_DEVICE int64_t whole(int64_t x)
{
    return x;
}

WISP_DEVICE int64_t limited(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

template <class V> WISP_DEVICE void put(float *y, V v)
{
    *y = static_cast<float>(v);
}
template <class V> WISP_DEVICE void put(bf16 *y, V v)
{
    *y = from_f32<bf16>(static_cast<float>(v));
}
template <class V> WISP_DEVICE void put(int64_t *y, V v)
{
    *y = whole(v);
}
template <class V> WISP_DEVICE void put(int32_t *y, V v)
{
    *y = static_cast<int32_t>(limited(whole(v), INT32_MIN, INT32_MAX));
}
template <class V> WISP_DEVICE void put(uint8_t *y, V v)
{
    *y = static_cast<uint8_t>(limited(whole(v), 0, 255));
}

template <class X, class Y> WISP_DEVICE void convert(const cast_args &a, int64_t begin)
{
    const X *x = static_cast<const X *>(a.x);
    Y *y = static_cast<Y *>(a.y);
    for (int64_t i = begin + thread_index(); i < a.n; i += thread_count())
        put(y + i, widen(x[i]));
}

template <class X, class Y> WISP_DEVICE void cast(const cast_args &a)
{
    convert<X, Y>(a, 0);
}

/* Between floating types, eight elements at once: one access of bf16, two of f32. */
template <class X, class Y> WISP_DEVICE void cast_packs(const cast_args &a)
{
    const X *x = static_cast<const X *>(a.x);
    Y *y = static_cast<Y *>(a.y);
    const int64_t end = a.wide ? a.n / 8 * 8 : 0;
    for (int64_t i = thread_index() * 8; i < end; i += thread_count() * 8)
        store(y + i, load<8>(x + i));
    convert<X, Y>(a, end);
}

} // namespace

#define CAST_KERNEL(cast, x, X, y, Y)                                                              \
    WISP_KERNEL(cast_##x##_##y, cast_args)                                                         \
    {                                                                                              \
        cast<X, Y>(a);                                                                             \
    }
#define CAST_KERNELS(x, X, to_float)                                                               \
    CAST_KERNEL(to_float, x, X, f32, float)                                                        \
    CAST_KERNEL(to_float, x, X, bf16, bf16)                                                        \
    CAST_KERNEL(cast, x, X, i32, int32_t)                                                          \
    CAST_KERNEL(cast, x, X, i64, int64_t)                                                          \
    CAST_KERNEL(cast, x, X, u8, uint8_t)

CAST_KERNELS(f32, float, cast_packs)
CAST_KERNELS(bf16, bf16, cast_packs)
CAST_KERNELS(i32, int32_t, cast)
CAST_KERNELS(i64, int64_t, cast)
CAST_KERNELS(u8, uint8_t, cast)
