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

/* 16 bytes in one access. By an assignment compilers may make four of it again. */
template <class T, class WORDS> WISP_DEVICE void put16(T *p, const WORDS &words)
{
#ifdef __CUDACC__
    __stwb(reinterpret_cast<WORDS *>(p), words);
#else
    raw<T, wide_of<T>::n> y;
    memcpy(&y, &words, sizeof y);
    *reinterpret_cast<raw<T, wide_of<T>::n> *>(p) = y;
#endif
}

template <int N> WISP_DEVICE void store(float *p, const pack<N> &x)
{
    if constexpr (N == 1)
        *p = x.v[0];
    else
        for (int i = 0; i < N; i += 4)
            put16(p + i, make_float4(x.v[i], x.v[i + 1], x.v[i + 2], x.v[i + 3]));
}

template <int N> WISP_DEVICE void store(bf16 *p, const pack<N> &x)
{
    if constexpr (N == 1)
        *p = from_f32<bf16>(x.v[0]);
    else
        for (int i = 0; i < N; i += 8)
            put16(p + i,
                  make_uint4(bf16_pair(x.v[i], x.v[i + 1]), bf16_pair(x.v[i + 2], x.v[i + 3]),
                             bf16_pair(x.v[i + 4], x.v[i + 5]), bf16_pair(x.v[i + 6], x.v[i + 7])));
}

} // namespace

#endif
