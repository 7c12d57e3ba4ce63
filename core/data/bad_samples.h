/* bad_samples.h - which samples turned out unusable, each remembered once. */
#ifndef WISPI_DATA_BAD_SAMPLES_H
#define WISPI_DATA_BAD_SAMPLES_H

#include <stdint.h>

#include "wisp/status.h"

/* Zeroed is empty. */
typedef struct wispi_bad_samples {
    int64_t *index;
    int64_t n, capacity;
} wispi_bad_samples;

/* Adds `index`; `*is_new` tells whether it was not known before. */
wisp_status wispi_bad_samples_add(wispi_bad_samples *bad, int64_t index, int32_t *is_new,
                                  wisp_error *err);
void wispi_bad_samples_free(wispi_bad_samples *bad);

#endif
