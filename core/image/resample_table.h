/* resample_table.h - which source pixels, with which weights, make each pixel of a resized line.
 *
 * The weights are Pillow's: the filter is stretched when shrinking (antialiased), sampled at pixel
 * centres, normalised, and rounded to fixed point with WISP_WEIGHT_BITS fraction bits
 * (wisp/pixel_math.h). */
#ifndef WISPI_IMAGE_RESAMPLE_TABLE_H
#define WISPI_IMAGE_RESAMPLE_TABLE_H

#include <stdint.h>

#include "image/scratch.h"
#include "wisp/status.h"

/* A line of `in` pixels resized to `out`, of which [first, first + count) are wanted. */
typedef struct wispi_resample_line {
    int32_t in, out, first, count;
    int32_t filter; /* WISP_FILTER_... */
} wispi_resample_line;

typedef struct wispi_resample_table {
    wispi_resample_line line;
    int32_t n_weights;      /* room for each wanted pixel; the unused are 0 */
    const int32_t *start;   /* (count) first source pixel */
    const int32_t *taps;    /* (count) number of source pixels, 1..n_weights */
    const int32_t *weights; /* (count, n_weights) */
} wispi_resample_table;

/* Crops of small pictures repeat themselves often; those of large ones seldom do. */
enum { WISPI_TABLE_SLOTS = 128 };

typedef struct wispi_table_cache {
    wispi_resample_table table[WISPI_TABLE_SLOTS];
    wispi_scratch memory[WISPI_TABLE_SLOTS];
    wispi_scratch draft; /* weights of one pixel before rounding */
} wispi_table_cache;

/* The table of `line`, made or remembered. `way` is 0 for rows and 1 for columns, which never push
 * each other out: the table is valid until the next call with the same `way`. */
wisp_status wispi_table_get(wispi_table_cache *cache, const wispi_resample_line *line, int32_t way,
                            const wispi_resample_table **table, wisp_error *err);

void wispi_table_cache_free(wispi_table_cache *cache);

#endif
