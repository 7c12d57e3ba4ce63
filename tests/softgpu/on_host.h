/* on_host.h - CUDA C++ as far as wisp's kernels use it, for the host's C++17 compiler: kernel.cuh
 * includes this where nvcc does not compile. The software device runs the threads of a block one at
 * a time and switches between them where they meet (barriers and warp exchanges). */
#ifndef SOFTGPU_ON_HOST_H
#define SOFTGPU_ON_HOST_H

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#include "kernel_state.h"

extern softgpu_state softgpu_here __attribute__((visibility("hidden")));

/* --- the language --- */
#define __device__
#define __host__
#define __global__
#define __constant__ static
/* All shared variables lie together in thread-local storage, where the device finds them to spoil
 * them before a launch. Blocks run one after another, so one copy serves all. */
#define __shared__ static thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

#define WISP_DEVICE inline
#define WISP_DYNAMIC_SHARED(type, name)                                                            \
    type *const name = static_cast<type *>(softgpu_here.dynamic_shared)

/* `type` is the struct of arguments, `a` in the body that follows. */
#define WISP_KERNEL(name, type)                                                                    \
    static_assert(std::is_trivially_copyable<type>::value, "arguments are copied as bytes");       \
    static_assert(sizeof(type) <= 4096, "a launch takes 4096 bytes of arguments at most");         \
    static void name##_thread(const type &a);                                                      \
    extern "C" __attribute__((visibility("default"))) void name(void **params)                     \
    {                                                                                              \
        name##_thread(*static_cast<const type *>(params[0]));                                      \
    }                                                                                              \
    extern "C" __attribute__((visibility("default"))) const softgpu_kernel name##_softgpu;         \
    const softgpu_kernel name##_softgpu = {name, sizeof(type)};                                    \
    static void name##_thread(const type &a)

#define threadIdx (softgpu_here.thread)
#define blockIdx (softgpu_here.block)
#define blockDim (softgpu_here.block_size)
#define gridDim (softgpu_here.grid_size)
#define warpSize 32

/* --- vectors --- */
typedef softgpu_dim uint3;
typedef softgpu_dim dim3;

#define SOFTGPU_VECTORS(element, name, align2, align4)                                             \
    struct alignas(align2) name##2                                                                 \
    {                                                                                              \
        element x, y;                                                                              \
    };                                                                                             \
    struct alignas(align4) name##4                                                                 \
    {                                                                                              \
        element x, y, z, w;                                                                        \
    };                                                                                             \
    static inline name##2 make_##name##2(element x, element y)                                     \
    {                                                                                              \
        return name##2 {x, y};                                                                     \
    }                                                                                              \
    static inline name##4 make_##name##4(element x, element y, element z, element w)               \
    {                                                                                              \
        return name##4 {x, y, z, w};                                                               \
    }

typedef unsigned char softgpu_uchar;
typedef unsigned short softgpu_ushort;
SOFTGPU_VECTORS(float, float, 8, 16)
SOFTGPU_VECTORS(int, int, 8, 16)
SOFTGPU_VECTORS(unsigned int, uint, 8, 16)
SOFTGPU_VECTORS(short, short, 4, 8)
SOFTGPU_VECTORS(softgpu_ushort, ushort, 4, 8)
SOFTGPU_VECTORS(softgpu_uchar, uchar, 2, 4)
#undef SOFTGPU_VECTORS

struct alignas(16) double2 {
    double x, y;
};
static inline double2 make_double2(double x, double y)
{
    return double2{x, y};
}

/* --- bits --- */
template <class To, class From> static inline To softgpu_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "the same bits read as another type");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline unsigned int __float_as_uint(float x)
{
    return softgpu_bits<unsigned int>(x);
}
static inline int __float_as_int(float x)
{
    return softgpu_bits<int>(x);
}
static inline float __uint_as_float(unsigned int x)
{
    return softgpu_bits<float>(x);
}
static inline float __int_as_float(int x)
{
    return softgpu_bits<float>(x);
}
static inline long long __double_as_longlong(double x)
{
    return softgpu_bits<long long>(x);
}
static inline double __longlong_as_double(long long x)
{
    return softgpu_bits<double>(x);
}

