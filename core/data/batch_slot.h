/* batch_slot.h - memory of one batch, used over and over. */
#ifndef WISPI_DATA_BATCH_SLOT_H
#define WISPI_DATA_BATCH_SLOT_H

#include "data/picture_store.h"

enum {
    WISPI_SLOT_FREE = 0,
    WISPI_SLOT_FILLING = 1, /* being made or ready */
    WISPI_SLOT_HELD = 2     /* handed out */
};

typedef struct wispi_batch_slot {
    wispi_feed_batch batch;       /* first: the handle converts */
    wispi_picture_store pictures; /* as plans */
    void *memory;
    size_t bytes; /* of it */
    const wispi_feed_options *options;
    int32_t state;
    int64_t sequence; /* number of the batch since the feed was last sent somewhere */
    int64_t n_done;   /* samples */
} wispi_batch_slot;

/* `slot` is zeroed; `options` outlive it. */
wisp_status wispi_batch_slot_fill(wispi_batch_slot *slot, const wispi_feed_options *options,
                                  const wisp_view_group *groups, int32_t n_groups, wisp_error *err);
/* Memory of its own. */
size_t wispi_batch_slot_bytes(const wispi_batch_slot *slot);
void wispi_batch_slot_free(wispi_batch_slot *slot);

#endif
