/* resample_kernels.h - the two passes of resampling, one family for each set of vector
 * instructions.
 *
 * A family reads the weights of a table in an order of its own, which it makes once for each table.
 * All families give the same bytes. Only what `from` covers is read and only the result is written,
 * whatever the width of a vector. */
#ifndef WISPI_IMAGE_RESAMPLE_KERNELS_H
#define WISPI_IMAGE_RESAMPLE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "wisp/pixel_math.h"

/* A function that is made for each set of constants that it is called with. */
#define WISPI_FLATTEN static inline __attribute__((always_inline))

typedef struct wispi_resample_table wispi_resample_table;

/* Rows of bytes somewhere in a picture. */
typedef struct wispi_rows {
    const uint8_t *bytes;
    size_t stride;
    size_t length; /* of each row, bytes */
    int32_t count;
} wispi_rows;

/* The weights of a table in the order of a family. */
typedef struct wispi_weight_order {
    size_t (*bytes)(const wispi_resample_table *table); /* 64-byte aligned; 0: the table will do */
    void (*write)(const wispi_resample_table *table, void *ordered);
} wispi_weight_order;

/* Weights of some pixels in the making, a lane for each. */
enum { WISPI_DRAFT_LANES = 16 };

typedef struct wispi_weight_draft {
    /* Of each pixel: the source pixel of its first weight, the centre, what the filter asks for. */
    double start[WISPI_DRAFT_LANES], center[WISPI_DRAFT_LANES];
    double from[WISPI_DRAFT_LANES], to[WISPI_DRAFT_LANES];
    double divisor[WISPI_DRAFT_LANES];
    double *weights; /* (n, WISPI_DRAFT_LANES) before they are divided */
    int32_t *fixed;  /* likewise, the result */
} wispi_weight_draft;

typedef struct wispi_resample_kernels {
    /* `n` weights of every pixel of a draft; those that the filter does not ask for are 0. */
    void (*weigh)(wispi_weight_draft *draft, const wisp_stretch *s, int32_t n);
    wispi_weight_order across_order, down_order;
    /* Every row of `from`, which begins at the first pixel that the table draws on, becomes
     * table->line.count pixels; results lie side by side. */
    void (*across)(const wispi_resample_table *table, wispi_rows from, uint8_t *out);
    /* `from` begins at the first row that the table draws on; makes table->line.count rows of
     * from.length bytes, side by side. */
    void (*down)(const wispi_resample_table *table, wispi_rows from, uint8_t *out);
} wispi_resample_kernels;

/* The family of a level (base/cpu_level.h), NULL where it was not built. Those of vectors want
 * tables whose number of weights is a multiple of 4. [any] */
const wispi_resample_kernels *wispi_resample_kernels_of(int32_t level);

extern const wispi_resample_kernels wispi_resample_plain;
#if defined(__x86_64__)
extern const wispi_resample_kernels wispi_resample_avx2, wispi_resample_avx512;
#elif defined(__aarch64__)
extern const wispi_resample_kernels wispi_resample_neon;
#endif

#endif
