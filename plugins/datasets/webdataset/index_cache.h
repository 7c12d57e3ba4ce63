/* index_cache.h - the index as a file beside the first shard. */
#ifndef INDEX_CACHE_H
#define INDEX_CACHE_H

#include "shard_index.h"

/* 1 and the index filled but for its paths, where there is a cache of the same files with the same
 * sizes and times. [setup] */
int index_cache_read(shard_index *index, const scan_rules *rules);
/* Keeps the index of a scan that began at `began` (seconds), unless a shard was then so new that it
 * may have changed since without a trace. [setup] */
void index_cache_write(const shard_index *index, const scan_rules *rules, int64_t began);

#endif
