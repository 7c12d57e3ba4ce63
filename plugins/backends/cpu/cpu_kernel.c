/* cpu_kernel.c - the common part of all kernels: memory around the state, and refusals that name
 * the request. */
#include <string.h>

#include "cpu_device.h"

typedef struct cpu_kernel {
    wisp_kernel base; /* first: the host holds a pointer to it */
    cpu_device *device;
    void (*destroy)(cpu_device *device, void *state);
} cpu_kernel;

static void release(wisp_kernel *kernel)
{
    if (!kernel)
        return;
    cpu_kernel *own = (cpu_kernel *)kernel;
    if (own->destroy)
        own->destroy(own->device, kernel->state);
    cpu_free(own->device, own);
}

wisp_status cpu_kernel_create(cpu_device *device, const char *implementation, cpu_run run,
                              size_t state_bytes, void (*destroy)(cpu_device *device, void *state),
                              wisp_kernel **kernel, wisp_error *err)
{
    size_t head = cpu_align64(sizeof(cpu_kernel));
    cpu_kernel *made = cpu_alloc(device, head + state_bytes);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for the kernel's state (%zu bytes)",
                         implementation, state_bytes);
    made->base.struct_size = sizeof(wisp_kernel);
    made->base.implementation = implementation;
    made->base.state = (char *)made + head;
    made->base.run = run;
    made->base.release = release;
    made->device = device;
    made->destroy = destroy;
    *kernel = &made->base;
    return WISP_OK;
}

cpu_device *cpu_kernel_device(const wisp_kernel *kernel)
{
    return ((const cpu_kernel *)kernel)->device;
}

/* A text that is cut rather than overrun. */
typedef struct line {
    char text[640];
    size_t length;
} line;

static void add(line *l, const char *format, ...) WISP_PRINTF(2, 3);
static void add(line *l, const char *format, ...)
{
    size_t room = sizeof l->text - l->length;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(l->text + l->length, room, format, args);
    va_end(args);
    if (n > 0)
        l->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_descs(line *l, const wisp_desc *const *descs, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const wisp_desc *d = descs[i];
        if (i)
            add(l, ", ");
        if (!d) {
            add(l, "-");
            continue;
        }
        add(l, "%s(", wisp_dtype_name(d->dtype));
        for (int32_t k = 0; k < d->rank && k < WISP_MAX_RANK; k++)
            add(l, "%s%lld", k ? "," : "", (long long)d->shape[k]);
        add(l, ")");
    }
}

wisp_status cpu_refuse(const wisp_kernel_request *request, wisp_error *err, const char *format, ...)
{
    line l = {{0}, 0};
    add(&l, "%s(", request->op);
    add_descs(&l, request->in, request->n_in);
    add(&l, ") -> ");
    add_descs(&l, request->out, request->n_out);
    char reason[400];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return wisp_fail(err, WISP_E_UNSUPPORTED, "%s: %s", l.text, reason);
}
