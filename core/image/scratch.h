/* scratch.h - memory that one worker keeps from picture to picture.
 *
 * It only ever grows, with room to spare, so after the largest pictures have passed nothing is
 * allocated any more. */
#ifndef WISPI_IMAGE_SCRATCH_H
#define WISPI_IMAGE_SCRATCH_H

#include <stddef.h>

typedef struct wispi_scratch {
    void *data;
    size_t bytes;
} wispi_scratch;

/* At least `bytes` bytes, 64-byte aligned; what they held before may be lost. NULL when memory is
 * short, and the scratch is then as it was. */
void *wispi_scratch_reserve(wispi_scratch *scratch, size_t bytes);

void wispi_scratch_free(wispi_scratch *scratch);

#endif
