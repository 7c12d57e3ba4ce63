// segments.cuh - chunks of the active segments of a parameter store: their list, and the search in
// it.
#ifndef CUDA_SEGMENTS_CUH
#define CUDA_SEGMENTS_CUH

#include "kernel.cuh"
#include "segment_row.h"

namespace
{

enum { SEGMENT_ACTIVE = 1, SEGMENT_ADAPT = 2 };

/* Elements of a segment; 0 where it is not active or does not lie inside the stores. */
WISP_DEVICE int64_t segment_count(const segment_table &t, int64_t s)
{
    const int64_t *row = t.rows + 4 * s;
    const int64_t offset = row[0], count = row[1], source = row[3];
    if (!(row[2] & SEGMENT_ACTIVE) || offset < 0 || count < 0 || count > t.store ||
        offset > t.store - count)
        return 0;
    if (t.source_store >= 0 &&
        (source < 0 || count > t.source_store || source > t.source_store - count))
        return 0;
    return count;
}

/* Over the warp: x of this lane and of those before it. */
WISP_DEVICE int64_t warp_running_sum(int64_t x)
{
    for (int by = 1; by < 32; by *= 2) {
        const int64_t before = __shfl_up_sync(WISP_FULL_WARP, x, by);
        if (static_cast<int>(threadIdx.x % 32) >= by)
            x += before;
    }
    return x;
}

/* Over the block; every thread gets the whole sum in *all. */
WISP_DEVICE int64_t block_running_sum(int64_t x, int64_t *all)
{
    __shared__ int64_t room[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    x = warp_running_sum(x);
    __syncthreads();
    if (lane == 31)
        room[warp] = x;
    __syncthreads();
    *all = 0;
    for (int w = 0; w < n_warps; w++) {
        if (w == warp)
            x += *all;
        *all += room[w];
    }
    return x;
}

/* Over the block, in one order; every thread gets it. */
WISP_DEVICE double block_sum_f64(double x)
{
    __shared__ double room[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_warps = blockDim.x / 32;
    for (int by = 16; by > 0; by /= 2)
        x += __shfl_xor_sync(WISP_FULL_WARP, x, by);
    __syncthreads();
    if (lane == 0)
        room[warp] = x;
    __syncthreads();
    x = 0;
    for (int w = 0; w < n_warps; w++)
        x += room[w];
    return x;
}

/* One block fills t.first; count(s) are the elements of segment s that matter. */
template <class F> WISP_DEVICE void list_chunks(const segment_table &t, F count)
{
    int64_t before = 0, all;
    for (int64_t begin = 0; begin < t.n; begin += blockDim.x) {
        const int64_t s = begin + threadIdx.x;
        const int64_t own = s < t.n ? (count(s) + SEGMENT_CHUNK - 1) / SEGMENT_CHUNK : 0;
        const int64_t first = before + block_running_sum(own, &all) - own;
        if (s < t.n)
            t.first[s] = first < t.room ? first : t.room;
        before += all;
    }
    if (threadIdx.x == 0)
        t.first[t.n] = before < t.room ? before : t.room;
}

WISP_DEVICE int64_t chunk_count(const segment_table &t)
{
    return t.first[t.n];
}

struct segment_chunk {
    int64_t segment;
    int64_t at; /* in the segment */
    int64_t offset, source;
    int n;
};

/* The last segment whose first chunk is not behind this one. */
WISP_DEVICE segment_chunk find_chunk(const segment_table &t, int64_t chunk)
{
    int64_t low = 0, high = t.n;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (t.first[middle] <= chunk)
            low = middle;
        else
            high = middle;
    }
    const int64_t *row = t.rows + 4 * low;
    segment_chunk c;
    c.segment = low;
    c.at = (chunk - t.first[low]) * SEGMENT_CHUNK;
    c.offset = row[0] + c.at;
    c.source = row[3] + c.at;
    const int64_t rest = row[1] - c.at;
    c.n = static_cast<int>(rest < SEGMENT_CHUNK ? rest : +SEGMENT_CHUNK);
    return c;
}

/* Calls four(i) for the elements i .. i+3 of a chunk, and one(i) for what is left. */
template <class F, class G> WISP_DEVICE void each_of_chunk(int n, bool by_four, F four, G one)
{
    const int step = blockDim.x, whole = by_four ? n / 4 * 4 : 0;
    for (int i = 4 * threadIdx.x; i < whole; i += 4 * step)
        four(i);
    for (int i = whole + threadIdx.x; i < n; i += step)
        one(i);
}

} // namespace

#endif
