/* staged_kernel.c - a kernel for host memory on a device whose memory the host does not see: the
 * arguments are copied to the host, the results back. Slow, and the queue waits for it; but what
 * only the host can do (talk to other processes by MPI, a reference kernel) works everywhere. */
#include "tensor/device.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/transfer.h"

typedef struct staged_part {
    void *memory; /* of the host; NULL: absent */
    size_t bytes;
} staged_part;

typedef struct staged_state {
    wisp_kernel kernel;
    wisp_kernel *inner;
    wispi_device *device;
    staged_part in[WISPI_MAX_IN], out[WISPI_MAX_OUT], scratch;
    int32_t n_in, n_out;
} staged_state;

static wisp_status read_arguments(const staged_state *s, const wisp_kernel_arg *in,
                                  wisp_kernel_arg *host, wisp_error *err)
{
    for (int32_t i = 0; i < s->n_in; i++) {
        host[i] = in[i];
        if (!in[i].data)
            continue;
        host[i].data = s->in[i].memory;
        WISP_TRY(wispi_device_read(s->device, s->in[i].memory, in[i].data, s->in[i].bytes, err));
    }
    return WISP_OK;
}

/* An output in the place of an input stays in its place. */
static void place_results(const staged_state *s, const wisp_kernel_arg *in,
                          const wisp_kernel_arg *out, const wisp_kernel_arg *host_in,
                          wisp_kernel_arg *host)
{
    for (int32_t i = 0; i < s->n_out; i++) {
        host[i] = out[i];
        if (!out[i].data)
            continue;
        host[i].data = s->out[i].memory;
        for (int32_t k = 0; k < s->n_in; k++)
            if (in[k].data == out[i].data)
                host[i].data = host_in[k].data;
    }
}

static wisp_status staged_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const staged_state *s = kernel->state;
    wisp_kernel_arg host_in[WISPI_MAX_IN], host_out[WISPI_MAX_OUT];
    (void)scratch;
    WISP_TRY(read_arguments(s, in, host_in, err));
    place_results(s, in, out, host_in, host_out);
    WISP_TRY(s->inner->run(s->inner, host_in, host_out, s->scratch.memory, err));
    for (int32_t i = 0; i < s->n_out; i++)
        if (out[i].data)
            WISP_TRY(
                wispi_device_write(s->device, out[i].data, host_out[i].data, s->out[i].bytes, err));
    return WISP_OK;
}

static void staged_release(wisp_kernel *kernel)
{
    staged_state *s = kernel->state;
    for (int32_t i = 0; i < WISPI_MAX_IN; i++)
        wispi_host_free(s->device, s->in[i].memory);
    for (int32_t i = 0; i < WISPI_MAX_OUT; i++)
        wispi_host_free(s->device, s->out[i].memory);
    wispi_host_free(s->device, s->scratch.memory);
    s->inner->release(s->inner);
    wispi_free(s);
}

static wisp_status make_part(const staged_state *s, staged_part *part, size_t bytes,
                             wisp_error *err)
{
    part->bytes = bytes;
    return wispi_host_alloc(s->device, bytes, &part->memory, err);
}

static wisp_status make_parts(staged_state *s, const wisp_kernel_request *request, wisp_error *err)
{
    for (int32_t i = 0; i < s->n_in; i++)
        if (request->in[i])
            WISP_TRY(make_part(s, &s->in[i], (size_t)wisp_desc_bytes(request->in[i]), err));
    for (int32_t i = 0; i < s->n_out; i++)
        if (request->out[i])
            WISP_TRY(make_part(s, &s->out[i], (size_t)wisp_desc_bytes(request->out[i]), err));
    return make_part(s, &s->scratch, s->inner->scratch_bytes, err);
}

wisp_status wispi_staged_kernel(wispi_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    if (wispi_device_host_visible(device))
        return WISP_OK;
    staged_state *s = wispi_alloc(sizeof *s);
    if (!s) {
        (*kernel)->release(*kernel);
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a kernel", request->op);
    }
    s->inner = *kernel;
    s->device = device;
    s->n_in = request->n_in;
    s->n_out = request->n_out;
    s->kernel = (wisp_kernel){.struct_size = sizeof s->kernel,
                              .implementation = s->inner->implementation,
                              .state = s,
                              .run = staged_run,
                              .release = staged_release};
    const wisp_status status = make_parts(s, request, err);
    if (status == WISP_OK)
        *kernel = &s->kernel;
    else
        staged_release(&s->kernel);
    return status;
}

int wispi_kernel_is_staged(const wisp_kernel *kernel)
{
    return kernel->run == staged_run;
}
