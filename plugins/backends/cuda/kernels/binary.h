/* binary.h - arguments of the functions of two values with broadcasting, and of broadcasting alone.
 *
 * Dimensions are joined as far as the operands allow. The last one is a row, in which an operand
 * either runs along or stands still. */
#ifndef CUDA_KERNELS_BINARY_H
#define CUDA_KERNELS_BINARY_H

#include <stdint.h>

enum { BINARY_MAX_RANK = 6 };

/* How the elements of y meet those of two operands; for one operand the second is as the first. */
typedef struct binary_walk {
    int64_t size[BINARY_MAX_RANK];
    int64_t stride[2][BINARY_MAX_RANK]; /* 0: the operand stands still */
    int64_t row;                        /* size[rank - 1] */
    int64_t count;                      /* elements of y */
    int32_t rank;                       /* 1 or more */
    int32_t wide; /* rows divide into packs, and so do all addresses in them */
} binary_walk;

typedef struct binary_args {
    const void *a, *b;
    void *y;
    binary_walk walk;
    int32_t a_f32, b_f32; /* an operand that stands still is f32, whatever T is */
} binary_args;

typedef struct broadcast_args {
    const void *x;
    void *y;
    binary_walk walk;
    float scale;
} broadcast_args;

#endif
