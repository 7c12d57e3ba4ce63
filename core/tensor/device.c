/* device.c - a backend's device as the host uses it: accounted memory, shared step memory and
 * scratch, and a table of prepared kernels. */
#include "tensor/device.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "tensor/device_parts.h"
#include "tensor/transfer.h"

/* What a backend built from older headers does not have reads as absent (ABI-4). */
static int has_transfers(const wisp_backend_v0 *b)
{
    return WISP_HAS(b, wisp_backend_v0, copy) && b->alloc_host && b->free_host && b->upload &&
           b->download && b->wait && b->order_uploads && b->copy;
}

wisp_status wispi_device_open(const wisp_backend_v0 *backend, void *self, int32_t index,
                              const wispi_device_options *options, wispi_device **out,
                              wisp_error *err)
{
    wispi_device *device = wispi_alloc(sizeof *device);
    if (!device)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a device");
    device->backend = backend;
    device->self = self;
    device->index = index;
    device->options = *options;
    snprintf(device->info.name, sizeof device->info.name, "reference");
    device->info.has_bf16 = device->info.n_threads = 1;
    if (backend) {
        wisp_status status = backend->device_info(self, index, &device->info, err);
        if (status == WISP_OK)
            status = backend->open(self, index, options->n_threads, &device->handle, err);
        if (status != WISP_OK) {
            wispi_free(device);
            return status;
        }
        device->has_transfers = has_transfers(backend);
    }
    *out = device;
    return WISP_OK;
}

wisp_status wispi_device_beside(const wispi_device *device, wispi_device **beside, wisp_error *err)
{
    const wisp_backend_v0 *b = device->backend;
    if (!device->has_transfers || !WISP_HAS(b, wisp_backend_v0, follow) || !b->follow)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "%s has one queue alone", device->info.name);
    return wispi_device_open(b, device->self, device->index, &device->options, beside, err);
}

wisp_status wispi_device_follow(wispi_device *device, const wispi_device *other, wisp_error *err)
{
    return device->backend->follow(device->handle, other->handle, err);
}

void wispi_device_close(wispi_device *device)
{
    if (!device)
        return;
    wispi_device_sync(device, NULL);
    for (int32_t i = 0; i < device->n_kernels; i++) {
        device->kernels[i].kernel->release(device->kernels[i].kernel);
        wispi_free(device->kernels[i].key);
    }
    wispi_device_free(device, device->step.memory);
    wispi_device_free(device, device->scratch.memory);
    wispi_uploads_release(device);
    if (device->backend)
        device->backend->close(device->self, device->handle);
    wispi_free(device->kernels);
    wispi_free(device->blocks);
    wispi_free(device);
}

/* --- memory --- */

static wisp_status raw_alloc(wispi_device *device, size_t bytes, void **memory, wisp_error *err)
{
    if (device->backend)
        return device->backend->alloc(device->handle, bytes, memory, err);
    *memory = wispi_alloc(bytes);
    if (!*memory)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %zu bytes", bytes);
    return WISP_OK;
}

wisp_status wispi_device_alloc(wispi_device *device, size_t bytes, void **memory, wisp_error *err)
{
    if (device->n_blocks == device->block_capacity) {
        int32_t capacity = device->block_capacity ? 2 * device->block_capacity : 64;
        void *grown = wispi_grow(device->blocks, (size_t)device->n_blocks * sizeof(wispi_block),
                                 (size_t)capacity * sizeof(wispi_block));
        if (!grown)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for a device's bookkeeping");
        device->blocks = grown;
        device->block_capacity = capacity;
    }
    void *made = NULL;
    WISP_TRY(raw_alloc(device, bytes ? bytes : 64, &made, err));
    device->blocks[device->n_blocks++] = (wispi_block){made, bytes};
    device->bytes += bytes;
    if (device->bytes > device->peak_bytes)
        device->peak_bytes = device->bytes;
    *memory = made;
    return WISP_OK;
}

void wispi_device_free(wispi_device *device, void *memory)
{
    for (int32_t i = device->n_blocks - 1; memory && i >= 0; i--) {
        if (device->blocks[i].memory != memory)
            continue;
        device->bytes -= device->blocks[i].bytes;
        device->blocks[i] = device->blocks[--device->n_blocks];
        if (device->backend)
            device->backend->free(device->handle, memory);
        else
            wispi_free(memory);
        return;
    }
}

wisp_status wispi_device_write(wispi_device *device, void *dst, const void *src, size_t bytes,
                               wisp_error *err)
{
    WISP_TRY(wispi_uploads_send(device, err));
    if (device->backend)
        return device->backend->to_device(device->handle, dst, src, bytes, err);
    memcpy(dst, src, bytes);
    return WISP_OK;
}

