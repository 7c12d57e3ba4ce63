/* gz_shards.h - samples out of gzip shards, which can be read from front to back alone.
 *
 * One stream for each shard is inflated as far as the samples that are asked for lie; those that it
 * passes on the way wait in memory. A sample that waits no more is inflated once more from a point
 * that was kept not far before it. */
#ifndef GZ_SHARDS_H
#define GZ_SHARDS_H

#include "gz_stream.h"
#include "held_samples.h"
#include "shard_files.h"

typedef struct kept_point {
    struct kept_point *before; /* the one before it in the shard */
    gz_point point;
} kept_point;

typedef struct gz_shard {
    pthread_mutex_t lock; /* of everything below */
    gz_stream *stream;    /* NULL: not begun, or at its end */
    kept_point *last;     /* points kept */
    int64_t next;         /* sample that comes next in the stream */
    int64_t keep_from;    /* samples from here on are held when they are passed */
    int32_t again;        /* samples asked for again in this pass */
    int32_t is_begun;
} gz_shard;

typedef struct gz_shards {
    const shard_index *index;
    shard_files *files;
    int64_t limit;   /* bytes that may wait, as configured */
    int64_t at_once; /* shards that the order may be in at one time */
    int32_t is_ready;
    int32_t reserved;
    gz_shard *shards; /* (n_shards) */
    held_samples held;
    pthread_mutex_t lock; /* of everything below; taken within that of a shard */
    uint64_t clock;
    uint64_t *used;  /* (n_shards): when a shard was asked last; 0: it has nothing open */
    int32_t is_told; /* that the memory is too small */
} gz_shards;

/* Fills a zeroed struct; index and files stay where they are. [setup] */
wisp_status gz_shards_fill(gz_shards *g, const shard_index *index, shard_files *files,
                           int64_t limit, wisp_error *err);
void gz_shards_free(gz_shards *g);

/* Reads a sample of a gzip shard into memory for it. [any] */
wisp_status gz_shards_read(gz_shards *g, int64_t sample, uint8_t *data, wisp_error *err);

#endif
