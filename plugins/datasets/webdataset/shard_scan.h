/* shard_scan.h - one pass over a shard: which samples lie in it, and where. */
#ifndef SHARD_SCAN_H
#define SHARD_SCAN_H

#include <wisp/options.h>

#include "growing_block.h"

enum { LABELS_AUTO, LABELS_NONE, LABELS_CLS, LABELS_JSON };
enum { NO_LABEL = -1, SCAN_TEXT_BYTES = 900 };

/* No class has a larger number. */
#define MAX_LABEL ((int64_t)1 << 24)

typedef struct shard_sample {
    int64_t offset, bytes; /* of the image, in the archive */
    uint64_t name;         /* where the name of the image's file begins in the texts */
    int32_t label;         /* or NO_LABEL */
    int32_t reserved;
} shard_sample;

/* What is looked for. */
typedef struct scan_rules {
    wisp_list images; /* const char *: extensions, the most wanted first */
    const char *json_key;
    int32_t labels;
    int32_t reserved;
} scan_rules;

typedef struct shard_scan {
    growing_block samples; /* shard_sample, as they lie */
    growing_block names;
    int64_t n;
    int64_t n_without_image, n_links, n_sparse;
    int64_t bytes; /* of the file */
    int64_t mtime; /* of the file, ns */
    int32_t is_gz;
    int32_t is_broken; /* then `damage` says how, and the samples are those before it */
    char damage[SCAN_TEXT_BYTES];
    char other[128]; /* a file that is in no sample with an image, as an example */
} shard_scan;

/* Scans the file `path` into a zeroed `scan` whose blocks have their host. A file that is missing,
 * damaged or cut off is not a failure of the scan. [any] */
wisp_status shard_scan_run(shard_scan *scan, const wisp_host *host, const char *path,
                           const scan_rules *rules, wisp_error *err);
void shard_scan_free(shard_scan *scan);

/* Size and time of an open file; 0 where it is not an ordinary one. */
int shard_look(int fd, int64_t *bytes, int64_t *mtime);

#endif
