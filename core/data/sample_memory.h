/* sample_memory.h - memory that is lent to a data set for one sample after the other. */
#ifndef WISPI_DATA_SAMPLE_MEMORY_H
#define WISPI_DATA_SAMPLE_MEMORY_H

#include "wisp/dataset.h"

typedef struct wispi_sample_memory {
    wisp_sample_sink sink; /* first: the handle converts */
    uint8_t *bytes;
    size_t capacity;
} wispi_sample_memory;

/* Of a zeroed one; needs no memory yet. [any] */
void wispi_sample_memory_open(wispi_sample_memory *memory);
/* Frees what it holds; it can be used again. Accepts a zeroed one. */
void wispi_sample_memory_free(wispi_sample_memory *memory);

/* Reads sample `index` and checks what the data set gave: E_PLUGIN when it does not lie in this
 * memory, or is not as large as it says. [worker] */
wisp_status wispi_sample_read(wispi_sample_memory *memory, const wisp_dataset_v0 *set,
                              const void *self, int64_t index, wisp_sample *sample,
                              wisp_error *err);

#endif
