/* almost_good_backend.h - a backend that can only copy, with everything that is asked of one. A
 * file that includes it first defines what shall be different: TO_HOST_BYTES(bytes), how many of
 * them come back; REFUSE(request, err), what prepare() says to other operations; COPY(to, from,
 * bytes), its kernel; and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_BACKEND_H
#define WISP_TESTS_ALMOST_GOOD_BACKEND_H

#include <stdlib.h>
#include <string.h>

#include "wisp/backend.h"

#ifndef TO_HOST_BYTES
#define TO_HOST_BYTES(bytes) (bytes)
#endif
#ifndef REFUSE
#define REFUSE(request, err)                                                                       \
    wisp_fail(err, WISP_E_UNSUPPORTED, "there is no kernel for %s here", (request)->op)
#endif
#ifndef COPY
#define COPY(to, from, bytes) memcpy(to, from, bytes)
#endif

typedef struct copy_kernel {
    wisp_kernel kernel; /* first: the handle converts */
    size_t bytes;
} copy_kernel;

static wisp_status run_copy(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const copy_kernel *k = (const copy_kernel *)(const void *)kernel;
    (void)scratch;
    (void)err;
    if (k->bytes > 0)
        COPY(out[0].data, in[0].data, k->bytes);
    return WISP_OK;
}

static void release_copy(wisp_kernel *kernel)
{
    free(kernel);
}

static wisp_status backend_prepare(void *handle, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    (void)handle;
    if (strcmp(request->op, "copy") != 0)
        return REFUSE(request, err);
    copy_kernel *k = calloc(1, sizeof *k);
    if (!k)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a kernel");
    k->kernel = (wisp_kernel){.struct_size = sizeof k->kernel,
                              .implementation = "memcpy",
                              .run = run_copy,
                              .release = release_copy};
    k->bytes = (size_t)wisp_desc_bytes(request->in[0]);
    *kernel = &k->kernel;
    return WISP_OK;
}

static int32_t backend_score(void *self)
{
    (void)self;
    return 1;
}

static int32_t backend_devices(void *self, wisp_error *err)
{
    (void)self;
    (void)err;
    return 1;
}

static wisp_status backend_info(void *self, int32_t device, wisp_device_info *info, wisp_error *err)
{
    (void)self;
    (void)device;
    (void)err;
    *info = (wisp_device_info){"a copier", 1 << 30, 0, 1};
    return WISP_OK;
}

static wisp_status backend_open(void *self, int32_t device, int32_t n_threads, void **handle,
                                wisp_error *err)
{
    static int opened;
    (void)self;
    (void)device;
    (void)n_threads;
    (void)err;
    *handle = &opened;
    return WISP_OK;
}

static void backend_close(void *self, void *handle)
{
    (void)self;
    (void)handle;
}

static wisp_status backend_alloc(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    (void)handle;
    *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
    return *memory ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no %zu bytes", bytes);
}

static void backend_free(void *handle, void *memory)
{
    (void)handle;
    free(memory);
}

static wisp_status backend_to_device(void *handle, void *dst, const void *src, size_t bytes,
                                     wisp_error *err)
{
    (void)handle;
    (void)err;
    memcpy(dst, src, bytes);
    return WISP_OK;
}

static wisp_status backend_to_host(void *handle, void *dst, const void *src, size_t bytes,
                                   wisp_error *err)
{
    (void)handle;
    (void)err;
    memcpy(dst, src, TO_HOST_BYTES(bytes));
    return WISP_OK;
}

static wisp_status backend_sync(void *handle, wisp_error *err)
{
    (void)handle;
    (void)err;
    return WISP_OK;
}

static const wisp_backend_v0 backend_table = {
    .struct_size = sizeof backend_table,
    .score = backend_score,
    .n_devices = backend_devices,
    .device_info = backend_info,
    .open = backend_open,
    .close = backend_close,
    .alloc = backend_alloc,
    .free = backend_free,
    .to_device = backend_to_device,
    .to_host = backend_to_host,
    .sync = backend_sync,
    .prepare = backend_prepare,
};

#define KIND WISP_KIND_BACKEND
#define VTABLE &backend_table
#include "almost_good.h"

#endif
