/* guarded_memory.h - device memory between two fences, for finding out what a kernel writes. */
#ifndef WISPI_TENSOR_GUARDED_MEMORY_H
#define WISPI_TENSOR_GUARDED_MEMORY_H

#include "tensor/device.h"

typedef struct wispi_guarded {
    void *block; /* device memory; NULL: absent */
    void *data;  /* inside it, 64-byte aligned plus `shift` */
    size_t shift, bytes;
    uint8_t *host; /* what the block was last filled with, fences included */
} wispi_guarded;

/* Room for `bytes`, filled with bytes that are NaN in every floating type and far out of range in
 * every integer type. Host memory comes from `arena`. */
wisp_status wispi_guarded_open(wispi_device *device, wispi_arena *arena, size_t bytes, size_t shift,
                               wispi_guarded *memory, wisp_error *err);
void wispi_guarded_close(wispi_device *device, wispi_guarded *memory);

/* Fills the room with `values` of the given type, or with the NaN bytes when `values` is NULL. */
wisp_status wispi_guarded_fill(wispi_device *device, wispi_guarded *memory, const double *values,
                               int32_t dtype, int64_t count, wisp_error *err);

/* Reads the block into `now` (of wispi_guarded_total bytes, fences included). */
size_t wispi_guarded_total(const wispi_guarded *memory);
wisp_status wispi_guarded_read(wispi_device *device, const wispi_guarded *memory, uint8_t *now,
                               wisp_error *err);
const uint8_t *wispi_guarded_room(const wispi_guarded *memory, const uint8_t *now);

/* First byte, counted from the start of the room, at which a fence was overwritten; 0 with
 * `*broken` 0 when both stand. */
int64_t wispi_guarded_breach(const wispi_guarded *memory, const uint8_t *now, int *broken);
/* 1 when the room holds what it was filled with. */
int wispi_guarded_unchanged(const wispi_guarded *memory, const uint8_t *now);

#endif
