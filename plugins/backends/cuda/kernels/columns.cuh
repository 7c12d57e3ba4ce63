/* columns.cuh - threads that keep to their columns (cuts.h), and sums over the rows. */
#ifndef CUDA_KERNELS_COLUMNS_CUH
#define CUDA_KERNELS_COLUMNS_CUH

#include "cuts.h"
#include "packs.cuh"

namespace
{

/* What this thread works on: rows first, first + step, ... below last, of N columns. */
struct column_seat {
    int64_t outer;       /* which of the outer ones */
    int64_t chunk;       /* which chunk of rows */
    int64_t begin, last; /* rows of the chunk */
    int64_t column;      /* the first one */
    int64_t tile_column; /* of the block */
    int32_t pack;        /* within the tile */
    int32_t lane;        /* within the rows at once */
    bool taken;          /* threads beyond the lanes or the columns only meet the others */
};

template <int N> WISP_DEVICE column_seat column_seat_of(const column_cut &c)
{
    column_seat s;
    const int64_t tile = blockIdx.x % c.n_tiles, rest = blockIdx.x / c.n_tiles;
    s.outer = rest / c.n_chunks;
    s.chunk = rest - s.outer * c.n_chunks;
    s.begin = s.chunk * c.chunk;
    s.last = s.begin + c.chunk < c.rows ? s.begin + c.chunk : c.rows;
    s.lane = static_cast<int32_t>(threadIdx.x) / c.tile;
    s.pack = static_cast<int32_t>(threadIdx.x) - s.lane * c.tile;
    s.tile_column = tile * c.tile * N;
    s.column = s.tile_column + s.pack * N;
    s.taken = s.lane < c.lanes && s.column < c.columns;
    return s;
}

/* Ways to join two values. */
struct adding {
    static WISP_DEVICE float none()
    {
        return 0.0f;
    }
    static WISP_DEVICE float join(float a, float b)
    {
        return a + b;
    }
};

/* The larger one; a NaN stays one. */
struct taking_larger {
    static WISP_DEVICE float none()
    {
        return -INFINITY;
    }
    static WISP_DEVICE float join(float a, float b)
    {
        return b > a || b != b ? b : a;
    }
};

/* Over the lanes of the block: the result of column tile_column + e ends in room[e]. All threads
 * call; values of those without a seat are not looked at. `room` has COLUMN_THREADS * N floats. */
template <class WAY, int N>
WISP_DEVICE void join_lanes(const column_cut &c, const column_seat &s, const pack<N> &x,
                            float *room)
{
    const int32_t width = c.tile * N;
    __syncthreads(); /* room may still be read from an earlier call */
    if (s.lane < c.lanes)
        for (int k = 0; k < N; k++)
            room[s.lane * width + s.pack * N + k] = s.taken ? x.v[k] : WAY::none();
    __syncthreads();
    for (int32_t e = static_cast<int32_t>(threadIdx.x); e < width; e += COLUMN_THREADS) {
        float all = room[e];
        for (int32_t lane = 1; lane < c.lanes; lane++)
            all = WAY::join(all, room[lane * width + e]);
        room[e] = all; /* what the first lane had there, which this thread alone reads */
    }
    __syncthreads();
}

/* In the blocks that join partial results (outer, chunks, columns): the result of this thread, one
 * of outer * columns, and its lane. */
struct finish_seat {
    int64_t result;
    int32_t lane, slot; /* slot: of shared arrays of FINISH_COLUMNS * FINISH_LANES */
};

WISP_DEVICE finish_seat finish_seat_of()
{
    finish_seat s;
    s.slot = static_cast<int32_t>(threadIdx.x);
    s.lane = s.slot / FINISH_COLUMNS;
    s.result = static_cast<int64_t>(blockIdx.x) * FINISH_COLUMNS + s.slot % FINISH_COLUMNS;
    return s;
}

/* Joins the chunks of a result; lane 0 gets it. */
template <class WAY>
WISP_DEVICE float finish(const finish_seat &s, const float *partial, const column_cut &c,
                         float *room)
{
    float all = WAY::none();
    if (s.result < c.outer * c.columns) {
        const int64_t outer = s.result / c.columns;
        const float *at = partial + outer * c.n_chunks * c.columns + s.result - outer * c.columns;
        for (int64_t k = s.lane; k < c.n_chunks; k += FINISH_LANES)
            all = WAY::join(all, at[k * c.columns]);
    }
    __syncthreads();
    room[s.slot] = all;
    for (int32_t half = FINISH_LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (s.lane < half)
            room[s.slot] = WAY::join(room[s.slot], room[s.slot + half * FINISH_COLUMNS]);
    }
    return room[s.slot];
}

} // namespace

#endif
