/* jpeg_memory.h - libjpeg's memory out of an arena.
 *
 * A codec that is kept then allocates nothing once the arena has its size, and an allocation
 * that fails fails in this project's hands. */
#ifndef WISPI_IMAGE_JPEG_MEMORY_H
#define WISPI_IMAGE_JPEG_MEMORY_H

#include <stddef.h>
#include <stdio.h>

#include <jpeglib.h>

#include "base/arena.h"

/* What `client_data` of a codec with such memory points to: the arena to take it from. */
typedef struct wispi_jpeg_client {
    wispi_arena *arena;
} wispi_jpeg_client;

/* From here on all memory of the manager's compressor or decompressor, the permanent kind too,
 * comes from the arena and is gone when that is reset. It keeps its own for what was there before.
 */
void wispi_jpeg_memory_install(struct jpeg_memory_mgr *memory);

#endif
