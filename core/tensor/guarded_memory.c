#include "tensor/guarded_memory.h"

#include <string.h>

enum { FENCE = 256, FENCE_BYTE = 0xa5, ROOM_BYTE = 0xff };

static size_t room_offset(const wispi_guarded *memory)
{
    return FENCE + memory->shift;
}

size_t wispi_guarded_total(const wispi_guarded *memory)
{
    return room_offset(memory) + memory->bytes + FENCE;
}

const uint8_t *wispi_guarded_room(const wispi_guarded *memory, const uint8_t *now)
{
    return now + room_offset(memory);
}

wisp_status wispi_guarded_open(wispi_device *device, wispi_arena *arena, size_t bytes, size_t shift,
                               wispi_guarded *memory, wisp_error *err)
{
    wispi_guarded made = {NULL, NULL, shift, bytes, NULL};
    const size_t total = wispi_guarded_total(&made);
    made.host = wispi_arena_alloc(arena, total);
    if (!made.host)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a guarded copy of %zu bytes", bytes);
    memset(made.host, FENCE_BYTE, total);
    WISP_TRY(wispi_device_alloc(device, total, &made.block, err));
    made.data = (uint8_t *)made.block + room_offset(&made);
    *memory = made;
    return wispi_guarded_fill(device, memory, NULL, 0, 0, err);
}

void wispi_guarded_close(wispi_device *device, wispi_guarded *memory)
{
    wispi_device_free(device, memory->block);
    memset(memory, 0, sizeof *memory);
}

wisp_status wispi_guarded_fill(wispi_device *device, wispi_guarded *memory, const double *values,
                               int32_t dtype, int64_t count, wisp_error *err)
{
    uint8_t *room = memory->host + room_offset(memory);
    if (!values) {
        memset(room, ROOM_BYTE, memory->bytes);
    } else {
        /* One by one through an aligned element: the room itself may be at any offset. */
        const size_t size = (size_t)wisp_dtype_bytes(dtype);
        for (int64_t i = 0; i < count; i++) {
            int64_t element = 0;
            wispi_narrow(&element, &values[i], dtype, 1);
            memcpy(room + (size_t)i * size, &element, size);
        }
    }
    return wispi_device_write(device, memory->block, memory->host, wispi_guarded_total(memory),
                              err);
}

wisp_status wispi_guarded_read(wispi_device *device, const wispi_guarded *memory, uint8_t *now,
                               wisp_error *err)
{
    return wispi_device_read(device, now, memory->block, wispi_guarded_total(memory), err);
}

int64_t wispi_guarded_breach(const wispi_guarded *memory, const uint8_t *now, int *broken)
{
    const size_t first = room_offset(memory), end = first + memory->bytes;
    *broken = 0;
    for (size_t i = 0; i < wispi_guarded_total(memory); i++) {
        if ((i >= first && i < end) || now[i] == FENCE_BYTE)
            continue;
        *broken = 1;
        return (int64_t)i - (int64_t)first;
    }
    return 0;
}

int wispi_guarded_unchanged(const wispi_guarded *memory, const uint8_t *now)
{
    const size_t first = room_offset(memory);
    return memory->bytes == 0 || memcmp(now + first, memory->host + first, memory->bytes) == 0;
}
