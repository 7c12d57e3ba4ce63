#include "tensor/transfer.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/device_parts.h"

enum { ALIGN = 64, SLACK = 1 << 14 };

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

int wispi_device_is_late(const wispi_device *device)
{
    return device->has_transfers;
}

/* --- host memory --- */

wisp_status wispi_host_alloc(wispi_device *device, size_t bytes, void **memory, wisp_error *err)
{
    if (device->has_transfers)
        return device->backend->alloc_host(device->handle, bytes ? bytes : ALIGN, memory, err);
    *memory = wispi_alloc(bytes ? bytes : ALIGN);
    return *memory ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for %zu bytes", bytes);
}

void wispi_host_free(wispi_device *device, void *memory)
{
    if (device->has_transfers && memory)
        device->backend->free_host(device->handle, memory);
    else if (!device->has_transfers)
        wispi_free(memory);
}

/* --- host to device --- */

/* What was put before the block was too small moves along. */
static wisp_status make_room(wispi_device *device, size_t bytes, wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    wispi_block *block = &u->host[u->now], grown = {NULL, u->used + bytes + SLACK};
    if (u->n_waiting == 0) {
        WISP_TRY(wispi_device_wait(device, u->sent[u->now], err));
        u->sent[u->now] = 0;
    }
    if (u->used + bytes <= block->bytes)
        return WISP_OK;
    WISP_TRY(wispi_host_alloc(device, grown.bytes, &grown.memory, err));
    if (u->used)
        memcpy(grown.memory, block->memory, u->used);
    wispi_host_free(device, block->memory);
    *block = grown;
    return WISP_OK;
}

static wisp_status begin_upload(wispi_device *device, wisp_error *err)
{
    return device->uploads.n_waiting == WISPI_MAX_UPLOADS ? wispi_uploads_send(device, err)
                                                          : WISP_OK;
}

wisp_status wispi_variable_put(wispi_device *device, wispi_variable *variable, const void *values,
                               wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    const size_t bytes = (size_t)wisp_desc_bytes(&variable->desc);
    if (!device->has_transfers)
        return wispi_variable_write(device, variable, values, err);
    WISP_TRY(begin_upload(device, err));
    WISP_TRY(make_room(device, aligned(bytes), err));
    memcpy((char *)u->host[u->now].memory + u->used, values, bytes);
    u->waiting[u->n_waiting++] = (wispi_upload){variable->data, NULL, u->used, bytes};
    u->used += aligned(bytes);
    ++*variable->version;
    return WISP_OK;
}

wisp_status wispi_variable_lend(wispi_device *device, wispi_variable *variable, const void *values,
                                wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    if (!device->has_transfers)
        return wispi_variable_write(device, variable, values, err);
    WISP_TRY(begin_upload(device, err));
    WISP_TRY(make_room(device, 0, err));
    u->waiting[u->n_waiting++] =
        (wispi_upload){variable->data, values, 0, (size_t)wisp_desc_bytes(&variable->desc)};
    ++*variable->version;
    return WISP_OK;
}

/* Lent values come after those of the host block. */
static size_t lay_out(wispi_uploads *u)
{
    size_t total = u->used;
    for (int32_t i = 0; i < u->n_waiting; i++) {
        wispi_upload *part = &u->waiting[i];
        if (!part->lent)
            continue;
        part->offset = total;
        total += aligned(part->bytes);
    }
    return total;
}

static wisp_status begin_copies(wispi_device *device, wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    const wisp_backend_v0 *b = device->backend;
    char *to = u->device.memory;
    if (u->used)
        WISP_TRY(b->upload(device->handle, to, u->host[u->now].memory, u->used, &u->last, err));
    for (int32_t i = 0; i < u->n_waiting; i++) {
        const wispi_upload *part = &u->waiting[i];
        if (part->lent)
            WISP_TRY(b->upload(device->handle, to + part->offset, part->lent, part->bytes, &u->last,
                               err));
    }
    u->sent[u->now] = u->last;
    return WISP_OK;
}

/* The second order lets the next uploads wait for these copies, but not for the step that follows
 * them. */
static wisp_status send(wispi_device *device, wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    const wisp_backend_v0 *b = device->backend;
    WISP_TRY(wispi_device_grow(device, &u->device, lay_out(u), err));
    WISP_TRY(begin_copies(device, err));
    WISP_TRY(b->order_uploads(device->handle, err));
    for (int32_t i = 0; i < u->n_waiting; i++) {
        const wispi_upload *part = &u->waiting[i];
        WISP_TRY(b->copy(device->handle, part->dst, (char *)u->device.memory + part->offset,
                         part->bytes, err));
    }
    return b->order_uploads(device->handle, err);
}

wisp_status wispi_uploads_send(wispi_device *device, wisp_error *err)
{
    wispi_uploads *u = &device->uploads;
    if (u->n_waiting == 0)
        return WISP_OK;
    const wisp_status status = send(device, err);
    u->n_waiting = 0;
    u->used = 0;
    u->now = !u->now;
    return status;
}

uint64_t wispi_uploads_ticket(const wispi_device *device)
{
    return device->uploads.last;
}

void wispi_uploads_release(wispi_device *device)
{
    wispi_uploads *u = &device->uploads;
    for (int i = 0; i < 2; i++)
        wispi_host_free(device, u->host[i].memory);
    wispi_device_free(device, u->device.memory);
}

wisp_status wispi_device_copy(wispi_device *device, void *dst, const void *src, size_t bytes,
                              wisp_error *err)
{
    return device->backend->copy(device->handle, dst, src, bytes, err);
}

/* --- device to host --- */

wisp_status wispi_device_download(wispi_device *device, void *dst, const void *src, size_t bytes,
                                  uint64_t *ticket, wisp_error *err)
{
    *ticket = 0;
    if (device->has_transfers)
        return device->backend->download(device->handle, dst, src, bytes, ticket, err);
    return wispi_device_read(device, dst, src, bytes, err);
}

wisp_status wispi_device_wait(wispi_device *device, uint64_t ticket, wisp_error *err)
{
    return ticket ? device->backend->wait(device->handle, ticket, err) : WISP_OK;
}
