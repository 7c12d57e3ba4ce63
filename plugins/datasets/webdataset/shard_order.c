/* shard_order.c - positions of an epoch become samples. */
#include "shard_order.h"

enum { OF_SHARDS = 1, OF_SAMPLES = 2 }; /* keys derived from that of the epoch */

wisp_status shard_order_fill(shard_order *o, const shard_index *index, int64_t window,
                             wisp_error *err)
{
    const wisp_host *host = index->host;
    o->index = index;
    o->window = window;
    pthread_mutex_init(&o->lock, NULL);
    o->is_ready = 1;
    for (int i = 0; i < ORDER_TABLES; i++) {
        const size_t bytes = (size_t)index->n_shards * sizeof(int64_t);
        o->tables[i].shard = host->alloc(host, bytes);
        o->tables[i].begin = host->alloc(host, bytes);
        if (!o->tables[i].shard || !o->tables[i].begin)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the order of %lld shards",
                             (long long)index->n_shards);
    }
    return WISP_OK;
}

void shard_order_free(shard_order *o)
{
    if (!o->is_ready)
        return;
    for (int i = 0; i < ORDER_TABLES; i++) {
        o->index->host->free(o->index->host, o->tables[i].shard);
        o->index->host->free(o->index->host, o->tables[i].begin);
    }
    pthread_mutex_destroy(&o->lock);
}

static void make_table(order_table *t, const shard_index *index, wisp_rng_key key)
{
    const wisp_rng_key of_shards = wisp_rng_derive(key, OF_SHARDS, 0);
    int64_t begin = 0;
    for (int64_t i = 0; i < index->n_shards; i++) {
        const int64_t s = wisp_order_permuted(of_shards, index->n_shards, i);
        t->shard[i] = s;
        t->begin[i] = begin;
        begin += index->shards[s + 1].first - index->shards[s].first;
    }
    t->key = key;
}

/* With the lock held. */
static const order_table *table_of(shard_order *o, wisp_rng_key key)
{
    order_table *oldest = &o->tables[0];
    o->clock++;
    for (int i = 0; i < ORDER_TABLES; i++) {
        order_table *t = &o->tables[i];
        if (t->used && t->key.k[0] == key.k[0] && t->key.k[1] == key.k[1]) {
            t->used = o->clock;
            return t;
        }
        if (t->used < oldest->used)
            oldest = t;
    }
    make_table(oldest, o->index, key);
    oldest->used = o->clock;
    return oldest;
}

static int64_t sample_at(const order_table *t, const shard_index *index, int64_t position)
{
    int64_t low = 0, high = index->n_shards;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (t->begin[middle] <= position)
            low = middle;
        else
            high = middle;
    }
    return index->shards[t->shard[low]].first + position - t->begin[low];
}

int64_t shard_order_at(shard_order *o, wisp_rng_key key, int64_t position)
{
    const int64_t n = o->index->n_samples;
    if (o->window > 1)
        position = wisp_order_local(wisp_rng_derive(key, OF_SAMPLES, 0), n, o->window, position);
    pthread_mutex_lock(&o->lock);
    const int64_t sample = sample_at(table_of(o, key), o->index, position);
    pthread_mutex_unlock(&o->lock);
    return sample;
}
