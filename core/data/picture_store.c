/* picture_store.c - memory grows between batches and never while workers write into it: what does
 * not fit waits in memory of its own. Sizes of batches vary little, so that happens at first and
 * then seldom. */
#include "data/picture_store.h"

#include <string.h>

#include "base/memory.h"

enum { ALIGN = 64 };

static wisp_status alloc_memory(const wispi_feed_memory *from, size_t bytes, void **memory,
                                wisp_error *err)
{
    if (from->alloc)
        return from->alloc(from->user, bytes, memory, err);
    *memory = wispi_alloc(bytes);
    return *memory ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for a batch's pictures");
}

static void free_memory(const wispi_feed_memory *from, void *memory)
{
    if (memory && from->alloc)
        from->free(from->user, memory);
    else if (memory)
        wispi_free(memory);
}

wisp_status wispi_picture_store_open(wispi_picture_store *store, const wispi_feed_memory *from,
                                     int64_t n, wisp_error *err)
{
    store->from = from;
    store->spilled = wispi_alloc_array((size_t)n, sizeof *store->spilled);
    if (!store->spilled)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the pictures of %lld samples",
                         (long long)n);
    store->n = n;
    return WISP_OK;
}

void wispi_picture_store_empty(wispi_picture_store *store)
{
    for (int64_t i = 0; i < store->n; i++) {
        wispi_free(store->spilled[i].pixels);
        store->spilled[i] = (wispi_spilled_picture){NULL, 0, 0};
    }
    atomic_store(&store->used, 0);
}

void wispi_picture_store_close(wispi_picture_store *store)
{
    wispi_picture_store_empty(store);
    if (store->from)
        free_memory(store->from, store->memory);
    wispi_free(store->spilled);
    memset(store, 0, sizeof *store);
}

wisp_status wispi_picture_store_take(wispi_picture_store *store, int64_t sample, size_t bytes,
                                     int64_t *offset, uint8_t **pixels, wisp_error *err)
{
    const size_t at = atomic_fetch_add(&store->used, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    *offset = (int64_t)at;
    if (at <= store->capacity && bytes <= store->capacity - at) {
        *pixels = store->memory + at;
        return WISP_OK;
    }
    uint8_t *apart = wispi_alloc(bytes);
    if (!apart)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %zu bytes of pixels of a sample", bytes);
    wispi_free(store->spilled[sample].pixels);
    store->spilled[sample] = (wispi_spilled_picture){apart, at, bytes};
    *pixels = apart;
    return WISP_OK;
}

wisp_status wispi_picture_store_reserve(wispi_picture_store *store, size_t capacity,
                                        wisp_error *err)
{
    void *memory = NULL;
    if (capacity <= store->capacity)
        return WISP_OK;
    WISP_TRY(alloc_memory(store->from, capacity, &memory, err));
    if (store->capacity)
        memcpy(memory, store->memory, store->capacity);
    free_memory(store->from, store->memory);
    store->memory = memory;
    store->capacity = capacity;
    return WISP_OK;
}

wisp_status wispi_picture_store_settle(wispi_picture_store *store, wisp_error *err)
{
    const size_t used = atomic_load(&store->used);
    if (used <= store->capacity)
        return WISP_OK;
    WISP_TRY(wispi_picture_store_reserve(store, used + used / 4, err));
    for (int64_t i = 0; i < store->n; i++) {
        wispi_spilled_picture *s = &store->spilled[i];
        if (s->pixels)
            memcpy(store->memory + s->offset, s->pixels, s->bytes);
        wispi_free(s->pixels);
        s->pixels = NULL;
    }
    return WISP_OK;
}
