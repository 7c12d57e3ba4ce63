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

} // namespace

#endif
