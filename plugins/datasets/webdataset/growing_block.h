/* growing_block.h - a block of the host's memory that grows at its end. */
#ifndef GROWING_BLOCK_H
#define GROWING_BLOCK_H

#include <string.h>

#include <wisp/host.h>

typedef struct growing_block {
    const wisp_host *host;
    char *data;
    size_t used, capacity; /* bytes */
} growing_block;

/* Room for `bytes` more; NULL when there is no memory. */
static inline void *growing_add(growing_block *b, size_t bytes)
{
    if (bytes > b->capacity - b->used) {
        const size_t capacity = 2 * b->capacity + bytes + 1024;
        char *data = b->host->alloc(b->host, capacity);
        if (!data)
            return NULL;
        if (b->used)
            memcpy(data, b->data, b->used);
        b->host->free(b->host, b->data);
        b->data = data;
        b->capacity = capacity;
    }
    b->used += bytes;
    return b->data + b->used - bytes;
}

static inline void growing_free(growing_block *b)
{
    if (b->host)
        b->host->free(b->host, b->data);
    b->data = NULL;
    b->used = b->capacity = 0;
}

#endif
