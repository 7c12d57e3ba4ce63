/* start_weights.h - [[init]]: parameters and buffers that a new run takes from files, by name.
 *
 * Everything below `into` that `skip` does not name must be in the file, with the same type and
 * shape, and everything below `from` in the file must be used. All tables are compared before the
 * first value changes. */
#ifndef WISPI_TRAIN_START_WEIGHTS_H
#define WISPI_TRAIN_START_WEIGHTS_H

#include <jansson.h>

#include "train/stored_run.h"

struct wispi_session;

/* What one [[init]] table loads. */
typedef struct wispi_start_record {
    char file[WISPI_STORED_PATH], from[200], into[200];
    uint64_t hash; /* of the file */
    int32_t n_tensors;
} wispi_start_record;

/* Reads the files and compares; loads nothing. */
wisp_status wispi_start_weights_check(struct wispi_session *session, wisp_error *err);
/* Loads them and brings networks that follow others up to date: one that is named itself keeps what
 * its file says. Leaves the session's `starts`. */
wisp_status wispi_start_weights_load(struct wispi_session *session, wisp_error *err);

/* A list of what was loaded; NULL when there is no memory. */
json_t *wispi_start_records_json(const wispi_start_record *records, int32_t n);
/* One line for people. */
void wispi_start_record_say(const wispi_start_record *record, char *line, size_t bytes);

#endif
