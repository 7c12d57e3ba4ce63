/* memory_plan.h - offsets for blocks whose times of use are known. */
#ifndef WISPI_TENSOR_MEMORY_PLAN_H
#define WISPI_TENSOR_MEMORY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/status.h"

typedef struct wispi_plan_block {
    int64_t bytes;       /* in */
    int32_t first, last; /* in: inclusive times between which the content must hold */
    int64_t offset;      /* out: a multiple of 64 */
} wispi_plan_block;

/* Places the blocks so that no two whose times overlap share memory; `*total` is what all need
 * together. Greedy by size, lowest fitting gap first: within a few per cent of the lower bound (the
 * largest sum of blocks alive at once) on the networks that were tried. */
wisp_status wispi_memory_plan(wispi_plan_block *blocks, int32_t n, int64_t *total, wisp_error *err);

#endif
