/* jpeg_memory.h - libjpeg's memory out of a decoder's arena.
 *
 * A decompressor that is kept then allocates nothing once the arena has its size, and an allocation
 * that fails fails in this project's hands. */
#ifndef WISPI_IMAGE_JPEG_MEMORY_H
#define WISPI_IMAGE_JPEG_MEMORY_H

#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

#include "base/arena.h"

/* What `client_data` of a decompressor with such memory points to: the arena to take it from. */
typedef struct wispi_jpeg_client {
    wispi_arena *arena;
} wispi_jpeg_client;

/* From here on all memory of the decompressor, the permanent kind too, comes from the arena and is
 * gone when that is reset. It keeps its own manager's for what was there before. */
void wispi_jpeg_memory_install(j_decompress_ptr info);

#endif
