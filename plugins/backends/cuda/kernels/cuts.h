/* cuts.h - how work on rows and on columns is dealt out to blocks. */
#ifndef CUDA_KERNELS_CUTS_H
#define CUDA_KERNELS_CUTS_H

#include <stdint.h>

/* One result a row: a warp each, or a block each where rows are long. */
typedef struct row_cut {
    int64_t n;      /* rows */
    int64_t length; /* elements of a row */
    int32_t whole_block;
    int32_t wide; /* rows divide into packs, and so do all addresses */
} row_cut;

/* One result a column of x (outer, rows, columns), or all elements with parameters by column.
 * Neighbouring threads take neighbouring packs of a row, and a block several rows at once; thus a
 * thread keeps to its columns. A block takes one tile of columns and one chunk of rows. */
typedef struct column_cut {
    int64_t outer, rows, columns;
    int64_t chunk; /* rows of a chunk */
    int32_t n_chunks;
    int32_t n_tiles;
    int32_t tile;  /* packs of a row in a tile */
    int32_t lanes; /* rows at once; tile * lanes is at most COLUMN_THREADS */
    int32_t wide;  /* rows divide into packs, and so do all addresses */
    int32_t reserved;
} column_cut;

enum { COLUMN_THREADS = 256 };

/* Partial results (chunks, columns) are joined by blocks of FINISH_COLUMNS * FINISH_LANES threads,
 * in an order that depends on the shape alone. */
enum { FINISH_COLUMNS = 8, FINISH_LANES = 32 };

#endif