wisp_status wispi_device_read(wispi_device *device, void *dst, const void *src, size_t bytes,
                              wisp_error *err)
{
    WISP_TRY(wispi_uploads_send(device, err));
    if (device->backend)
        return device->backend->to_host(device->handle, dst, src, bytes, err);
    memcpy(dst, src, bytes);
    return WISP_OK;
}

wisp_status wispi_device_sync(wispi_device *device, wisp_error *err)
{
    return device->backend ? device->backend->sync(device->handle, err) : WISP_OK;
}

int wispi_device_host_visible(const wispi_device *device)
{
    return !device->backend || device->backend->host_visible;
}

void wispi_device_set_ranks_on_device(wispi_device *device, int32_t on_device)
{
    device->ranks_on_device = on_device;
}

void *wispi_device_queue(const wispi_device *device)
{
    const wisp_backend_v0 *b = device->backend;
    return b && WISP_HAS(b, wisp_backend_v0, queue) && b->queue ? b->queue(device->handle) : NULL;
}

int wispi_ranks_reach(const wispi_device *device)
{
    return device->ranks_on_device || wispi_device_host_visible(device);
}

void wispi_device_set_capture(wispi_device *device, int32_t on)
{
    const wisp_backend_v0 *b = device->backend;
    device->captures = on && b && WISP_HAS(b, wisp_backend_v0, graph_release) && b->capture_begin &&
                       b->capture_end && b->graph_launch && b->graph_release;
}

int wispi_device_captures(const wispi_device *device)
{
    return device->captures;
}

const wisp_device_info *wispi_device_info(const wispi_device *device)
{
    return &device->info;
}

int32_t wispi_device_deterministic(const wispi_device *device)
{
    return device->options.deterministic;
}

void wispi_device_set_choice(wispi_device *device, int32_t allow_tf32, int32_t autotune)
{
    device->allow_tf32 = allow_tf32;
    device->autotune = autotune;
}

size_t wispi_device_bytes(const wispi_device *device)
{
    return device->bytes;
}

size_t wispi_device_peak_bytes(const wispi_device *device)
{
    return device->peak_bytes;
}

wisp_status wispi_device_grow(wispi_device *device, wispi_block *block, size_t bytes,
                              wisp_error *err)
{
    void *memory = NULL;
    if (bytes <= block->bytes && block->memory)
        return WISP_OK;
    WISP_TRY(wispi_device_sync(device, err));
    wispi_device_free(device, block->memory);
    *block = (wispi_block){NULL, 0};
    WISP_TRY(wispi_device_alloc(device, bytes, &memory, err));
    *block = (wispi_block){memory, bytes};
    return WISP_OK;
}

wisp_status wispi_device_step_memory(wispi_device *device, size_t bytes, void **memory,
                                     uint64_t *generation, wisp_error *err)
{
    if (bytes > device->step.bytes || !device->step.memory) {
        device->step_generation++;
        WISP_TRY(wispi_device_grow(device, &device->step, bytes, err));
    }
    *memory = device->step.memory;
    *generation = device->step_generation;
    return WISP_OK;
}

wisp_status wispi_device_scratch(wispi_device *device, size_t bytes, wisp_error *err)
{
    return bytes ? wispi_device_grow(device, &device->scratch, bytes, err) : WISP_OK;
}

void *wispi_device_scratch_memory(const wispi_device *device)
{
    return device->scratch.memory;
}

/* --- kernels --- */

/* One block that is equal exactly when two requests are. */
static void *request_key(const wispi_op *op, const wisp_kernel_request *request, size_t *n)
{
    size_t name_bytes = strlen(op->name) + 1;
    size_t count = (size_t)(request->n_in + request->n_out);
    size_t bytes = name_bytes + request->attrs_bytes + count * sizeof(wisp_desc);
    char *key = wispi_alloc(bytes), *at = key;
    if (!key)
        return NULL;
    memcpy(at, op->name, name_bytes);
    at += name_bytes;
    if (request->attrs_bytes)
        memcpy(at, request->attrs, request->attrs_bytes);
    at += request->attrs_bytes;
    for (size_t i = 0; i < count; i++, at += sizeof(wisp_desc)) {
        size_t n_in = (size_t)request->n_in;
        const wisp_desc *desc = i < n_in ? request->in[i] : request->out[i - n_in];
        if (desc)
            memcpy(at, desc, sizeof *desc);
    }
    *n = bytes;
    return key;
}

