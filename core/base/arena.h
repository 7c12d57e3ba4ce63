/* arena.h - memory that is given out piece by piece and taken back all at once.
 *
 * An arena belongs to one thread at a time. After a reset it keeps what it had, so a loop that
 * needs the same amount each time allocates nothing from its second round on. */
#ifndef WISPI_BASE_ARENA_H
#define WISPI_BASE_ARENA_H

#include <stddef.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wispi_arena wispi_arena;

/* An arena whose first block holds `first_bytes`; NULL when there is no memory. */
wispi_arena *wispi_arena_create(size_t first_bytes);
void wispi_arena_destroy(wispi_arena *arena); /* accepts NULL */

/* Zeroed and 64-byte aligned, valid until reset or destroy; NULL when there is no memory. */
void *wispi_arena_alloc(wispi_arena *arena, size_t bytes);
/* As above for `count` things of `size` bytes; NULL too when the product overflows. */
void *wispi_arena_array(wispi_arena *arena, size_t count, size_t size);

/* Texts in the arena; NULL when there is no memory (or `text` is NULL). */
char *wispi_arena_text(wispi_arena *arena, const char *text);
char *wispi_arena_printf(wispi_arena *arena, const char *format, ...) WISP_PRINTF(2, 3);

/* Takes everything back. A fragmented arena is put into one block, if there is memory for that. */
void wispi_arena_reset(wispi_arena *arena);

/* Bytes given out since the last reset, padding included, and the most there ever were. */
size_t wispi_arena_used(const wispi_arena *arena);
size_t wispi_arena_high_water(const wispi_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
