/* source_position.h - a text that was parsed, and errors that point into it.
 *
 * Every error about a configuration reads the same way:
 *
 *     FILE:LINE:COLUMN: what is wrong
 *         the line itself
 *             ^
 *     a hint: the nearest known key, or what to change
 */
#ifndef WISPI_CONFIG_SOURCE_POSITION_H
#define WISPI_CONFIG_SOURCE_POSITION_H

#include <stddef.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wispi_source {
    const char *name; /* file as the user wrote it, or "override" */
    const char *text;
    size_t length;
} wispi_source;

/* A place in a source; lines and columns count from 1, columns in characters. Line 0: nowhere. */
typedef struct wispi_place {
    const wispi_source *source;
    int32_t line, column;
} wispi_place;

/* Fills `err` in the form above and returns `code`. `hint` may be NULL; a place without a source
 * gives the message and the hint alone. */
wisp_status wispi_place_fail(wispi_place place, wisp_error *err, wisp_status code, const char *hint,
                             const char *format, ...) WISP_PRINTF(5, 6);

#ifdef __cplusplus
}
#endif
#endif
