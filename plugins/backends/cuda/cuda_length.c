/* cuda_length.c - rows of length 1 (l2_normalize), or of a given one (weight_norm). */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/length.h"

typedef struct length_state {
    CUfunction function;
    row_plan plan;
    float eps;
} length_state;

static wisp_status start(const wisp_kernel *kernel, length_args *args, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const length_state *state = kernel->state;
    args->eps = state->eps;
    args->cut = cuda_row_pick(&state->plan, cuda_address(args->x) | cuda_address(args->dy) |
                                                cuda_address(args->y));
    return cuda_launch(device, state->function, cuda_row_grid(device, &args->cut), args, err);
}

static wisp_status l2_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                          const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    length_args args = {.x = in[0].data, .y = out[0].data, .norm = out[1].data};
    (void)scratch;
    return start(kernel, &args, err);
}

static wisp_status l2_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    length_args args = {.dy = in[0].data, .x = in[1].data, .norm_in = in[2].data, .y = out[0].data};
    (void)scratch;
    return start(kernel, &args, err);
}

static wisp_status weight_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    length_args args = {.x = in[0].data, .gain = in[1].data, .y = out[0].data, .norm = out[1].data};
    (void)scratch;
    return start(kernel, &args, err);
}

static wisp_status weight_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    length_args args = {.dy = in[0].data,
                        .x = in[1].data,
                        .gain = in[2].data,
                        .norm_in = in[3].data,
                        .y = out[0].data,
                        .dgain = out[1].data};
    (void)scratch;
    return start(kernel, &args, err);
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, const char *name,
                        cuda_run run, double eps, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[0];
    CUfunction function;
    if (!cuda_is_float(x))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, name, x->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "rows", run, sizeof(length_state), NULL, kernel, err));
    length_state *state = (*kernel)->state;
    state->function = function;
    state->plan = cuda_row_plan_of(x);
    state->eps = (float)eps;
    return WISP_OK;
}

static wisp_status l2_prepare(cuda_device *device, const wisp_kernel_request *request,
                              wisp_kernel **kernel, wisp_error *err)
{
    const wisp_l2_normalize_attrs *attrs = request->attrs;
    return make(device, request, "length", l2_run, attrs->eps, kernel, err);
}

static wisp_status l2_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    const wisp_l2_normalize_attrs *attrs = request->attrs;
    return make(device, request, "length_grad", l2_grad_run, attrs->eps, kernel, err);
}

static wisp_status weight_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, "length", weight_run, 0, kernel, err);
}

static wisp_status weight_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, "length_grad", weight_grad_run, 0, kernel, err);
}

const cuda_kernel_entry cuda_length_kernels[] = {
    {"l2_normalize", l2_prepare},
    {"l2_normalize_grad", l2_grad_prepare},
    {"weight_norm", weight_prepare},
    {"weight_norm_grad", weight_grad_prepare},
    {NULL, NULL},
};
