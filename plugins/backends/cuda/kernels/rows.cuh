/* rows.cuh - a team of threads for each row (cuts.h): a warp, or the block where rows are long. */
#ifndef CUDA_KERNELS_ROWS_CUH
#define CUDA_KERNELS_ROWS_CUH

#include "cuts.h"
#include "packs.cuh"

namespace
{

/* Rows `first`, first + step, ... below the cut's n are this team's. */
struct row_team {
    int64_t first, step;
    int32_t lane, size;
    float *room; /* shared, 32 floats; NULL: the team is a warp */
};

WISP_DEVICE row_team row_team_of(const row_cut &c, float *room)
{
    row_team t;
    if (c.whole_block) {
        t.first = blockIdx.x;
        t.step = gridDim.x;
        t.lane = static_cast<int32_t>(threadIdx.x);
        t.size = static_cast<int32_t>(blockDim.x);
        t.room = room;
        return t;
    }
    const int64_t warps = blockDim.x / 32;
    t.first = blockIdx.x * warps + threadIdx.x / 32;
    t.step = gridDim.x * warps;
    t.lane = static_cast<int32_t>(threadIdx.x % 32);
    t.size = 32;
    t.room = nullptr;
    return t;
}

WISP_DEVICE float team_sum(const row_team &t, float x)
{
    return t.room ? block_sum(x, t.room) : warp_sum(x);
}

/* Of numbers; a NaN is passed over. */
WISP_DEVICE float team_max(const row_team &t, float x)
{
    return t.room ? block_max(x, t.room) : warp_max(x);
}

/* work(i, values) for the packs of a row that are this thread's: two loads wait together. */
template <int N, class T, class WORK>
WISP_DEVICE void each_pack(const row_team &t, const T *x, int64_t length, WORK work)
{
    const int64_t step = static_cast<int64_t>(t.size) * N;
    for (int64_t i = static_cast<int64_t>(t.lane) * N; i < length; i += 2 * step) {
        const int64_t j = i + step < length ? i + step : i;
        const raw<T, N> p = load_raw<N>(x + i), q = load_raw<N>(x + j);
        work(i, spread(p));
        if (j != i)
            work(j, spread(q));
    }
}

/* work(i, values of x, values of y): both rows are of one length. */
template <int N, class X, class Y, class WORK>
WISP_DEVICE void each_two(const row_team &t, const X *x, const Y *y, int64_t length, WORK work)
{
    const int64_t step = static_cast<int64_t>(t.size) * N;
    for (int64_t i = static_cast<int64_t>(t.lane) * N; i < length; i += 2 * step) {
        const int64_t j = i + step < length ? i + step : i;
        const raw<X, N> px = load_raw<N>(x + i), qx = load_raw<N>(x + j);
        const raw<Y, N> py = load_raw<N>(y + i), qy = load_raw<N>(y + j);
        work(i, spread(px), spread(py));
        if (j != i)
            work(j, spread(qx), spread(qy));
    }
}

} // namespace

#endif
