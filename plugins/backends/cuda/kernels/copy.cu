// copy.cu - filling, and conversion between element types.
#include "copy.h"
#include "kernel.cuh"

namespace
{

template <class T> WISP_DEVICE T filled(const copy_args &a);
template <> WISP_DEVICE float filled<float>(const copy_args &a)
{
    return static_cast<float>(a.value);
}
template <> WISP_DEVICE bf16 filled<bf16>(const copy_args &a)
{
    return from_f32<bf16>(static_cast<float>(a.value));
}
template <> WISP_DEVICE int32_t filled<int32_t>(const copy_args &a)
{
    return static_cast<int32_t>(a.value_i64);
}
template <> WISP_DEVICE int64_t filled<int64_t>(const copy_args &a)
{
    return a.value_i64;
}
template <> WISP_DEVICE uint8_t filled<uint8_t>(const copy_args &a)
{
    return static_cast<uint8_t>(a.value_i64);
}

template <class T> WISP_DEVICE void fill(const copy_args &a)
{
    T *y = static_cast<T *>(a.y);
    const T value = filled<T>(a);
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        y[i] = value;
}

template <class X, class Y> WISP_DEVICE void accumulate(const copy_args &a)
{
    const X *x = static_cast<const X *>(a.x);
    Y *y = static_cast<Y *>(a.y);
    for (int64_t i = thread_index(); i < a.n; i += thread_count())
        y[i] = from_f32<Y>(to_f32(y[i]) + to_f32(x[i]));
}

} // namespace

WISP_KERNEL(fill_f32, copy_args)
{
    fill<float>(a);
}
WISP_KERNEL(fill_bf16, copy_args)
{
    fill<bf16>(a);
}
WISP_KERNEL(fill_i32, copy_args)
{
    fill<int32_t>(a);
}
WISP_KERNEL(fill_i64, copy_args)
{
    fill<int64_t>(a);
}
WISP_KERNEL(fill_u8, copy_args)
{
    fill<uint8_t>(a);
}

WISP_KERNEL(accumulate_f32_f32, copy_args)
{
    accumulate<float, float>(a);
}
WISP_KERNEL(accumulate_bf16_f32, copy_args)
{
    accumulate<bf16, float>(a);
}
WISP_KERNEL(accumulate_f32_bf16, copy_args)
{
    accumulate<float, bf16>(a);
}
WISP_KERNEL(accumulate_bf16_bf16, copy_args)
{
    accumulate<bf16, bf16>(a);
}
