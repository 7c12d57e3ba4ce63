/* shard_paths.h - which files `path` names. */
#ifndef SHARD_PATHS_H
#define SHARD_PATHS_H

#include "growing_block.h"

typedef struct shard_paths {
    growing_block texts;  /* one path behind the other, each with its terminator */
    growing_block starts; /* size_t: where each begins */
    int64_t n;
} shard_paths;

static inline const char *shard_path(const shard_paths *p, int64_t i)
{
    return p->texts.data + ((const size_t *)(const void *)p->starts.data)[i];
}

/* Fills a zeroed list from one or several paths with "::" between them, each of them a file, a
 * folder of shards, or a pattern with braces: {000..146}, {0..10..2}, {a,b}. Files of a pattern
 * need not be there. [setup] */
wisp_status shard_paths_fill(shard_paths *paths, const wisp_host *host, const char *text,
                             wisp_error *err);
void shard_paths_free(shard_paths *paths);

/* Whether a file is called like a shard: .tar, .tar.gz or .tgz, in any case. */
int is_shard_name(const char *name);

#endif
