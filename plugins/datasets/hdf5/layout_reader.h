/* layout_reader.h - asks the program wisp-hdf5-layout for the layout of a file. */
#ifndef LAYOUT_READER_H
#define LAYOUT_READER_H

#include <wisp/host.h>

typedef struct layout_bytes {
    uint8_t *data; /* the host's memory */
    size_t used, capacity;
} layout_bytes;

/* Longest time without a word of the program, s. */
enum { LAYOUT_PATIENCE = 300 };

/* Fills zeroed `records` with what `program` writes about the file, at most `most` bytes. How the
 * program may end, a crash or silence included, is WISP_E_DATA; only that it cannot be started is
 * another failure. On failure nothing is left to free. [setup] */
wisp_status layout_reader_run(const wisp_host *host, const char *program, const char *path,
                              int patience, size_t most, layout_bytes *records, wisp_error *err);

#endif
