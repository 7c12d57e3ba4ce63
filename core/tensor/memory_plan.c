#include "tensor/memory_plan.h"

#include <stdlib.h>

#include "base/memory.h"

typedef struct order_entry {
    int64_t bytes;
    int32_t index;
} order_entry;

static int larger_first(const void *a, const void *b)
{
    const order_entry *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Lowest offset at which `block` touches none of the placed blocks, which are sorted by offset. */
static int64_t lowest_gap(const wispi_plan_block *blocks, const int32_t *placed, int32_t n_placed,
                          const wispi_plan_block *block)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < n_placed; i++) {
        const wispi_plan_block *other = &blocks[placed[i]];
        if (other->last < block->first || other->first > block->last)
            continue;
        if (other->offset - offset >= block->bytes)
            break;
        int64_t end = other->offset + other->bytes;
        if (end > offset)
            offset = end;
    }
    return offset;
}

static void insert_by_offset(const wispi_plan_block *blocks, int32_t *placed, int32_t n_placed,
                             int32_t index)
{
    int32_t at = n_placed;
    while (at > 0 && blocks[placed[at - 1]].offset > blocks[index].offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = index;
}

wisp_status wispi_memory_plan(wispi_plan_block *blocks, int32_t n, int64_t *total, wisp_error *err)
{
    order_entry *order = wispi_alloc((size_t)(n ? n : 1) * sizeof *order);
    int32_t *placed = wispi_alloc((size_t)(n ? n : 1) * sizeof *placed);
    if (!order || !placed) {
        wispi_free(order);
        wispi_free(placed);
        return wisp_fail(err, WISP_E_NOMEM, "no memory to plan %d tensors", n);
    }
    for (int32_t i = 0; i < n; i++) {
        blocks[i].bytes = (blocks[i].bytes + 63) & ~(int64_t)63;
        order[i] = (order_entry){blocks[i].bytes, i};
    }
    qsort(order, (size_t)n, sizeof *order, larger_first);
    int64_t end = 0;
    for (int32_t i = 0; i < n; i++) {
        wispi_plan_block *block = &blocks[order[i].index];
        block->offset = lowest_gap(blocks, placed, i, block);
        insert_by_offset(blocks, placed, i, order[i].index);
        if (block->offset + block->bytes > end)
            end = block->offset + block->bytes;
    }
    wispi_free(order);
    wispi_free(placed);
    *total = end;
    return WISP_OK;
}
