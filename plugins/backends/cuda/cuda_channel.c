/* cuda_channel.c - running statistics, and batch normalisation as one multiply-add a channel. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/channel.h"

typedef struct channel_state {
    CUfunction function;
    channel_args args; /* all but the pointers */
    int32_t n_in;      /* arguments behind the last one may be left out */
} channel_state;

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_kernel **kernel, wisp_error *err)
{
    CUfunction function;
    WISP_TRY(cuda_function(device, request->op, &function, err));
    WISP_TRY(cuda_kernel_create(device, "channels", run, sizeof(channel_state), NULL, kernel, err));
    channel_state *state = (*kernel)->state;
    state->function = function;
    state->args.n = request->in[0]->shape[0];
    state->n_in = request->n_in;
    return WISP_OK;
}

static wisp_status start(const wisp_kernel *kernel, const channel_args *args, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const channel_state *state = kernel->state;
    return cuda_launch(device, state->function, cuda_grid_over(device, args->n, 1), args, err);
}

static wisp_status running_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    channel_args args = ((const channel_state *)kernel->state)->args;
    (void)scratch;
    args.mean = in[0].data;
    args.var = in[1].data;
    args.out[0] = out[0].data;
    args.out[1] = out[1].data;
    return start(kernel, &args, err);
}

static wisp_status running_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    const wisp_running_attrs *attrs = request->attrs;
    WISP_TRY(make(device, request, running_run, kernel, err));
    channel_args *args = &((channel_state *)(*kernel)->state)->args;
    args->momentum = (float)attrs->momentum;
    args->rest = (float)(1.0 - attrs->momentum);
    args->unbiased = (float)((double)attrs->count / (double)(attrs->count - 1));
    return WISP_OK;
}

static wisp_status scale_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const channel_state *state = kernel->state;
    channel_args args = state->args;
    (void)scratch;
    args.mean = in[0].data;
    args.var = in[1].data;
    args.gamma = state->n_in > 2 ? in[2].data : NULL;
    args.beta = state->n_in > 3 ? in[3].data : NULL;
    args.out[0] = out[0].data;
    args.out[1] = out[1].data;
    return start(kernel, &args, err);
}

static wisp_status scale_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const channel_state *state = kernel->state;
    channel_args args = state->args;
    (void)scratch;
    args.dscale = in[0].data;
    args.dshift = in[1].data;
    args.mean = in[2].data;
    args.var = in[3].data;
    args.gamma = state->n_in > 4 ? in[4].data : NULL;
    for (int32_t i = 0; i < 4; i++)
        args.out[i] = out[i].data;
    return start(kernel, &args, err);
}

static wisp_status scale_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    const wisp_norm_scale_attrs *attrs = request->attrs;
    const int grad = strcmp(request->op, "norm_scale_grad") == 0;
    WISP_TRY(make(device, request, grad ? scale_grad_run : scale_run, kernel, err));
    ((channel_state *)(*kernel)->state)->args.eps = (float)attrs->eps;
    return WISP_OK;
}

const cuda_kernel_entry cuda_channel_kernels[] = {
    {"running_update", running_prepare},
    {"norm_scale", scale_prepare},
    {"norm_scale_grad", scale_prepare},
    {NULL, NULL},
};
