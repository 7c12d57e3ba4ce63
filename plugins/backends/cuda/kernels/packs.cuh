/* packs.cuh - neighbouring elements that one thread handles together, in accesses of 16 bytes where
 * their addresses allow it.
 *
 * Kernels are written over packs of N elements. N is the number of elements in 16 bytes, or 1 where
 * a size or an address does not divide; the host decides (`wide` in the arguments). */
#ifndef CUDA_KERNELS_PACKS_CUH
#define CUDA_KERNELS_PACKS_CUH

#include "kernel.cuh"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

namespace
{

/* Elements of T in 16 bytes. */
template <class T> struct wide_of {
    static constexpr int n = 16 / static_cast<int>(sizeof(T));
};

/* N elements as they lie in memory. */
template <class T, int N> struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) raw {
    T v[N];
};

/* N elements in registers. */
template <int N> struct pack {
    float v[N];
};

template <int N, class T> WISP_DEVICE raw<T, N> load_raw(const T *p)
{
    return *reinterpret_cast<const raw<T, N> *>(p);
}

template <class T, int N> WISP_DEVICE pack<N> spread(const raw<T, N> &x)
{
    pack<N> y;
    for (int i = 0; i < N; i++)
        y.v[i] = to_f32(x.v[i]);
    return y;
}

template <int N, class T> WISP_DEVICE pack<N> load(const T *p)
{
    return spread(load_raw<N>(p));
}

template <int N> WISP_DEVICE pack<N> filled_pack(float value)
{
    pack<N> y;
    for (int i = 0; i < N; i++)
        y.v[i] = value;
    return y;
}

/* Parameters, which may be absent. */
template <int N> WISP_DEVICE pack<N> load_or(const float *p, int64_t at, float value)
{
    return p ? load<N>(p + at) : filled_pack<N>(value);
}

template <int N> WISP_DEVICE void store(float *p, const pack<N> &x)
{
    raw<float, N> y;
    for (int i = 0; i < N; i++)
        y.v[i] = x.v[i];
    *reinterpret_cast<raw<float, N> *>(p) = y;
}

WISP_DEVICE void round_pair(float a, float b, bf16 *to)
{
#ifdef __CUDACC__
    const __nv_bfloat162 both = __floats2bfloat162_rn(a, b); /* one instruction */
    to[0].bits = __bfloat16_as_ushort(both.x);
    to[1].bits = __bfloat16_as_ushort(both.y);
#else
    to[0] = from_f32<bf16>(a);
    to[1] = from_f32<bf16>(b);
#endif
}

template <int N> WISP_DEVICE void store(bf16 *p, const pack<N> &x)
{
    raw<bf16, N> y;
    for (int i = 0; i + 1 < N; i += 2)
        round_pair(x.v[i], x.v[i + 1], &y.v[i]);
    if (N % 2)
        y.v[N - 1] = from_f32<bf16>(x.v[N - 1]);
    *reinterpret_cast<raw<bf16, N> *>(p) = y;
}

} // namespace

#endif