static inline int __popc(unsigned int x)
{
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned int)x) : 32;
}
static inline int __clzll(long long x)
{
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline unsigned int __umulhi(unsigned int x, unsigned int y)
{
    return (unsigned int)((uint64_t)x * y >> 32);
}
static inline int __mulhi(int x, int y)
{
    return (int)((int64_t)x * y >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    __extension__ typedef unsigned __int128 wide;
    return (unsigned long long)((wide)x * y >> 64);
}

/* --- arithmetic --- */
static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
static inline double rsqrt(double x)
{
    return 1.0 / sqrt(x);
}
static inline float __fmaf_rn(float x, float y, float z)
{
    return fmaf(x, y, z);
}
static inline float __fadd_rn(float x, float y)
{
    return x + y;
}
static inline float __fsub_rn(float x, float y)
{
    return x - y;
}
static inline float __fmul_rn(float x, float y)
{
    return x * y;
}
static inline float __fdiv_rn(float x, float y)
{
    return x / y;
}
static inline float __fsqrt_rn(float x)
{
    return sqrtf(x);
}
static inline int __float2int_rn(float x)
{
    return (int)nearbyintf(x);
}

#define SOFTGPU_MIN_MAX(type)                                                                      \
    static inline type min(type x, type y)                                                         \
    {                                                                                              \
        return y < x ? y : x;                                                                      \
    }                                                                                              \
    static inline type max(type x, type y)                                                         \
    {                                                                                              \
        return x < y ? y : x;                                                                      \
    }
SOFTGPU_MIN_MAX(int)
SOFTGPU_MIN_MAX(unsigned int)
SOFTGPU_MIN_MAX(long)
SOFTGPU_MIN_MAX(unsigned long)
SOFTGPU_MIN_MAX(long long)
SOFTGPU_MIN_MAX(unsigned long long)
#undef SOFTGPU_MIN_MAX
static inline float min(float x, float y)
{
    return fminf(x, y);
}
static inline float max(float x, float y)
{
    return fmaxf(x, y);
}
static inline double min(double x, double y)
{
    return fmin(x, y);
}
static inline double max(double x, double y)
{
    return fmax(x, y);
}

/* --- memory --- */
template <class T> static inline T __ldg(const T *from)
{
    return *from;
}
template <class T> static inline T __ldcs(const T *from)
{
    return *from;
}
template <class T> static inline T __ldcg(const T *from)
{
    return *from;
}
template <class T> static inline void __stcs(T *to, T value)
{
    *to = value;
}
static inline void __threadfence()
{
}
static inline void __threadfence_block()
{
}

/* Of the types that CUDA has them for, floating-point numbers left out: their sums would depend on
 * the order. */
#define SOFTGPU_ATOMIC(name, type, result)                                                         \
    static inline type name(type *at, type value)                                                  \
    {                                                                                              \
        const type old = *at;                                                                      \
        *at = (result);                                                                            \
        return old;                                                                                \
    }
#define SOFTGPU_ATOMICS(type)                                                                      \
    SOFTGPU_ATOMIC(atomicAdd, type, (type)((unsigned long long)old + (unsigned long long)value))   \
    SOFTGPU_ATOMIC(atomicMax, type, old < value ? value : old)                                     \
    SOFTGPU_ATOMIC(atomicMin, type, value < old ? value : old)                                     \
    SOFTGPU_ATOMIC(atomicOr, type, old | value)                                                    \
    SOFTGPU_ATOMIC(atomicAnd, type, old &value)                                                    \
    SOFTGPU_ATOMIC(atomicExch, type, value)                                                        \
    static inline type atomicCAS(type *at, type expected, type value)                              \
    {                                                                                              \
        const type old = *at;                                                                      \
        if (old == expected)                                                                       \
            *at = value;                                                                           \
        return old;                                                                                \
    }
SOFTGPU_ATOMICS(int)
SOFTGPU_ATOMICS(unsigned int)
SOFTGPU_ATOMICS(unsigned long long)
#undef SOFTGPU_ATOMICS
#undef SOFTGPU_ATOMIC

/* --- threads meet --- */
#define __syncthreads() softgpu_here.meet_block(__LINE__)
#define __syncwarp                                                                                 \
    softgpu_warp_meeting                                                                           \
    {                                                                                              \
        __LINE__                                                                                   \
    }
#define __shfl_sync(...) softgpu_shuffle(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) softgpu_shuffle_xor(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) softgpu_shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) softgpu_shuffle_up(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, predicate) softgpu_ballot(__LINE__, mask, (predicate) ? 1 : 0)
#define __any_sync(mask, predicate) (softgpu_ballot(__LINE__, mask, (predicate) ? 1 : 0) != 0)
#define __all_sync(mask, predicate) (softgpu_ballot(__LINE__, mask, (predicate) ? 0 : 1) == 0)

struct softgpu_warp_meeting {
    int line;
    void operator()(uint32_t mask = 0xffffffffu) const
    {
        softgpu_here.meet_warp(mask, 0, line);
    }
};

/* What `value` was in lane `from`; CUDA has these for four and eight bytes. */
template <class T>
static inline T softgpu_from_lane(int line, uint32_t mask, T value, uint32_t from)
{
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8),
                  "shuffles move numbers of four or eight bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    const softgpu_lanes *lanes = softgpu_here.meet_warp(mask, bits, line);
    memcpy(&value, &lanes->value[from], sizeof value);
    return value;
}

template <class T>
static inline T softgpu_shuffle(int line, uint32_t mask, T value, int from, int width = 32)
{
    const uint32_t first = softgpu_here.lane & ~((uint32_t)width - 1);
    return softgpu_from_lane(line, mask, value, first | ((uint32_t)from & ((uint32_t)width - 1)));
}

template <class T>
static inline T softgpu_shuffle_xor(int line, uint32_t mask, T value, int bits, int width = 32)
{
    const uint32_t lane = softgpu_here.lane, from = lane ^ (uint32_t)bits;
    const uint32_t end = (lane & ~((uint32_t)width - 1)) + (uint32_t)width;
    return softgpu_from_lane(line, mask, value, from < end ? from : lane);
}

template <class T>
static inline T softgpu_shuffle_down(int line, uint32_t mask, T value, uint32_t by, int width = 32)
{
    const uint32_t lane = softgpu_here.lane;
    const uint32_t end = (lane & ~((uint32_t)width - 1)) + (uint32_t)width;
    return softgpu_from_lane(line, mask, value, lane + by < end ? lane + by : lane);
}

template <class T>
static inline T softgpu_shuffle_up(int line, uint32_t mask, T value, uint32_t by, int width = 32)
{
    const uint32_t lane = softgpu_here.lane, first = lane & ~((uint32_t)width - 1);
    return softgpu_from_lane(line, mask, value, lane >= first + by ? lane - by : lane);
}

static inline unsigned int softgpu_ballot(int line, uint32_t mask, int predicate)
{
    const softgpu_lanes *lanes = softgpu_here.meet_warp(mask, (uint64_t)predicate, line);
    unsigned int votes = 0;
    for (uint32_t lane = 0; lane < SOFTGPU_WARP; lane++)
        if (lanes->present >> lane & 1 && lanes->value[lane])
            votes |= 1u << lane;
    return votes;
}

#endif
