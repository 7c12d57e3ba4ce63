/* gather.h - arguments of the kernels that gather rows: x (B,T,row), index (B,M), y (B,M,row). */
#ifndef CUDA_KERNELS_GATHER_H
#define CUDA_KERNELS_GATHER_H

#include "division.h"

typedef struct gather_args {
    const void *x; /* gradient: dy */
    const int64_t *index;
    void *y;               /* gradient: dx */
    int64_t n;             /* words of y; gradient: vectors of dx */
    int64_t tokens, picks; /* T, M */
    division row, picked;  /* words of a row; M; gradient: vectors of a row, T */
    uint32_t missing;      /* stands where the index is outside: NaN or 0, repeated */
    uint32_t reserved;
    /* gradient, scratch of B * T each: who picks a row first, and how many do */
    int32_t *first, *count;
    int64_t n_rows, n_picks; /* B * T, B * M */
} gather_args;

#endif
