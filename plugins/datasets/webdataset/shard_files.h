/* shard_files.h - the shards that are open, and how far the system was told to read ahead. */
#ifndef SHARD_FILES_H
#define SHARD_FILES_H

#include <pthread.h>

#include "shard_index.h"

/* A shard as the readers see it. */
typedef struct open_shard {
    int fd; /* -1: closed */
    int32_t users;
    uint64_t used;
    int64_t ahead; /* the system was told to read up to here; -1: nothing yet */
} open_shard;

typedef struct shard_files {
    const shard_index *index;
    int64_t reach; /* samples that the order may stray */
    int32_t is_ready;
    int32_t n_open;
    pthread_mutex_t lock; /* of everything below */
    uint64_t clock;
    open_shard *shards; /* (n_shards) */
    uint8_t *taken;     /* a bit for each sample: read since the last pass over its shard began */
} shard_files;

/* Fills a zeroed struct; the index stays where it is. [setup] */
wisp_status shard_files_fill(shard_files *files, const shard_index *index, int64_t window,
                             wisp_error *err);
void shard_files_free(shard_files *files);

/* The shard's file, open until it is given back. A shard that is gone, or is not what it was when
 * the run began, is WISP_E_DATA. [any] */
wisp_status shard_borrow(shard_files *files, int64_t shard, int *fd, wisp_error *err);
void shard_give_back(shard_files *files, int64_t shard);

/* Reads a sample of a plain shard into memory for it. [any] */
wisp_status shard_read_plain(shard_files *files, int64_t sample, uint8_t *data, wisp_error *err);

/* Notes that a sample is read; 1 where it was already, since its pass began. [any] */
int shard_take(shard_files *files, int64_t sample);
int shard_is_taken(shard_files *files, int64_t sample);
/* A new pass over a shard: none of its samples was read. [any] */
void shard_begin_pass(shard_files *files, int64_t shard);

#endif
