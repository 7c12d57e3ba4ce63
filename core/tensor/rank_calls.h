/* rank_calls.h - the raw collectives as operations of the host's own, f32 where they add. */
#ifndef WISPI_TENSOR_RANK_CALLS_H
#define WISPI_TENSOR_RANK_CALLS_H

#include "tensor/ranks.h"

typedef struct wispi_rank_attrs {
    const wispi_ranks *ranks;
    int32_t reduction;    /* WISP_REDUCE_OVER_RANKS_... */
    int32_t number;       /* start and wait: of the reduction */
    int64_t first, count; /* start: the elements that are reduced */
} wispi_rank_attrs;

/* x -> y (size*N,...) */
extern const wispi_op wispi_rank_gather;
/* x f32 -> y f32, which may be x */
extern const wispi_op wispi_rank_reduce;
/* The same of a gradient in place, which may be done in parts while backward runs. */
extern const wispi_op wispi_rank_average;
/* x f32 -> nothing: elements [first, first + count) of x are on their way. */
extern const wispi_op wispi_rank_start;
/* nothing -> x f32: they have arrived. */
extern const wispi_op wispi_rank_wait;

#endif
