/* @NAME@ - a backend for wisp: a device, its memory, and kernels for operations on it.
 *
 * What stands here is the processor with one operation, ReLU of f32 values. Put your operation into
 * prepare() and run(). With `fallback = "reference"` in [run], whatever else a network needs runs
 * on the host's slow reference kernels, so that one operation can be tried in a whole training.
 *
 * How it works: the host asks prepare() once for every call of a step, with shapes, types and
 * attributes (kernels.h lists them). It gets a kernel, or a refusal that says why; run() then only
 * computes. Gradients are operations of their own ("unary_grad"). `wisp ops test` compares a kernel
 * with the reference. */
#include <math.h>

#include <wisp/backend_sdk.h>
#include <wisp/host.h>

/* The backend, and a device that was opened: here there is no difference. */
typedef struct backend {
    const wisp_host *host;
} backend;

typedef struct kernel {
    wisp_kernel base; /* what the host sees */
    const wisp_host *host;
    int64_t count;
} kernel;

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    backend *made = host->alloc(host, sizeof *made);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a backend");
    made->host = host;
    *self = made;
    return WISP_OK;
}

static void destroy(void *self)
{
    backend *b = self;
    if (b)
        b->host->free(b->host, b);
}

/* --- the device --- */

/* device = "auto" takes the highest; this one is only taken by name. */
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
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "@NAME@");
    info->n_threads = 1;
    return WISP_OK;
}

static wisp_status open_device(void *self, int32_t device, int32_t n_threads, void **handle,
                               wisp_error *err)
{
    (void)n_threads;
    if (device != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "device %d: there is only device 0", device);
    *handle = self;
    return WISP_OK;
}

static void close_device(void *self, void *handle)
{
    (void)self, (void)handle;
}

/* --- its memory --- */

static wisp_status alloc_memory(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    const wisp_host *host = ((backend *)handle)->host;
    void *made = host->alloc(host, bytes ? bytes : 1);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for %zu bytes", bytes);
    *memory = made;
    return WISP_OK;
}

static void free_memory(void *handle, void *memory)
{
    const wisp_host *host = ((backend *)handle)->host;
    host->free(host, memory);
}

static wisp_status copy_bytes(void *handle, void *to, const void *from, size_t bytes,
                              wisp_error *err)
{
    (void)handle, (void)err;
    if (bytes)
        memmove(to, from, bytes);
    return WISP_OK;
}

static wisp_status sync_device(void *handle, wisp_error *err)
{
    (void)handle, (void)err;
    return WISP_OK; /* a kernel here is done when run() returns */
}

/* --- the operation --- */

static wisp_status run(const wisp_kernel *base, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const kernel *k = base->state;
    const float *x = in[0].data;
    float *y = out[0].data;
    (void)scratch, (void)err;
    for (int64_t i = 0; i < k->count; i++)
        y[i] = x[i] > 0 || isnan(x[i]) ? x[i] : 0;
    return WISP_OK;
}

static void release(wisp_kernel *base)
{
    kernel *k = base->state;
    k->host->free(k->host, k);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **out,
                           wisp_error *err)
{
    const wisp_host *host = ((backend *)handle)->host;
    const wisp_unary_attrs *attrs = request->attrs;
    if (strcmp(request->op, "unary") != 0)
        return wisp_refuse(request, err, "@NAME@ has no kernel of this name");
    if (attrs->kind != WISP_UNARY_RELU || request->in[0]->dtype != WISP_F32)
        return wisp_refuse(request, err, "@NAME@ has relu of f32 only");
    kernel *k = host->alloc(host, sizeof *k);
    if (!k)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a kernel");
    k->base = (wisp_kernel){.struct_size = sizeof k->base,
                            .implementation = "plain loop", /* for the profile */
                            .state = k,
                            .run = run,
                            .release = release};
    k->host = host;
    k->count = wisp_desc_count(request->in[0]);
    *out = &k->base;
    return WISP_OK;
}

static const wisp_backend_v0 vtable = {
    .struct_size = sizeof vtable,
    .score = score,
    .n_devices = n_devices,
    .device_info = device_info,
    .open = open_device,
    .close = close_device,
    .alloc = alloc_memory,
    .free = free_memory,
    .to_device = copy_bytes,
    .to_host = copy_bytes,
    .sync = sync_device,
    .prepare = prepare,
    .host_visible = 1, /* the host may read and write this memory directly */
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKEND,
    .name = "@NAME@",
    .version = "0.1.0",
    .summary = "the processor, with one operation of its own",
    .doc = "ReLU of f32 values in a plain loop. It has no other kernel: set fallback = "
           "\"reference\" in [run].",
    .license = "Apache-2.0",
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
