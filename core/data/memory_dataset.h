/* memory_dataset.h - the samples of a data set, read once and kept as they came (encoded, mostly).
 *
 * For measuring everything but the disk. */
#ifndef WISPI_DATA_MEMORY_DATASET_H
#define WISPI_DATA_MEMORY_DATASET_H

#include "wisp/dataset.h"

typedef struct wispi_memory_dataset wispi_memory_dataset;

/* Keeps the first samples of `from`, as many as fit into `limit` bytes. A sample that cannot be
 * read stays one. `from` must outlive it. */
wisp_status wispi_memory_dataset_create(const wisp_dataset_v0 *from, const void *self, size_t limit,
                                        wispi_memory_dataset **dataset, wisp_error *err);
void wispi_memory_dataset_destroy(wispi_memory_dataset *dataset); /* accepts NULL */

/* To be called with the data set itself as `self`. */
const wisp_dataset_v0 *wispi_memory_dataset_table(const wispi_memory_dataset *dataset);
size_t wispi_memory_dataset_bytes(const wispi_memory_dataset *dataset);

#endif
