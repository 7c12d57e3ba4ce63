/* rows_move.h - arguments of the kernels behind concat, slice and slice_grad: y is a number of
 * rows, each the sequence of some parts; a part comes from an argument or is zeros. */
#ifndef CUDA_KERNELS_ROWS_MOVE_H
#define CUDA_KERNELS_ROWS_MOVE_H

#include "division.h"

enum { ROWS_MOVE_PARTS = 16 };

/* In words. */
typedef struct rows_move_part {
    const void *x;       /* NULL: zeros */
    int64_t from, pitch; /* in x: offset of the first row's part, distance of the rows */
    int64_t to, length;  /* in a row of y */
} rows_move_part;

typedef struct rows_move_args {
    void *y;
    int64_t n; /* words of y */
    division row;
    int32_t n_parts, reserved;
    rows_move_part parts[ROWS_MOVE_PARTS];
} rows_move_args;

#endif
