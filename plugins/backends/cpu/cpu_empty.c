/* cpu_empty.c - the kernel for empty batches. */
#include "cpu_empty.h"

#include <string.h>

enum { MAX_OUT = 3 };

typedef struct empty_state {
    int32_t n_in, n_out;
    size_t bytes[MAX_OUT];
} empty_state;

/* What shares its memory with an input is added to: it stays. */
static int is_updated(const empty_state *s, const wisp_kernel_arg *in, const void *data)
{
    for (int32_t i = 0; i < s->n_in; i++)
        if (in[i].data == data)
            return 1;
    return 0;
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)scratch;
    (void)err;
    const empty_state *s = kernel->state;
    for (int32_t i = 0; i < s->n_out; i++)
        if (s->bytes[i] && out[i].data && !is_updated(s, in, out[i].data))
            memset(out[i].data, 0, s->bytes[i]);
    return WISP_OK;
}

wisp_status cpu_empty_create(cpu_device *device, const wisp_kernel_request *request,
                             wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (request->n_out > MAX_OUT)
        return wisp_refuse(request, err, "an argument is empty");
    WISP_TRY(cpu_kernel_create(device, "empty", run, sizeof(empty_state), NULL, &made, err));
    empty_state *s = made->state;
    s->n_in = request->n_in;
    s->n_out = request->n_out;
    for (int32_t i = 0; i < request->n_out; i++)
        if (request->out[i] && request->out[i]->dtype)
            s->bytes[i] = (size_t)wisp_desc_bytes(request->out[i]);
    *kernel = made;
    return WISP_OK;
}
