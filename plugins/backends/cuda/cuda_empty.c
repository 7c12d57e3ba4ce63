/* cuda_empty.c - the kernel for requests with an empty argument. */
#include "cuda_empty.h"

enum { MAX_OUT = 4 };

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
    const cuda_device *device = cuda_kernel_device(kernel);
    const empty_state *s = kernel->state;
    (void)scratch;
    for (int32_t i = 0; i < s->n_out; i++)
        if (s->bytes[i] && out[i].data && !is_updated(s, in, out[i].data))
            WISP_TRY(cuda_zero(device, out[i].data, s->bytes[i], err));
    return WISP_OK;
}

wisp_status cuda_empty_create(cuda_device *device, const wisp_kernel_request *request,
                              wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (request->n_out > MAX_OUT)
        return wisp_refuse(request, err, "an argument is empty");
    WISP_TRY(cuda_kernel_create(device, "empty", run, sizeof(empty_state), NULL, &made, err));
    empty_state *s = made->state;
    s->n_in = request->n_in;
    s->n_out = request->n_out;
    for (int32_t i = 0; i < request->n_out; i++)
        if (request->out[i] && request->out[i]->dtype)
            s->bytes[i] = (size_t)wisp_desc_bytes(request->out[i]);
    *kernel = made;
    return WISP_OK;
}
