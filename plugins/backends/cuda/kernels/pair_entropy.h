/* pair_entropy.h - arguments of the cross-entropies between targets and views. */
#ifndef CUDA_KERNELS_PAIR_ENTROPY_H
#define CUDA_KERNELS_PAIR_ENTROPY_H

#include <stdint.h>

/* Rows are view-major: row v * samples + b is sample b in view v. */
typedef struct pair_entropy_args {
    const void *logits, *targets;
    const float *weights; /* (targets, views) */
    const float *dloss, *lse_in;
    float *loss, *pairs, *lse; /* forward */
    float *rows;               /* (targets, views, samples) cross-entropies of the rows */
    float *mass;               /* (targets, samples) sums of the target rows: gradient */
    void *dlogits;
    int64_t samples, classes;
    int64_t slices; /* gradient: blocks a sample */
    int32_t n_views, n_targets;
    float scale;
    int32_t wide; /* rows divide into packs of the logits, and so do all addresses */
} pair_entropy_args;

enum {
    PAIR_VIEWS = 4,     /* views of a block: forward */
    PAIR_TARGETS = 2,   /* targets that a block looks at together */
    PAIR_THREADS = 256, /* of a block */
    PAIR_FACTORS = 64   /* views of a block: gradient */
};

#endif
