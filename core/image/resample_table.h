/* resample_table.h - which source pixels, with which weights, make each pixel of a resized line.
 *
 * The weights are Pillow's: the filter is stretched when shrinking (antialiased), sampled at pixel
 * centres, normalised, and rounded to fixed point with WISP_WEIGHT_BITS fraction bits
 * (wisp/pixel_math.h). Every pixel gets the same number of weights, a multiple of 4 wherever the
 * line has as many pixels; those that the filter does not ask for are 0. */
#ifndef WISPI_IMAGE_RESAMPLE_TABLE_H
#define WISPI_IMAGE_RESAMPLE_TABLE_H

#include <stdint.h>

#include "image/resample_kernels.h"
#include "image/scratch.h"
#include "wisp/status.h"

/* A line of `in` pixels resized to `out`, of which [first, first + count) are wanted. */
typedef struct wispi_resample_line {
    int32_t in, out, first, count;
    int32_t filter;   /* WISP_FILTER_... */
    int32_t mirrored; /* the last of the wanted pixels comes first */
} wispi_resample_line;

struct wispi_resample_table {
    wispi_resample_line line;
    const wispi_resample_kernels *kernels; /* who is to read it */
    int32_t origin, reach;                 /* source pixels drawn on: [origin, origin + reach) */
    int32_t n_weights;                     /* of each wanted pixel */
    const int32_t *start;                  /* (count) first source pixel, counted from `origin` */
    const int32_t *weights;                /* (count, n_weights) */
    const void *ordered;                   /* the weights as `kernels` reads them */
};

/* Crops of small pictures repeat themselves often; those of large ones seldom do. */
enum { WISPI_TABLE_SLOTS = 128, WISPI_TABLE_SMALL_LINE = 128 };

typedef struct wispi_table_cache {
    wispi_resample_table table[WISPI_TABLE_SLOTS];
    wispi_scratch memory[WISPI_TABLE_SLOTS];
    wispi_scratch draft; /* weights of some pixels before rounding */
} wispi_table_cache;

/* What a table is for. */
enum { WISPI_ACROSS = 0, WISPI_DOWN = 1 };

/* The table of `line`, made or remembered, for the family `kernels` or, where its lines are too
 * short for that, the plain one. Tables across and down never push each other out: each is valid
 * until the next call with the same `way`. A cache serves one family. */
wisp_status wispi_table_get(wispi_table_cache *cache, const wispi_resample_kernels *kernels,
                            const wispi_resample_line *line, int32_t way,
                            const wispi_resample_table **table, wisp_error *err);

void wispi_table_cache_free(wispi_table_cache *cache);

#endif
