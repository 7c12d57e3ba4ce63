/* pack.h - a data set into one file (wisp/packed.h).
 *
 * Samples are read, and made smaller, by several threads; they are written in the data set's order,
 * so the file does not depend on how many. Memory holds a few dozen samples and the index. */
#ifndef WISPI_DATA_PACK_H
#define WISPI_DATA_PACK_H

#include "base/pool.h"
#include "data/packed_writer.h"
#include "image/recode.h"
#include "wisp/dataset.h"

typedef struct wispi_pack_request {
    const wisp_dataset_v0 *dataset;
    const void *dataset_self;
    int64_t limit; /* > 0: only the first `limit` samples */
    wispi_recode_request recode;
    int32_t
        skip_broken;  /* broken samples are named in the log and left out; 0: the first ends it */
    wispi_pool *pool; /* whose threads work; NULL: the calling one */
    const volatile int *stop;
    void (*progress)(void *user, int64_t done, int64_t total, int64_t bytes); /* or NULL */
    void *user;
} wispi_pack_request;

typedef struct wispi_pack_facts {
    wispi_packed_facts file;
    int64_t n_broken, n_recoded;
    int32_t n_classes;
} wispi_pack_facts;

/* The file is there, whole, or nothing has changed. WISP_E_STOPPED when *stop was set. */
wisp_status wispi_pack(const wispi_pack_request *request, const char *path, wispi_pack_facts *facts,
                       wisp_error *err);

#endif
