/* softgpu_probe.cu - kernels that test the software device: right ones, and some that a device
 * would not survive. */
#include "on_host.h"

#include "softgpu_probe.h"

/* y[i] = x[i] + 1; what is beyond n is the caller's mistake. */
WISP_KERNEL(probe_add_one, probe_args)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < a.n)
        a.y[i] = a.x[i] + 1.0f;
}

static const unsigned int everyone = 0xffffffffu;

WISP_DEVICE float warp_sum(float value)
{
    for (int step = 16; step > 0; step >>= 1)
        value += __shfl_xor_sync(everyone, value, step);
    return value;
}

/* One sum for each block. */
WISP_KERNEL(probe_block_sum, probe_args)
{
    __shared__ float part[32];
    float sum = 0.0f;
    for (int64_t i = threadIdx.x; i < a.n; i += blockDim.x)
        sum += a.x[(int64_t)blockIdx.x * a.n + i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < (blockDim.x + 31) / 32 ? part[threadIdx.x] : 0.0f;
        sum = warp_sum(sum);
    }
    if (threadIdx.x == 0)
        a.y[blockIdx.x] = sum;
}

/* Reverses n values within the block; without its barrier (choice 1) it would read what others have
 * not written yet. */
WISP_KERNEL(probe_reverse, probe_args)
{
    WISP_DYNAMIC_SHARED(float, held);
    held[threadIdx.x] = a.x[threadIdx.x];
    if (a.choice == 0)
        __syncthreads();
    a.y[threadIdx.x] = held[a.n - 1 - threadIdx.x];
}

/* Each lane's view of the others: [kind][lane] for the kinds below. */
WISP_KERNEL(probe_lanes, probe_args)
{
    const int lane = (int)threadIdx.x;
    const float seen[] = {
        __shfl_sync(everyone, a.x[lane], lane + 3),
        __shfl_up_sync(everyone, a.x[lane], 2),
        __shfl_down_sync(everyone, a.x[lane], 5),
        __shfl_xor_sync(everyone, a.x[lane], 9),
        __shfl_down_sync(everyone, a.x[lane], 1, 8),
        (float)__shfl_sync(everyone, (long long)lane << 40, 7, 16),
        (float)__popc(__ballot_sync(everyone, a.x[lane] > 10.0f)),
        __any_sync(everyone, lane == 31) ? 1.0f : 0.0f,
        __all_sync(everyone, lane < 31) ? 1.0f : 0.0f,
    };
    for (int kind = 0; kind < 9; kind++)
        a.y[kind * 32 + lane] = seen[kind];
}

/* Where each thread of a grid in three dimensions stands. */
WISP_KERNEL(probe_place, probe_args)
{
    const unsigned int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    __syncthreads();
    a.y[block * blockDim.x * blockDim.y * blockDim.z + thread] = (float)(block * 1000 + thread);
}

/* Writes n bytes beyond the end of what it was given when choice is 1. */
WISP_KERNEL(probe_overrun, probe_args)
{
    unsigned char *bytes = reinterpret_cast<unsigned char *>(a.y);
    bytes[a.n + threadIdx.x] = 1;
}

/* Threads part at a barrier, in as many ways as there are choices. */
WISP_KERNEL(probe_part, probe_args)
{
    if (a.choice == 0 && threadIdx.x == 40)
        return;
    if (a.choice == 1 && threadIdx.x < 7) {
        __syncthreads();
        return;
    }
    if (a.choice == 2 && threadIdx.x == 3)
        __syncwarp();
    if (a.choice == 3)
        __syncwarp(0x0000ffffu);
    if (a.choice == 4 && threadIdx.x != 33)
        a.y[threadIdx.x] = warp_sum(1.0f);
    __syncthreads();
}

/* Shared variables that nobody has set hold no numbers. */
WISP_KERNEL(probe_unset, probe_args)
{
    __shared__ float fixed[4];
    WISP_DYNAMIC_SHARED(float, dynamic);
    if (a.choice == 0) {
        a.y[0] = fixed[3];
        a.y[1] = dynamic[3];
    }
    fixed[3] = dynamic[3] = 1.0f;
}

/* Four floats in one access, which is aligned to its size when choice is a multiple of four. */
WISP_KERNEL(probe_vector, probe_args)
{
    *reinterpret_cast<float4 *>(a.y) = *reinterpret_cast<const float4 *>(a.x + a.choice);
}
