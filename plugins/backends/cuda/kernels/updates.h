/* updates.h - arguments of the kernels that update parameter stores. */
#ifndef CUDA_KERNELS_UPDATES_H
#define CUDA_KERNELS_UPDATES_H

#include "segment_row.h"

/* What the plan leaves for every segment, four numbers. */
enum { SEGMENT_LR, SEGMENT_WD, SEGMENT_RATIO, SEGMENT_NUMBERS = 4 };

/* Where a member is not of use to an operation it is NULL or 0. */
typedef struct optimizer_args {
    segment_table segments;
    segment_table pairs; /* adamw_ema_update: of the average; rows NULL: none */
    float *p;
    const float *grad;
    float *m, *v; /* m: the momentum of sgd and lars too */
    float *target;
    const float *source, *stays; /* ema */
    const float *rules, *lr, *wd;
    int64_t *step;
    float *norms;
    /* scratch */
    float *numbers;
    double *sum_a, *sum_b; /* of each chunk */
    int64_t *follows;      /* where in target a segment's average stands; -1: nowhere */
    int32_t *followed;     /* of each pair: 1 where it is averaged with its segment */
    double beta1, beta2, eps;
    double momentum, trust, limit;
    int32_t nesterov, own_steps, want_norms, per_segment;
    int32_t by_four; /* the stores begin where four elements can be read at once */
    int32_t reserved;
} optimizer_args;

#endif
