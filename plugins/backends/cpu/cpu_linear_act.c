/* cpu_linear_act.c - linear layers of an activation, and their gradients, from separate kernels.
 *
 * Where no kernel has the activation built in, what it gives goes to scratch and the product takes
 * it from there; the gradient is multiplied by the slope in place. */
#include <string.h>

#include "cpu_device.h"
#include "cpu_empty.h"
#include "kernel_table.h"

enum { MAX_ARGS = 3 };

typedef struct act_state {
    wisp_kernel *act, *product;
    size_t values_bytes; /* what the activation gives; the scratch of the two begins behind it */
    int32_t n_in;
} act_state;

static void destroy(cpu_device *device, void *state)
{
    (void)device;
    act_state *s = state;
    if (s->act)
        s->act->release(s->act);
    if (s->product)
        s->product->release(s->product);
}

/* linear and linear_grad_weight: the activation sees their first argument. */
static wisp_status run_activated(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                 const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const act_state *s = kernel->state;
    char *rest = (char *)scratch + s->values_bytes;
    wisp_kernel_arg args[MAX_ARGS] = {{0}}, values = {0};
    values.data = scratch;
    WISP_TRY(s->act->run(s->act, in, &values, rest, err));
    memcpy(args, in, (size_t)s->n_in * sizeof *args);
    args[0] = values;
    return s->product->run(s->product, args, out, rest, err);
}

static wisp_status run_sloped(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const act_state *s = kernel->state;
    WISP_TRY(s->product->run(s->product, in, out, scratch, err));
    const wisp_kernel_arg args[MAX_ARGS] = {out[0], in[2], in[2]}; /* GELU looks at x alone */
    return s->act->run(s->act, args, out, scratch, err);
}

static wisp_status prepare_act(cpu_device *device, int32_t kind, int is_slope, const wisp_desc *x,
                               wisp_kernel **kernel, wisp_error *err)
{
    wisp_unary_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.kind = kind;
    const wisp_desc *args[MAX_ARGS] = {x, x, x};
    const wisp_kernel_request request = {
        .struct_size = sizeof request,
        .n_in = is_slope ? 3 : 1,
        .n_out = 1,
        .deterministic = 1,
        .op = is_slope ? "unary_grad" : "unary",
        .attrs = &attrs,
        .attrs_bytes = sizeof attrs,
        .in = args,
        .out = args,
    };
    return cpu_prepare(device, &request, kernel, err);
}

static wisp_status prepare_product(cpu_device *device, const wisp_kernel_request *request,
                                   int is_slope, wisp_kernel **kernel, wisp_error *err)
{
    wisp_linear_attrs attrs = *(const wisp_linear_attrs *)request->attrs;
    attrs.activation = 0;
    wisp_kernel_request plain = *request;
    plain.attrs = &attrs;
    plain.n_in = is_slope ? 2 : request->n_in;
    return cpu_prepare(device, &plain, kernel, err);
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request, int is_slope,
                           wisp_kernel **kernel, wisp_error *err)
{
    const wisp_linear_attrs *a = request->attrs;
    const wisp_desc *x = request->in[is_slope ? 2 : 0];
    if (a->activation == 0)
        return wisp_refuse(request, err, "there is no activation");
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "act+product", is_slope ? run_sloped : run_activated,
                               sizeof(act_state), destroy, &made, err));
    act_state *s = made->state;
    s->n_in = request->n_in;
    s->values_bytes = is_slope ? 0 : cpu_align64((size_t)wisp_desc_bytes(x));
    wisp_status status = prepare_act(device, a->activation, is_slope, x, &s->act, err);
    if (status == WISP_OK)
        status = prepare_product(device, request, is_slope, &s->product, err);
    if (status != WISP_OK) {
        made->release(made);
        return status;
    }
    const size_t one = s->act->scratch_bytes, two = s->product->scratch_bytes;
    made->scratch_bytes = s->values_bytes + (one > two ? one : two);
    made->implementation = s->product->implementation;
    *kernel = made;
    return WISP_OK;
}

static wisp_status prepare_activated(cpu_device *device, const wisp_kernel_request *request,
                                     wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 0, kernel, err);
}

static wisp_status prepare_sloped(cpu_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    return prepare(device, request, 1, kernel, err);
}

const cpu_kernel_entry cpu_linear_act_kernels[] = {
    {"linear", prepare_activated},
    {"linear_grad_input", prepare_sloped},
    {"linear_grad_weight", prepare_activated},
    {NULL, NULL},
};
