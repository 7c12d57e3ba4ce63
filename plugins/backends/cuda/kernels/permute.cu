// permute.cu - dimensions in another order. Every word is read once and written once.
#include "permute.h"
#include "words.cuh"

namespace
{

template <class W> WISP_DEVICE void permute_words(const permute_args &a)
{
    const W *x = static_cast<const W *>(a.x);
    write_words<W>(a.y, a.n, [&](int64_t i) {
        int64_t from = 0, at;
        for (int d = a.rank - 1; d >= 0; d--) {
            i = split(a.size[d], i, &at);
            from += at * a.stride[d];
        }
        return x[from];
    });
}

/* 256 threads. A tile is read along x and written along y, a row of 32 by a warp. */
template <class W> WISP_DEVICE void permute_tile(const permute_tile_args &a, int64_t tile)
{
    __shared__ W room[PERMUTE_TILE][PERMUTE_TILE + 1];
    const int lane = threadIdx.x % PERMUTE_TILE, first = threadIdx.x / PERMUTE_TILE;
    int64_t tx, ty, at, from = 0, to = 0;
    int64_t rest = split(a.tiles_x, tile, &tx);
    rest = split(a.tiles_y, rest, &ty);
    for (int d = a.rank - 1; d >= 0; d--) {
        rest = split(a.size[d], rest, &at);
        from += at * a.stride_x[d];
        to += at * a.stride_y[d];
    }
    tx *= PERMUTE_TILE;
    ty *= PERMUTE_TILE;
    const W *x = static_cast<const W *>(a.x) + from;
    W *y = static_cast<W *>(a.y) + to;
    for (int r = first; r < PERMUTE_TILE; r += 8)
        if (tx + lane < a.size_x && ty + r < a.size_y)
            room[r][lane] = x[(ty + r) * a.step_x + tx + lane];
    __syncthreads();
    for (int r = first; r < PERMUTE_TILE; r += 8)
        if (tx + r < a.size_x && ty + lane < a.size_y)
            y[(tx + r) * a.step_y + ty + lane] = room[lane][r];
    __syncthreads(); /* before the next tile */
}

template <class W> WISP_DEVICE void permute_tiles(const permute_tile_args &a)
{
    for (int64_t tile = blockIdx.x; tile < a.n; tile += gridDim.x)
        permute_tile<W>(a, tile);
}

} // namespace

WISP_KERNEL(permute_words_16, permute_args)
{
    permute_words<uint4>(a);
}
WISP_KERNEL(permute_words_8, permute_args)
{
    permute_words<uint2>(a);
}
WISP_KERNEL(permute_words_4, permute_args)
{
    permute_words<uint32_t>(a);
}
WISP_KERNEL(permute_words_2, permute_args)
{
    permute_words<uint16_t>(a);
}
WISP_KERNEL(permute_words_1, permute_args)
{
    permute_words<uint8_t>(a);
}

WISP_KERNEL(permute_tiles_8, permute_tile_args)
{
    permute_tiles<uint2>(a);
}
WISP_KERNEL(permute_tiles_4, permute_tile_args)
{
    permute_tiles<uint32_t>(a);
}
WISP_KERNEL(permute_tiles_2, permute_tile_args)
{
    permute_tiles<uint16_t>(a);
}
WISP_KERNEL(permute_tiles_1, permute_tile_args)
{
    permute_tiles<uint8_t>(a);
}
