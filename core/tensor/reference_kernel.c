/* reference_kernel.c - an op's reference kernel behind the interface of a backend's kernel. */
#include "tensor/device.h"

#include <string.h>

#include "base/bf16.h"
#include "base/memory.h"

typedef struct reference_state {
    wisp_kernel kernel;
    const wispi_op *op;
    void *attrs;
    int32_t n_in, n_out;
    wisp_desc in[WISPI_MAX_IN], out[WISPI_MAX_OUT];
} reference_state;

void wispi_widen(double *to, const void *from, int32_t dtype, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (dtype) {
        case WISP_F32:
            to[i] = ((const float *)from)[i];
            break;
        case WISP_BF16:
            to[i] = wispi_f32_from_bf16(((const uint16_t *)from)[i]);
            break;
        case WISP_I32:
            to[i] = ((const int32_t *)from)[i];
            break;
        case WISP_I64:
            to[i] = (double)((const int64_t *)from)[i];
            break;
        default:
            to[i] = ((const uint8_t *)from)[i];
            break;
        }
    }
}

void wispi_narrow(void *to, const double *from, int32_t dtype, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (dtype) {
        case WISP_F32:
            ((float *)to)[i] = (float)from[i];
            break;
        case WISP_BF16:
            ((uint16_t *)to)[i] = wispi_bf16_from_f32((float)from[i]);
            break;
        case WISP_I32:
            ((int32_t *)to)[i] = (int32_t)from[i];
            break;
        case WISP_I64:
            ((int64_t *)to)[i] = (int64_t)from[i];
            break;
        default:
            ((uint8_t *)to)[i] = (uint8_t)from[i];
            break;
        }
    }
}

static wisp_status widen_arg(wispi_ref *ref, const wisp_desc *desc, const wisp_kernel_arg *arg,
                             int load)
{
    *ref = (wispi_ref){desc, 0, NULL};
    if (!arg->data || desc->dtype == 0)
        return WISP_OK;
    ref->count = wisp_desc_count(desc);
    ref->v = wispi_alloc((size_t)(ref->count ? ref->count : 1) * sizeof(double));
    if (!ref->v)
        return WISP_E_NOMEM;
    if (load)
        wispi_widen(ref->v, arg->data, desc->dtype, ref->count);
    return WISP_OK;
}

/* An output that shares its memory with an input is updated in place and so begins with its value.
 */
static int is_inout(const reference_state *state, const wisp_kernel_arg *in,
                    const wisp_kernel_arg *out)
{
    for (int32_t i = 0; i < state->n_in; i++)
        if (out->data && in[i].data == out->data)
            return 1;
    return 0;
}

static wisp_status reference_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                 const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const reference_state *state = kernel->state;
    wispi_ref ins[WISPI_MAX_IN], outs[WISPI_MAX_OUT];
    memset(ins, 0, sizeof ins);
    memset(outs, 0, sizeof outs);
    (void)scratch;
    wisp_status status = WISP_OK;
    for (int32_t i = 0; i < state->n_in && status == WISP_OK; i++)
        status = widen_arg(&ins[i], &state->in[i], &in[i], 1);
    for (int32_t i = 0; i < state->n_out && status == WISP_OK; i++)
        status = widen_arg(&outs[i], &state->out[i], &out[i], is_inout(state, in, &out[i]));
    if (status == WISP_OK) {
        state->op->reference(state->attrs, ins, state->n_in, outs);
        for (int32_t i = 0; i < state->n_out; i++)
            if (outs[i].v)
                wispi_narrow(out[i].data, outs[i].v, state->out[i].dtype, outs[i].count);
    } else {
        wisp_fail(err, status, "%s: no memory for the reference kernel", state->op->name);
    }
    for (int32_t i = 0; i < state->n_in; i++)
        wispi_free(ins[i].v);
    for (int32_t i = 0; i < state->n_out; i++)
        wispi_free(outs[i].v);
    return status;
}

static void reference_release(wisp_kernel *kernel)
{
    reference_state *state = kernel->state;
    wispi_free(state->attrs);
    wispi_free(state);
}

wisp_status wispi_reference_kernel(const wispi_op *op, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    reference_state *state = wispi_alloc(sizeof *state);
    void *attrs = wispi_alloc(request->attrs_bytes ? request->attrs_bytes : 1);
    if (!state || !attrs) {
        wispi_free(state);
        wispi_free(attrs);
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for a kernel", op->name);
    }
    if (request->attrs_bytes)
        memcpy(attrs, request->attrs, request->attrs_bytes);
    state->op = op;
    state->attrs = attrs;
    state->n_in = request->n_in;
    state->n_out = request->n_out;
    for (int32_t i = 0; i < request->n_in; i++)
        if (request->in[i])
            state->in[i] = *request->in[i];
    for (int32_t i = 0; i < request->n_out; i++)
        if (request->out[i])
            state->out[i] = *request->out[i];
    state->kernel.struct_size = sizeof state->kernel;
    state->kernel.implementation = "reference";
    state->kernel.state = state;
    state->kernel.run = reference_run;
    state->kernel.release = reference_release;
    *kernel = &state->kernel;
    return WISP_OK;
}
