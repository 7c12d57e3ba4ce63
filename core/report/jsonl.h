/* jsonl.h - a file of JSON objects, one a line, that somebody may still be writing. */
#ifndef WISPI_REPORT_JSONL_H
#define WISPI_REPORT_JSONL_H

#include <jansson.h>

#include "wisp/status.h"

typedef struct wispi_jsonl_place {
    const char *path;
    int64_t line; /* from 1 */
} wispi_jsonl_place;

/* Looks at one object, which it may keep by a reference of its own. */
typedef wisp_status (*wispi_jsonl_visit)(void *user, json_t *object, const wispi_jsonl_place *place,
                                         wisp_error *err);

/* Visits every line in order. A file that is not there has no lines. A last line without its end
 * that is no whole object is passed over; any other line that is none is E_CORRUPT, named. */
wisp_status wispi_jsonl_read(const char *path, wispi_jsonl_visit visit, void *user,
                             wisp_error *err);

#endif
