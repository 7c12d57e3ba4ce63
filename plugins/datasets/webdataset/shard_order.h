/* shard_order.h - the order of an epoch: shards permuted, the samples of each as they lie, and all
 * of it shuffled within a window. */
#ifndef SHARD_ORDER_H
#define SHARD_ORDER_H

#include <pthread.h>

#include <wisp/order.h>

#include "shard_index.h"

enum { ORDER_TABLES = 4 };

/* Where each shard of one epoch begins. */
typedef struct order_table {
    wisp_rng_key key;
    uint64_t used;  /* when it was used last; 0: never */
    int64_t *shard; /* (n_shards): which one stands at a place */
    int64_t *begin; /* (n_shards): position of its first sample */
} order_table;

typedef struct shard_order {
    const shard_index *index;
    int64_t window; /* samples */
    int32_t is_ready;
    int32_t reserved;
    pthread_mutex_t lock; /* of the tables, which are those of the latest keys */
    uint64_t clock;
    order_table tables[ORDER_TABLES];
} shard_order;

/* Fills a zeroed order; the index stays where it is. [setup] */
wisp_status shard_order_fill(shard_order *order, const shard_index *index, int64_t window,
                             wisp_error *err);
void shard_order_free(shard_order *order);

/* A permutation of the samples for each key: a pure function of its arguments. [any] */
int64_t shard_order_at(shard_order *order, wisp_rng_key key, int64_t position);

#endif
