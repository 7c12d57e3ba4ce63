/* cuda_softmax.c - softmax and its gradient, and the cross-entropy against labels. */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/softmax.h"

/* --- softmax --- */

typedef struct softmax_state {
    CUfunction function;
    softmax_args args; /* all but pointers and cut */
    row_plan plan;
    int32_t n_in; /* arguments behind the last one may be left out */
} softmax_state;

static wisp_status start_softmax(const wisp_kernel *kernel, const softmax_args *args,
                                 wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const softmax_state *state = kernel->state;
    return cuda_launch(device, state->function, cuda_row_grid(device, &args->cut), args, err);
}

static wisp_status softmax_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const softmax_state *state = kernel->state;
    softmax_args args = state->args;
    (void)scratch;
    args.x = in[0].data;
    args.shift = state->n_in > 1 ? in[1].data : NULL;
    args.scale = state->n_in > 2 ? in[2].data : NULL;
    args.y = out[0].data;
    args.cut = cuda_row_pick(&state->plan, cuda_address(args.x) | cuda_address(args.shift) |
                                               cuda_address(args.y));
    return start_softmax(kernel, &args, err);
}

static wisp_status softmax_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                    const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const softmax_state *state = kernel->state;
    softmax_args args = state->args;
    (void)scratch;
    args.dy = in[0].data;
    args.y_in = in[1].data;
    args.scale = state->n_in > 2 ? in[2].data : NULL;
    args.y = out[0].data;
    args.cut = cuda_row_pick(&state->plan, cuda_address(args.dy) | cuda_address(args.y_in) |
                                               cuda_address(args.y));
    return start_softmax(kernel, &args, err);
}

static wisp_status make_softmax(cuda_device *device, const wisp_kernel_request *request,
                                const char *name, cuda_run run, wisp_kernel **kernel,
                                wisp_error *err)
{
    const wisp_softmax_attrs *attrs = request->attrs;
    CUfunction function;
    WISP_TRY(cuda_function_for(device, name, request->out[0]->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "rows", run, sizeof(softmax_state), NULL, kernel, err));
    softmax_state *state = (*kernel)->state;
    state->function = function;
    state->args.factor = (float)attrs->scale;
    state->args.log = attrs->log;
    state->plan = cuda_row_plan_of(request->in[0]);
    state->n_in = request->n_in;
    return WISP_OK;
}

static wisp_status softmax_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[0], *y = request->out[0];
    if (!cuda_is_float(x) || (y->dtype != WISP_F32 && y->dtype != x->dtype))
        return wisp_refuse(request, err, "needs f32 or bf16, and a result of that type or f32");
    return make_softmax(device, request, x->dtype == WISP_BF16 ? "softmax_bf16" : "softmax_f32",
                        softmax_run, kernel, err);
}

static wisp_status softmax_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                        wisp_kernel **kernel, wisp_error *err)
{
    if (!cuda_is_float(request->in[0]))
        return wisp_refuse(request, err, "needs f32 or bf16");
    return make_softmax(device, request, "softmax_grad", softmax_grad_run, kernel, err);
}

/* --- cross-entropy --- */

typedef struct cross_entropy_state {
    CUfunction function, finish;
    cross_entropy_args args; /* all but pointers and cut */
    row_plan plan;
} cross_entropy_state;

static wisp_status cross_entropy_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                     const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const cross_entropy_state *state = kernel->state;
    cross_entropy_args args = state->args;
    args.logits = in[0].data;
    args.labels = in[1].data;
    args.loss = out[0].data;
    args.lse = out[1].data;
    args.rows = scratch;
    args.cut = cuda_row_pick(&state->plan, cuda_address(args.logits));
    const cuda_grid one = {.x = 1, .threads = 512};
    WISP_TRY(cuda_launch(device, state->function, cuda_row_grid(device, &args.cut), &args, err));
    return cuda_launch(device, state->finish, one, &args, err);
}

static wisp_status cross_entropy_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                          const wisp_kernel_arg *out, void *scratch,
                                          wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const cross_entropy_state *state = kernel->state;
    cross_entropy_args args = state->args;
    (void)scratch;
    args.dloss = in[0].data;
    args.logits = in[1].data;
    args.labels = in[2].data;
    args.lse_in = in[3].data;
    args.dlogits = out[0].data;
    args.cut = cuda_row_pick(&state->plan, cuda_address(args.logits) | cuda_address(args.dlogits));
    return cuda_launch(device, state->function, cuda_row_grid(device, &args.cut), &args, err);
}

static wisp_status cross_entropy_prepare(cuda_device *device, const wisp_kernel_request *request,
                                         wisp_kernel **kernel, wisp_error *err)
{
    const wisp_cross_entropy_attrs *attrs = request->attrs;
    const int grad = strcmp(request->op, "cross_entropy_grad") == 0;
    const wisp_desc *logits = request->in[grad];
    CUfunction function, finish;
    if (!cuda_is_float(logits))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, request->op, logits->dtype, &function, err));
    WISP_TRY(cuda_function(device, "cross_entropy_finish", &finish, err));
    WISP_TRY(cuda_kernel_create(device, "rows", grad ? cross_entropy_grad_run : cross_entropy_run,
                                sizeof(cross_entropy_state), NULL, kernel, err));
    cross_entropy_state *state = (*kernel)->state;
    state->function = function;
    state->finish = finish;
    state->args.scale = (float)attrs->scale;
    state->plan = cuda_row_plan_of(logits);
    (*kernel)->scratch_bytes = grad ? 0 : (size_t)logits->shape[0] * sizeof(float);
    return WISP_OK;
}

const cuda_kernel_entry cuda_softmax_kernels[] = {
    {"softmax", softmax_prepare},
    {"softmax_grad", softmax_grad_prepare},
    {"cross_entropy", cross_entropy_prepare},
    {"cross_entropy_grad", cross_entropy_prepare},
    {NULL, NULL},
};
