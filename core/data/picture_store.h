/* picture_store.h - the decoded pictures of one batch side by side, as a device takes them.
 *
 * Workers add pictures at the same time. How they lie depends on who came first; what a view shows
 * does not, since its row says where its picture is. */
#ifndef WISPI_DATA_PICTURE_STORE_H
#define WISPI_DATA_PICTURE_STORE_H

#include <stdatomic.h>

#include "data/feed.h"
#include "image/pixels.h"

/* A picture for which there was no room. */
typedef struct wispi_spilled_picture {
    uint8_t *pixels; /* NULL: none */
    size_t offset, bytes;
} wispi_spilled_picture;

typedef struct wispi_picture_store {
    const wispi_feed_memory *from;
    uint8_t *memory;
    size_t capacity;
    atomic_size_t used;             /* may exceed the capacity until the store is settled */
    wispi_spilled_picture *spilled; /* (n) by sample of the batch */
    int64_t n;
} wispi_picture_store;

/* `store` is zeroed, `from` outlives it; n samples at most. */
wisp_status wispi_picture_store_open(wispi_picture_store *store, const wispi_feed_memory *from,
                                     int64_t n, wisp_error *err);
void wispi_picture_store_close(wispi_picture_store *store);

/* Forgets the pictures of the batch before. */
void wispi_picture_store_empty(wispi_picture_store *store);
/* Room for the pixels of a sample, to be written by the caller; they begin at `offset`. [worker] */
wisp_status wispi_picture_store_take(wispi_picture_store *store, int64_t sample, size_t bytes,
                                     int64_t *offset, uint8_t **pixels, wisp_error *err);
/* Makes room for so many bytes; when no worker adds any, in the thread that made the store. */
wisp_status wispi_picture_store_reserve(wispi_picture_store *store, size_t bytes, wisp_error *err);
/* Puts all pictures in their places, in more memory if need be. When no worker adds any more, in
 * the thread that made the store. */
wisp_status wispi_picture_store_settle(wispi_picture_store *store, wisp_error *err);

#endif
