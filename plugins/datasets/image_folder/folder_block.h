/* folder_block.h - a growing block of the host's memory. */
#ifndef FOLDER_BLOCK_H
#define FOLDER_BLOCK_H

#include <wisp/host.h>

typedef struct folder_block {
    char *data;
    size_t used, capacity; /* bytes */
} folder_block;

/* Room for `bytes` more, or NULL; moves what is there. [any] */
static inline void *folder_block_add(const wisp_host *host, folder_block *block, size_t bytes)
{
    if (bytes > block->capacity - block->used) {
        const size_t capacity = block->capacity + block->capacity / 2 + bytes + 1024;
        char *data = host->alloc(host, capacity);
        if (!data)
            return NULL;
        if (block->used)
            memcpy(data, block->data, block->used);
        host->free(host, block->data);
        block->data = data;
        block->capacity = capacity;
    }
    block->used += bytes;
    return block->data + block->used - bytes;
}

static inline void folder_block_free(const wisp_host *host, folder_block *block)
{
    host->free(host, block->data);
    *block = (folder_block){0};
}

#endif
