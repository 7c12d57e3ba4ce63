/* shard_look.h - whether a path looks like shards. */
#ifndef SHARD_LOOK_H
#define SHARD_LOOK_H

#include <stdint.h>

/* As wisp_dataset_v0.recognises. Opens one file at most and looks at a limited number of names. */
int32_t shards_recognises(const char *path);

#endif
