/* shard_index.h - all shards of a data set and the samples in them. */
#ifndef SHARD_INDEX_H
#define SHARD_INDEX_H

#include "shard_paths.h"
#include "shard_scan.h"

enum { BROKEN_FAIL, BROKEN_USE, BROKEN_SKIP };

typedef struct indexed_shard {
    int64_t first; /* sample with which it begins; the next shard's is the end */
    int64_t bytes; /* of the file */
    int64_t mtime; /* of the file, ns */
    int32_t is_gz;
    int32_t is_broken;
} indexed_shard;

typedef struct shard_index {
    const wisp_host *host;
    const char *path; /* as configured, for messages */
    shard_paths paths;
    indexed_shard *shards; /* (n_shards + 1); the last holds `first` alone */
    shard_sample *samples; /* (n_samples), by shard, and as they lie in it */
    char *names;           /* (name_bytes) */
    int64_t n_shards, n_samples, name_bytes;
    int64_t n_without_image, n_links, n_sparse, n_broken;
    char other[128]; /* as in shard_scan */
} shard_index;

typedef struct index_options {
    const char *path;
    scan_rules rules;
    int32_t broken;
    int32_t reserved;
} index_options;

/* Fills a zeroed index, from the file beside the data if that is of today, else from the shards,
 * all of the host's threads at once. [setup] */
wisp_status shard_index_fill(shard_index *index, const wisp_host *host,
                             const index_options *options, wisp_error *err);
void shard_index_free(shard_index *index);

/* The shard of a sample. [any] */
int64_t shard_of(const shard_index *index, int64_t sample);

static inline const char *sample_file(const shard_index *index, int64_t sample)
{
    return index->names + index->samples[sample].name;
}

/* A shard's file without its folder. */
static inline const char *shard_file(const shard_index *index, int64_t i)
{
    const char *path = shard_path(&index->paths, i), *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Keeps the samples of an ascending list alone. */
void shard_index_keep(shard_index *index, const int64_t *chosen, int64_t n);

uint64_t shard_index_fingerprint(const shard_index *index);

#endif
