/* number_tables.h - bytes as normalised numbers: (v / 255 - mean) / std by channel. */
#ifndef WISPI_IMAGE_NUMBER_TABLES_H
#define WISPI_IMAGE_NUMBER_TABLES_H

#include <stdint.h>

typedef struct wispi_number_tables {
    float f32[3][256];
    uint16_t bf16[3][256];
    /* The tables as arithmetic, with 1 / std as the sum of two numbers.
     * Vector variants compute where `is_exact` and look up otherwise. */
    float mean[3], inverse[3], inverse_rest[3];
    int32_t is_exact;
} wispi_number_tables;

/* 1 / 255 as the sum of two numbers. */
#define WISPI_INVERSE_255 0.00392156886f
#define WISPI_INVERSE_255_REST -2.31917582e-10f

/* Fills in everything; std > 0, all finite. [any] */
void wispi_number_tables_set(wispi_number_tables *m, const float mean[3], const float std[3]);

#endif
