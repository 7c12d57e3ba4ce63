/* scratch.c - grow-only worker memory. */
#include "image/scratch.h"

#include <stdint.h>

#include "base/memory.h"

void *wispi_scratch_reserve(wispi_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->bytes && scratch->data)
        return scratch->data;
    /* The next power of two, so that sizes that vary soon allocate no more. */
    size_t roomy = 256;
    while (roomy < bytes && roomy <= SIZE_MAX / 4)
        roomy *= 2;
    roomy = roomy < bytes ? bytes : roomy;
    void *data = wispi_alloc(roomy);
    if (!data)
        return NULL;
    wispi_free(scratch->data);
    scratch->data = data;
    scratch->bytes = roomy;
    return data;
}

void wispi_scratch_free(wispi_scratch *scratch)
{
    wispi_free(scratch->data);
    scratch->data = NULL;
    scratch->bytes = 0;
}
