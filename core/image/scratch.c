/* scratch.c - grow-only worker memory. */
#include "image/scratch.h"

#include "base/memory.h"

void *wispi_scratch_reserve(wispi_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->bytes && scratch->data)
        return scratch->data;
    /* A quarter more, so that slowly growing sizes do not allocate each time. */
    size_t roomy = bytes + bytes / 4 + 64;
    void *data = roomy > bytes ? wispi_alloc(roomy) : NULL;
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
