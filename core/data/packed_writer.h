/* packed_writer.h - writes a packed data set (wisp/packed.h) sample by sample.
 *
 * The file appears under its name when it is finished and synced, and replaces what was there;
 * until then the old one stays. Where the file system can, the unfinished file has no name at all,
 * so that not even a killed process leaves one behind. Memory holds the index, 40 bytes and a name
 * a sample, and no bodies. One thread at a time. */
#ifndef WISPI_DATA_PACKED_WRITER_H
#define WISPI_DATA_PACKED_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/status.h"

typedef struct wispi_packed_writer wispi_packed_writer;

/* `n_classes` 0: no labels. With `named` the unfinished file has a name in any case. */
wisp_status wispi_packed_writer_open(const char *path, int32_t n_classes, int32_t named,
                                     wispi_packed_writer **writer, wisp_error *err);

typedef struct wispi_packed_sample {
    const char *name;
    const void *data;
    size_t bytes;
    uint64_t hash; /* of the bytes */
    int32_t label; /* -1 without labels */
    int32_t form;  /* WISP_SAMPLE_... */
    int32_t width, height;
} wispi_packed_sample;

/* After a failure the writer can only be destroyed. */
wisp_status wispi_packed_writer_add(wispi_packed_writer *writer, const wispi_packed_sample *sample,
                                    wisp_error *err);

typedef struct wispi_packed_facts {
    int64_t count, bytes;
    uint64_t fingerprint; /* what the plugin `packed` tells of it */
} wispi_packed_facts;

/* Puts the file in its place. `classes`: n_classes names, each ended by a zero byte; or 0 bytes. */
wisp_status wispi_packed_writer_finish(wispi_packed_writer *writer, const char *classes,
                                       size_t class_bytes, wispi_packed_facts *facts,
                                       wisp_error *err);

/* Drops the file unless it is finished. Accepts NULL. */
void wispi_packed_writer_destroy(wispi_packed_writer *writer);

#endif