static wisp_status make_kernel(wispi_device *device, const wispi_op *op,
                               const wisp_kernel_request *request, wisp_kernel **kernel,
                               wisp_error *err)
{
    if (op->host_kernel) {
        WISP_TRY(op->host_kernel(request, kernel, err));
        return device->ranks_on_device ? WISP_OK
                                       : wispi_staged_kernel(device, request, kernel, err);
    }
    if (!device->backend)
        return wispi_reference_kernel(op, request, kernel, err);
    wisp_kernel_request asked = *request;
    asked.allow_tf32 = device->allow_tf32;
    asked.autotune = device->autotune;
    wisp_status status = device->backend->prepare(device->handle, &asked, kernel, err);
    if (status != WISP_E_UNSUPPORTED || !device->options.fallback_reference)
        return status;
    wispi_log(WISP_LOG_WARNING,
              "%s runs on the slow reference kernel (fallback = \"reference\"): %s", op->name,
              err ? err->message : "refused");
    WISP_TRY(wispi_reference_kernel(op, request, kernel, err));
    return wispi_staged_kernel(device, request, kernel, err);
}

static wisp_status remember_kernel(wispi_device *device, const wispi_kernel_entry *entry,
                                   wisp_error *err)
{
    if (device->n_kernels == device->kernel_capacity) {
        int32_t capacity = device->kernel_capacity ? 2 * device->kernel_capacity : 256;
        void *grown =
            wispi_grow(device->kernels, (size_t)device->n_kernels * sizeof(wispi_kernel_entry),
                       (size_t)capacity * sizeof(wispi_kernel_entry));
        if (!grown)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the table of kernels");
        device->kernels = grown;
        device->kernel_capacity = capacity;
    }
    device->kernels[device->n_kernels++] = *entry;
    return WISP_OK;
}

/* Linear search over hashes: some hundred entries, asked for only while a program is recorded. */
wisp_status wispi_device_kernel(wispi_device *device, const wispi_op *op,
                                const wisp_kernel_request *request, const wisp_kernel **kernel,
                                wisp_error *err)
{
    wispi_kernel_entry entry = {0, NULL, NULL, 0};
    entry.key = request_key(op, request, &entry.key_bytes);
    if (!entry.key)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a kernel's key");
    entry.hash = wispi_hash64(entry.key, entry.key_bytes, 0);
    for (int32_t i = 0; i < device->n_kernels; i++) {
        const wispi_kernel_entry *known = &device->kernels[i];
        if (known->hash == entry.hash && known->key_bytes == entry.key_bytes &&
            memcmp(known->key, entry.key, entry.key_bytes) == 0) {
            wispi_free(entry.key);
            *kernel = known->kernel;
            return WISP_OK;
        }
    }
    wisp_status status = make_kernel(device, op, request, &entry.kernel, err);
    if (status == WISP_OK) {
        status = remember_kernel(device, &entry, err);
        if (status != WISP_OK)
            entry.kernel->release(entry.kernel);
    }
    if (status == WISP_OK)
        *kernel = entry.kernel;
    else
        wispi_free(entry.key);
    return status;
}

/* --- variables --- */

static uint64_t next_uid(void)
{
    static atomic_uint_fast64_t last;
    return (uint64_t)atomic_fetch_add(&last, 1) + 1;
}

wisp_status wispi_variable_init(wispi_device *device, wispi_variable *variable, const char *name,
                                const wisp_desc *desc, void *data, wisp_error *err)
{
    snprintf(variable->name, sizeof variable->name, "%s", name);
    variable->desc = *desc;
    variable->uid = next_uid();
    variable->own_version = 1;
    variable->version = &variable->own_version;
    variable->data = data;
    variable->owns_data = data == NULL;
    if (data)
        return WISP_OK;
    return wispi_device_alloc(device, (size_t)wisp_desc_bytes(desc), &variable->data, err);
}

void wispi_variable_fini(wispi_device *device, wispi_variable *variable)
{
    if (variable->owns_data)
        wispi_device_free(device, variable->data);
    memset(variable, 0, sizeof *variable);
}

wisp_status wispi_variable_write(wispi_device *device, wispi_variable *variable, const void *values,
                                 wisp_error *err)
{
    ++*variable->version;
    return wispi_device_write(device, variable->data, values,
                              (size_t)wisp_desc_bytes(&variable->desc), err);
}

wisp_status wispi_variable_read(wispi_device *device, const wispi_variable *variable, void *values,
                                wisp_error *err)
{
    return wispi_device_read(device, values, variable->data,
                             (size_t)wisp_desc_bytes(&variable->desc), err);
}
