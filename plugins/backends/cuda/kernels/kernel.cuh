/* kernel.cuh - what device code may use: entry points, element types, sums over warps and blocks.
 *
 * The same sources are compiled for the host, where tests run them: nothing here is more than C++17
 * and the few words of CUDA that tests/softgpu/on_host.h knows. All files become one program: what
 * is not an entry point stands in a namespace without a name. No atomic operation on floating point
 * numbers: the same inputs give the same bits. */
#ifndef CUDA_KERNEL_CUH
#define CUDA_KERNEL_CUH

#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#define WISP_DEVICE __device__ __forceinline__
/* Device code that takes one struct, `a`. */
#define WISP_KERNEL(name, type) extern "C" __global__ void name(const type a)
/* The same, of so few registers that this many blocks of this many threads run side by side. */
#define WISP_KERNEL_WITHIN(name, type, threads, blocks)                                            \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const type a)
#define WISP_DYNAMIC_SHARED(type, name)                                                            \
    extern __shared__ __align__(16) unsigned char wisp_dynamic_shared[];                           \
    type *name = reinterpret_cast<type *>(wisp_dynamic_shared)
#else
#include "on_host.h"
#define WISP_KERNEL_WITHIN(name, type, threads, blocks) WISP_KERNEL(name, type)
#endif

#define WISP_FULL_WARP 0xffffffffu

/* --- element types --- */

struct bf16 {
    uint16_t bits;
};

WISP_DEVICE float to_f32(float x)
{
    return x;
}

WISP_DEVICE float to_f32(bf16 x)
{
    return __uint_as_float(static_cast<uint32_t>(x.bits) << 16);
}

/* To nearest even; NaN stays NaN. */
template <class T> WISP_DEVICE T from_f32(float x);

template <> WISP_DEVICE float from_f32<float>(float x)
{
    return x;
}

template <> WISP_DEVICE bf16 from_f32<bf16>(float x)
{
    bf16 y;
#ifdef __CUDACC__
    y.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); /* one instruction */
#else
    const uint32_t u = __float_as_uint(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        y.bits = static_cast<uint16_t>((u >> 16) | 0x40u);
    else
        y.bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
    return y;
}

/* Two neighbours in one word, `a` before `b`. */
WISP_DEVICE uint32_t bf16_pair(float a, float b)
{
#ifdef __CUDACC__
    const __nv_bfloat162 both = __floats2bfloat162_rn(a, b); /* one instruction */
    return *reinterpret_cast<const uint32_t *>(&both);
#else
    return from_f32<bf16>(a).bits | static_cast<uint32_t>(from_f32<bf16>(b).bits) << 16;
#endif
}

/* Four neighbours in one access; the address must be aligned to it (16 bytes f32, 8 bytes bf16). */
struct four {
    float v[4];
};

WISP_DEVICE four load4(const float *p)
{
    const float4 x = *reinterpret_cast<const float4 *>(p);
    four r = {{x.x, x.y, x.z, x.w}};
    return r;
}

WISP_DEVICE four load4(const bf16 *p)
{
    const uint2 x = *reinterpret_cast<const uint2 *>(p);
    four r = {{__uint_as_float(x.x << 16), __uint_as_float(x.x & 0xffff0000u),
               __uint_as_float(x.y << 16), __uint_as_float(x.y & 0xffff0000u)}};
    return r;
}

WISP_DEVICE void store4(float *p, const four &x)
{
    *reinterpret_cast<float4 *>(p) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
}

WISP_DEVICE void store4(bf16 *p, const four &x)
{
    *reinterpret_cast<uint2 *>(p) =
        make_uint2(bf16_pair(x.v[0], x.v[1]), bf16_pair(x.v[2], x.v[3]));
}

/* --- indices --- */

/* Of a one-dimensional grid: this thread among all, and their number. */
WISP_DEVICE int64_t thread_index()
{
    return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

WISP_DEVICE int64_t thread_count()
{
    return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

/* --- sums --- */

/* Over the warp; every lane gets it. */
WISP_DEVICE float warp_sum(float x)
{
    for (int offset = 16; offset > 0; offset /= 2)
        x += __shfl_xor_sync(WISP_FULL_WARP, x, offset);
    return x;
}

WISP_DEVICE float warp_max(float x)
{
    for (int offset = 16; offset > 0; offset /= 2)
        x = fmaxf(x, __shfl_xor_sync(WISP_FULL_WARP, x, offset));
    return x;
}

/* Over the block, whose size is a multiple of 32; every thread gets it. `room` is a shared array of
 * 32 floats that nobody else uses until all threads are past the next barrier. */
WISP_DEVICE float block_sum(float x, float *room)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    x = warp_sum(x);
    __syncthreads(); /* room may still be read from an earlier call */
    if (lane == 0)
        room[warp] = x;
    __syncthreads();
    return warp_sum(lane < n_warps ? room[lane] : 0.0f);
}

WISP_DEVICE float block_max(float x, float *room)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0)
        room[warp] = x;
    __syncthreads();
    return warp_max(room[lane < n_warps ? lane : 0]);
}

#endif
