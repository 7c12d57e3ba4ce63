/* arena.c - growable bump arena: a list of blocks, the newest in front. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { ALIGNMENT = 64, SMALLEST_BLOCK = 4096 };

struct block {
    struct block *older;
    size_t size;
    size_t used;
    size_t dirty; /* bytes from here on were never given out and are still zero */
    char *data;
};

struct wispi_arena {
    struct block *newest;
    size_t used; /* over all blocks */
    size_t high_water;
};

static struct block *new_block(size_t size)
{
    struct block *block = wispi_alloc(sizeof *block);
    if (!block)
        return NULL;
    block->data = wispi_alloc(size);
    if (!block->data) {
        wispi_free(block);
        return NULL;
    }
    block->size = size;
    return block;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *older = block->older;
        wispi_free(block->data);
        wispi_free(block);
        block = older;
    }
}

wispi_arena *wispi_arena_create(size_t first_bytes)
{
    wispi_arena *arena = wispi_alloc(sizeof *arena);
    if (!arena)
        return NULL;
    arena->newest = new_block(first_bytes < SMALLEST_BLOCK ? SMALLEST_BLOCK : first_bytes);
    if (!arena->newest) {
        wispi_free(arena);
        return NULL;
    }
    return arena;
}

void wispi_arena_destroy(wispi_arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->newest);
    wispi_free(arena);
}

/* Each new block is twice the last one, so the number of blocks grows with the logarithm. */
static struct block *add_block(wispi_arena *arena, size_t bytes)
{
    size_t size = arena->newest->size;
    size = size <= SIZE_MAX / 2 ? size * 2 : size;
    struct block *block = new_block(size < bytes ? bytes : size);
    if (!block && size > bytes)
        block = new_block(bytes);
    if (!block)
        return NULL;
    block->older = arena->newest;
    arena->newest = block;
    return block;
}

void *wispi_arena_alloc(wispi_arena *arena, size_t bytes)
{
    if (bytes > (size_t)PTRDIFF_MAX - ALIGNMENT)
        return NULL;
    size_t padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    padded = padded ? padded : ALIGNMENT;
    struct block *block = arena->newest;
    if (block->size - block->used < padded)
        block = add_block(arena, padded);
    if (!block)
        return NULL;
    char *piece = block->data + block->used;
    if (block->used < block->dirty) {
        size_t stale = block->dirty - block->used;
        memset(piece, 0, stale < padded ? stale : padded);
    }
    block->used += padded;
    if (block->used > block->dirty)
        block->dirty = block->used;
    arena->used += padded;
    if (arena->used > arena->high_water)
        arena->high_water = arena->used;
    return piece;
}

void *wispi_arena_array(wispi_arena *arena, size_t count, size_t size)
{
    if (size && count > (size_t)PTRDIFF_MAX / size)
        return NULL;
    return wispi_arena_alloc(arena, count * size);
}

char *wispi_arena_text(wispi_arena *arena, const char *text)
{
    if (!text)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = wispi_arena_alloc(arena, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

char *wispi_arena_printf(wispi_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : wispi_arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void wispi_arena_reset(wispi_arena *arena)
{
    struct block *newest = arena->newest;
    if (newest->older) {
        size_t total = 0;
        for (struct block *block = newest; block; block = block->older)
            total += block->size;
        /* The old blocks go first, else both copies would be held at once; the newest is the
         * largest and stays until its successor is there. */
        free_blocks(newest->older);
        newest->older = NULL;
        struct block *whole = new_block(total);
        if (whole) {
            free_blocks(newest);
            arena->newest = whole;
        }
    }
    arena->newest->used = 0;
    arena->used = 0;
}

size_t wispi_arena_used(const wispi_arena *arena)
{
    return arena->used;
}

size_t wispi_arena_high_water(const wispi_arena *arena)
{
    return arena->high_water;
}
