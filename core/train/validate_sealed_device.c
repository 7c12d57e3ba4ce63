#include "train/validate_sealed_device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "tensor/device.h"

static const size_t room = (size_t)1 << 32; /* of addresses; pages come as they are used */

typedef struct sealed_device {
    char *memory;
    size_t used; /* nothing is given back before the device is closed */
} sealed_device;

typedef struct sealed_kernel {
    wisp_kernel kernel; /* first: what the host holds converts to this */
    wisp_kernel *inner;
    sealed_device *device;
} sealed_kernel;

/* --- the seal --- */

static wisp_status set_seal(const sealed_device *d, int protection, wisp_error *err)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = (d->used + page - 1) / page * page;
    if (bytes > 0 && mprotect(d->memory, bytes, protection) != 0)
        return wisp_fail(err, WISP_E_DEVICE, "the sealed device's memory: %s", strerror(errno));
    return WISP_OK;
}

static wisp_status unseal(const sealed_device *d, wisp_error *err)
{
    return set_seal(d, PROT_READ | PROT_WRITE, err);
}

static wisp_status seal(const sealed_device *d, wisp_error *err)
{
    return set_seal(d, PROT_NONE, err);
}

/* --- kernels --- */

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const sealed_kernel *k = (const sealed_kernel *)(const void *)kernel;
    WISP_TRY(unseal(k->device, err));
    const wisp_status status = k->inner->run(k->inner, in, out, scratch, err);
    WISP_TRY(seal(k->device, status == WISP_OK ? err : NULL));
    return status;
}

static void release(wisp_kernel *kernel)
{
    sealed_kernel *k = (sealed_kernel *)(void *)kernel;
    k->inner->release(k->inner);
    wispi_free(k);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err)
{
    const wispi_op *op = wispi_op_find(request->op);
    if (!op)
        return wisp_fail(err, WISP_E_UNSUPPORTED, "there is no operation %s", request->op);
    sealed_kernel *k = wispi_alloc(sizeof *k);
    if (!k)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a kernel", op->name);
    const wisp_status status = wispi_reference_kernel(op, request, &k->inner, err);
    if (status != WISP_OK) {
        wispi_free(k);
        return status;
    }
    k->device = handle;
    k->kernel = *k->inner;
    k->kernel.run = run;
    k->kernel.release = release;
    *kernel = &k->kernel;
    return WISP_OK;
}

/* --- memory --- */

static wisp_status take(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    enum { ALIGNMENT = 64 };
    sealed_device *d = handle;
    if (bytes > room - d->used - ALIGNMENT)
        return wisp_fail(err, WISP_E_NOMEM, "the sealed device has no %zu bytes left", bytes);
    *memory = d->memory + d->used;
    d->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return WISP_OK;
}

static void give(void *handle, void *memory)
{
    (void)handle, (void)memory;
}

static wisp_status move(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    WISP_TRY(unseal(handle, err));
    memcpy(dst, src, bytes);
    return seal(handle, err);
}

static wisp_status wait_for_all(void *handle, wisp_error *err)
{
    (void)handle, (void)err;
    return WISP_OK;
}

/* --- the device --- */

static int32_t score(void *self)
{
    (void)self;
    return 0;
}

static int32_t n_devices(void *self, wisp_error *err)
{
    (void)self, (void)err;
    return 1;
}

static wisp_status device_info(void *self, int32_t device, wisp_device_info *info, wisp_error *err)
{
    (void)self, (void)device, (void)err;
    *info = (wisp_device_info){"reference kernels", (int64_t)room, 0, 1};
    return WISP_OK;
}

static wisp_status open_device(void *self, int32_t device, int32_t n_threads, void **handle,
                               wisp_error *err)
{
    (void)self, (void)device, (void)n_threads;
    sealed_device *d = wispi_alloc(sizeof *d);
    if (!d)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the sealed device");
    d->memory = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (d->memory == MAP_FAILED) {
        wispi_free(d);
        return wisp_fail(err, WISP_E_NOMEM, "no addresses for the sealed device");
    }
    *handle = d;
    return WISP_OK;
}

static void close_device(void *self, void *handle)
{
    (void)self;
    sealed_device *d = handle;
    munmap(d->memory, room);
    wispi_free(d);
}

static const wisp_backend_v0 vtable = {
    .struct_size = sizeof vtable,
    .score = score,
    .n_devices = n_devices,
    .device_info = device_info,
    .open = open_device,
    .close = close_device,
    .alloc = take,
    .free = give,
    .to_device = move,
    .to_host = move,
    .sync = wait_for_all,
    .prepare = prepare,
};

const wisp_descriptor wispi_sealed_backend = {
    .struct_size = sizeof(wisp_descriptor),
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKEND,
    .name = WISPI_SEALED_DEVICE,
    .version = "0.1.0",
    .summary = "reference kernels on memory that nobody else can touch",
    .doc = "For wisp validate: what a plugin reads of a tensor between two calls ends the process.",
    .license = "Apache-2.0",
    .flags = WISP_FLAG_DETERMINISTIC,
    .vtable = &vtable,
};
