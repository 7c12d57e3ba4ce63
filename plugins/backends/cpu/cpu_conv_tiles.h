/* cpu_conv_tiles.h - convolutions as products of tiles that gather their windows from a map.
 *
 * Where an output pixel lies is a sum: its row, its column and its image each move it by a
 * constant. So does a tap of the window. The source map is laid out with a few images side by side,
 *
 *   [block of 32 channels][part][row][plane][column][image][32 channels]
 *
 * so 16 neighbours in it, a tile, are pixels of the same row in as many columns and images as it
 * takes, and the same 16 pixels under another tap are a tile elsewhere. No window is written down.
 * Columns that a stride visits together are a plane; zeros surround the map, but rows and columns
 * of taps that fall into them are skipped where all of a block does.
 *
 * The gradient of the input gathers too. With a stride, its pixels are divided into phases, each of
 * which sees some taps of the window only. */
#ifndef CPU_CONV_TILES_H
#define CPU_CONV_TILES_H

#include "cpu_device.h"

enum { CPU_TILES_TAPS = 64, CPU_TILES_TILE = 16, CPU_TILES_BLOCK = 32, CPU_TILES_VALUES = 512 };
/* Values behind a block of channels: a row may end in the midst of a tile. */
enum { CPU_TILES_SLACK = 1024 };

/* Source row of a tap: that of the output times row_step, plus `row`; columns likewise. */
typedef struct cpu_tiles_tap {
    int32_t index; /* in the window */
    int32_t row, plane, column;
    int32_t last_column; /* of the map, in the plane */
    int64_t shift;       /* positions from the place of the output */
} cpu_tiles_tap;

/* Taps in one row of the source. */
typedef struct cpu_tiles_bar {
    int32_t first, count;
} cpu_tiles_bar;

/* Outputs (row + i * step_h, column + j * step_w). */
typedef struct cpu_tiles_phase {
    int32_t row, column, first_bar, n_bars, first_tap, n_taps;
    int64_t rows, columns;
} cpu_tiles_phase;

/* 32 outputs of a phase as two tiles. */
typedef struct cpu_tiles_block {
    int64_t at[2];    /* positions in the layout */
    int64_t row[2];   /* of the phase */
    int64_t first[2]; /* position in that row, counted from its first output */
    const cpu_tiles_phase *phase;
    uint64_t taps; /* those that meet the map */
} cpu_tiles_block;

typedef struct cpu_tiles_map {
    int64_t h, w, c;
} cpu_tiles_map;

typedef struct cpu_tiles {
    cpu_tiles_map from, to;
    int64_t n, group, n_groups; /* images, and how many lie side by side */
    int64_t grain;              /* a row of outputs takes a multiple of so many positions */
    int64_t step_h, step_w;     /* from output to output of a phase */
    int64_t row_step, planes;   /* from source to source of neighbouring outputs */
    int64_t min_row, max_row, min_column;
    int64_t columns;          /* stored, of a plane */
    int64_t band, n_bands;    /* rows of outputs in a piece */
    int64_t k_blocks, panels; /* blocks of 32 channels: of the source, of the outputs */
    int64_t part, block;      /* values from part to part, from block to block of channels */
    int64_t max_blocks;       /* of outputs in a piece */
    int32_t n_taps, n_bars, n_phases;
    cpu_tiles_tap taps[CPU_TILES_TAPS];
    cpu_tiles_bar bars[CPU_TILES_TAPS];
    cpu_tiles_phase phases[CPU_TILES_TAPS];
} cpu_tiles;

/* A piece of the work: some rows of a group of images. */
typedef struct cpu_tiles_piece {
    int64_t group, first, last; /* rows of every phase */
} cpu_tiles_piece;

/* What a layout is for. In CPU_TILES_WEIGHTS, outputs are taken by 32 and groups are even. */
enum { CPU_TILES_FORWARD, CPU_TILES_INPUT, CPU_TILES_WEIGHTS };

/* Refuses what tiles cannot or should not do. `x`, `w` and `y` are those of the forward call, and y
 * has to have `pixels`. */
wisp_status cpu_tiles_judge(const cpu_device *device, const wisp_kernel_request *request,
                            const wisp_desc *x, const wisp_desc *w, const wisp_desc *y,
                            int64_t pixels, wisp_error *err);
/* `x` and `y` are maps of the forward call; a piece should take up to `bytes`. NULL, or why there
 * is no plan. */
const char *cpu_tiles_plan(const wisp_conv2d_attrs *a, const int64_t *x, const int64_t *w,
                           const int64_t *y, int pass, int64_t bytes, cpu_tiles *t);
/* Cuts pieces smaller until there are `wanted`, where that is possible. */
void cpu_tiles_cut(cpu_tiles *t, int64_t wanted);
cpu_tiles_piece cpu_tiles_piece_at(const cpu_tiles *t, int64_t i);
/* Outputs of a piece as blocks; returns their number. */
int64_t cpu_tiles_list(const cpu_tiles *t, const cpu_tiles_piece *piece, cpu_tiles_block *blocks);

static inline int64_t cpu_tiles_pieces(const cpu_tiles *t)
{
    return t->n_groups * t->n_bands;
}

/* Rows of the source that a piece takes. */
static inline int64_t cpu_tiles_rows(const cpu_tiles *t, const cpu_tiles_piece *piece)
{
    return (piece->last - piece->first - 1) * t->row_step + t->max_row - t->min_row + 1;
}

static inline size_t cpu_tiles_bytes(const cpu_tiles *t)
{
    return cpu_align64((size_t)(t->k_blocks * t->block) * 2);
}

#endif
