/* cuda_cuts.c - plans for work on rows and on columns. */
#include "cuda_cuts.h"
#include "cuda_wide.h"

enum { ROW_THREADS = 256, MOST_THREADS = 512, MOST_TILE = 32 };

row_plan cuda_row_plan(int64_t n, int64_t length, int32_t per_access)
{
    /* A warp has up to 8 accesses of each of its threads to do before a block is better. */
    return (row_plan){
        .cut = {.n = n, .length = length, .whole_block = length > (int64_t)per_access * 32 * 8},
        .per_access = per_access};
}

row_plan cuda_row_plan_of(const wisp_desc *x)
{
    const int64_t length = x->shape[x->rank - 1];
    return cuda_row_plan(wisp_desc_count(x) / length, length, cuda_per_access(x->dtype));
}

row_cut cuda_row_pick(const row_plan *plan, uintptr_t addresses)
{
    row_cut cut = plan->cut;
    cut.wide = cut.length % plan->per_access == 0 && addresses % 16 == 0;
    return cut;
}

cuda_grid cuda_row_grid(const cuda_device *device, const row_cut *cut)
{
    const uint32_t threads = cut->whole_block && cut->length > 16384 ? MOST_THREADS : ROW_THREADS;
    const int64_t teams = cut->whole_block ? 1 : threads / 32;
    const int64_t wanted = cuda_ceil_div(cut->n, teams);
    const int64_t most = (int64_t)device->n_multiprocessors * 64;
    return (cuda_grid){.x = (uint32_t)(wanted < most ? wanted : most), .threads = threads};
}

/* Accesses of `n` elements. */
static column_cut cut_columns(const cuda_device *device, const column_cut *shape, int32_t n,
                              int32_t turns, int32_t blocks)
{
    column_cut c = *shape;
    const int64_t needed = cuda_ceil_div(c.columns, n), packs = needed > 0 ? needed : 1;
    c.n_tiles = (int32_t)cuda_ceil_div(packs, MOST_TILE);
    c.tile = (int32_t)cuda_ceil_div(packs, c.n_tiles);
    c.lanes = COLUMN_THREADS / c.tile;
    const int64_t least = (int64_t)c.lanes * turns;
    const int64_t room = cuda_ceil_div((int64_t)device->n_multiprocessors * blocks,
                                       c.n_tiles * (c.outer > 0 ? c.outer : 1));
    const int64_t chunk = cuda_ceil_div(c.rows, room);
    c.chunk = chunk > least ? chunk : least;
    c.n_chunks = (int32_t)cuda_ceil_div(c.rows, c.chunk);
    c.n_chunks = c.n_chunks > 0 ? c.n_chunks : 1;
    c.wide = n > 1;
    return c;
}

column_plan cuda_column_plan(const cuda_device *device, const column_cut *shape, int32_t per_access,
                             int32_t turns, int32_t blocks)
{
    column_plan plan = {.narrow = cut_columns(device, shape, 1, turns, blocks)};
    if (shape->columns % per_access == 0)
        plan.wide = cut_columns(device, shape, per_access, turns, blocks);
    return plan;
}

const column_cut *cuda_column_pick(const column_plan *plan, uintptr_t addresses)
{
    return plan->wide.n_tiles > 0 && addresses % 16 == 0 ? &plan->wide : &plan->narrow;
}

size_t cuda_partial_bytes(const column_plan *plan, int32_t floats)
{
    const int64_t narrow = plan->narrow.n_chunks, wide = plan->wide.n_chunks;
    const int64_t results = plan->narrow.outer * plan->narrow.columns;
    return (size_t)(results * (narrow > wide ? narrow : wide) * floats) * sizeof(float);
}

cuda_grid cuda_column_grid(const column_cut *cut)
{
    return (cuda_grid){.x = (uint32_t)(cut->outer * cut->n_chunks * cut->n_tiles),
                       .threads = COLUMN_THREADS};
}

cuda_grid cuda_finish_grid(const column_cut *cut)
{
    return (cuda_grid){.x = (uint32_t)cuda_ceil_div(cut->outer * cut->columns, FINISH_COLUMNS),
                       .threads = FINISH_COLUMNS * FINISH_LANES};
}
