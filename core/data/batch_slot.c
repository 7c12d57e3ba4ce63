/* batch_slot.c - one block a slot, cut into the parts of a batch. */
#include "data/batch_slot.h"

#include "base/memory.h"
#include "wisp/kernels.h"

enum { PARTS = WISP_MAX_VIEW_GROUPS + 7 };

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static int32_t part_sizes(const wispi_feed_options *options, const wisp_view_group *groups,
                          int32_t n_groups, size_t sizes[PARTS])
{
    size_t batch = (size_t)options->batch, views = 0;
    int32_t n = 0;
    for (; n < n_groups; n++) {
        const wisp_view_group *group = &groups[n];
        views += (size_t)group->count;
        sizes[n] = options->as_plans ? 0
                                     : aligned((size_t)group->count * batch * (size_t)group->width *
                                               (size_t)group->height * 3 *
                                               (size_t)wisp_dtype_bytes(options->dtype));
    }
    sizes[n++] = aligned(batch * sizeof(int64_t));
    sizes[n++] = aligned(batch * sizeof(int64_t));
    sizes[n++] = aligned(views * batch * 4 * sizeof(float));
    sizes[n++] = aligned(views * batch * sizeof(float));
    sizes[n++] = aligned(batch * 2 * sizeof(float));
    const size_t rows = options->as_plans ? views * batch : 0;
    sizes[n++] = aligned(rows * WISP_VIEW_COLUMNS * sizeof(int64_t));
    sizes[n++] = aligned(rows * WISP_MAX_PIXEL_OPS * 2 * sizeof(float));
    return n;
}

wisp_status wispi_batch_slot_fill(wispi_batch_slot *slot, const wispi_feed_options *options,
                                  const wisp_view_group *groups, int32_t n_groups, wisp_error *err)
{
    size_t sizes[PARTS], total = 0;
    void *parts[PARTS];
    int32_t n = part_sizes(options, groups, n_groups, sizes);
    for (int32_t i = 0; i < n; i++)
        total += sizes[i];
    slot->options = options;
    if (options->memory.alloc)
        WISP_TRY(options->memory.alloc(options->memory.user, total, &slot->memory, err));
    else
        slot->memory = wispi_alloc(total);
    slot->bytes = total;
    uint8_t *at = slot->memory;
    if (!at)
        return wisp_fail(err, WISP_E_NOMEM,
                         "no memory for a batch of %zu bytes: take a smaller batch", total);
    for (int32_t i = 0; i < n; at += sizes[i++])
        parts[i] = at;
    wispi_feed_batch *batch = &slot->batch;
    for (int32_t g = 0; g < n_groups; g++)
        batch->groups[g] = options->as_plans ? NULL : parts[g];
    void **rest = parts + n_groups;
    batch->index = rest[0];
    batch->label = options->dataset->n_classes(options->dataset_self) > 0 ? rest[1] : NULL;
    batch->boxes = rest[2];
    batch->flip = rest[3];
    batch->source = rest[4];
    if (!options->as_plans)
        return WISP_OK;
    batch->views = rest[5];
    batch->ops = rest[6];
    batch->store = &slot->pictures;
    return wispi_picture_store_open(&slot->pictures, &options->memory, options->batch, err);
}

size_t wispi_batch_slot_bytes(const wispi_batch_slot *slot)
{
    return slot->bytes + slot->pictures.capacity;
}

void wispi_batch_slot_free(wispi_batch_slot *slot)
{
    wispi_picture_store_close(&slot->pictures);
    if (slot->memory && slot->options->memory.alloc)
        slot->options->memory.free(slot->options->memory.user, slot->memory);
    else
        wispi_free(slot->memory);
}
