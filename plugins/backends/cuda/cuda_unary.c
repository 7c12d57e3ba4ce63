/* cuda_unary.c - functions of one value and their gradients. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/unary.h"

typedef struct unary_state {
    CUfunction function;
    unary_args args; /* all but the pointers */
    int32_t each;    /* elements a thread handles in a turn */
} unary_state;

static const char *const kind_names[] = {NULL,      "relu",   "relu6", "gelu", "tanh",
                                         "sigmoid", "exp",    "log",   "sqrt", "square",
                                         "abs",     "affine", "clamp"};

static wisp_status start(const wisp_kernel *kernel, unary_args *args, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const unary_state *state = kernel->state;
    args->wide = (cuda_address(args->x) | cuda_address(args->dy) | cuda_address(args->y_in) |
                  cuda_address(args->y)) %
                     16 ==
                 0;
    return cuda_launch(device, state->function,
                       cuda_grid_over(device, args->n, args->wide ? state->each : 1), args, err);
}

static wisp_status value_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    unary_args args = ((const unary_state *)kernel->state)->args;
    (void)scratch;
    args.x = in[0].data;
    args.y = out[0].data;
    return start(kernel, &args, err);
}

static wisp_status slope_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    unary_args args = ((const unary_state *)kernel->state)->args;
    (void)scratch;
    args.dy = in[0].data;
    args.x = in[1].data;
    args.y_in = in[2].data;
    args.y = out[0].data;
    return start(kernel, &args, err);
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        int32_t turns, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_unary_attrs *attrs = request->attrs;
    const wisp_desc *y = request->out[0];
    char name[48];
    CUfunction function;
    if (attrs->kind < WISP_UNARY_RELU || attrs->kind > WISP_UNARY_CLAMP || !cuda_is_float(y))
        return wisp_refuse(request, err, "function %d of this type is not known", attrs->kind);
    snprintf(name, sizeof name, "%s_%s", request->op, kind_names[attrs->kind]);
    WISP_TRY(cuda_function_for(device, name, y->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "unary", run, sizeof(unary_state), NULL, kernel, err));
    unary_state *state = (*kernel)->state;
    state->function = function;
    state->each = turns * cuda_per_access(y->dtype);
    state->args.n = wisp_desc_count(y);
    state->args.a = (float)attrs->a;
    state->args.b = (float)attrs->b;
    return WISP_OK;
}

static wisp_status value_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, value_run, 2, kernel, err);
}

static wisp_status slope_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, slope_run, 1, kernel, err);
}

const cuda_kernel_entry cuda_unary_kernels[] = {
    {"unary", value_prepare},
    {"unary_grad", slope_prepare},
    {NULL, NULL},
};
