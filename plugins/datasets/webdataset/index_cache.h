/* index_cache.h - the index as a file beside the first shard. */
#ifndef INDEX_CACHE_H
#define INDEX_CACHE_H

#include "shard_index.h"

/* 1 and the index filled but for its paths, where there is a cache of the same files with the same
 * sizes and times. [setup] */
int index_cache_read(shard_index *index, const scan_rules *rules);
void index_cache_write(const shard_index *index, const scan_rules *rules);

#endif
