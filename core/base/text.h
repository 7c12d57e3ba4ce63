/* text.h - a string that grows.
 *
 * Start with `wispi_text text = {0};`. Appending never fails loudly: the first lack of memory sets
 * `failed`, later appends do nothing, and the maker looks at `failed` once, at the end. */
#ifndef WISPI_BASE_TEXT_H
#define WISPI_BASE_TEXT_H

#include <stddef.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wispi_text {
    char *data;    /* ends with a NUL; NULL before the first append */
    size_t length; /* without the NUL */
    size_t capacity;
    int failed;
} wispi_text;

void wispi_text_append(wispi_text *text, const char *piece);
void wispi_text_append_bytes(wispi_text *text, const void *bytes, size_t n);
void wispi_text_printf(wispi_text *text, const char *format, ...) WISP_PRINTF(2, 3);

/* Cuts back to `length` bytes, no more than there are. */
void wispi_text_truncate(wispi_text *text, size_t length);

/* Frees the memory and leaves an empty text that can be used again. */
void wispi_text_free(wispi_text *text);

#ifdef __cplusplus
}
#endif
#endif
