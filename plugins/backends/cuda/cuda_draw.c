/* cuda_draw.c - random numbers, and branches dropped for whole samples. */
#include <math.h>

#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/draw.h"

/* --- uniform --- */

typedef struct uniform_state {
    CUfunction function;
    uniform_args args; /* all but the pointers */
} uniform_state;

static wisp_status uniform_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const uniform_state *state = kernel->state;
    uniform_args args = state->args;
    (void)scratch;
    args.key = in[0].data;
    args.y = out[0].data;
    return cuda_launch(device, state->function, cuda_grid_over(device, args.n, 1), &args, err);
}

static wisp_status uniform_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    const wisp_uniform_attrs *attrs = request->attrs;
    CUfunction function;
    WISP_TRY(cuda_function(device, "uniform_draw", &function, err));
    WISP_TRY(cuda_kernel_create(device, "philox", uniform_run, sizeof(uniform_state), NULL, kernel,
                                err));
    uniform_state *state = (*kernel)->state;
    state->function = function;
    state->args.n = wisp_desc_count(request->out[0]);
    state->args.stream = (uint64_t)attrs->stream;
    return WISP_OK;
}

/* --- drop_path --- */

typedef struct drop_path_state {
    CUfunction function;
    drop_path_args args; /* all but the pointers */
    int32_t per_access;
} drop_path_state;

static wisp_status start_drop_path(const wisp_kernel *kernel, drop_path_args *args, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const drop_path_state *state = kernel->state;
    args->wide = args->row % state->per_access == 0 &&
                 (cuda_address(args->x) | cuda_address(args->y)) % 16 == 0;
    const int64_t blocks = args->samples * args->slices;
    const int64_t most = (int64_t)device->n_multiprocessors * 64;
    const cuda_grid grid = {.x = (uint32_t)(blocks < most ? blocks : most), .threads = 256};
    return cuda_launch(device, state->function, grid, args, err);
}

static wisp_status drop_path_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                 const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    drop_path_args args = ((const drop_path_state *)kernel->state)->args;
    (void)scratch;
    args.x = in[0].data;
    args.key = in[1].data;
    args.y = out[0].data;
    args.keep = out[1].data;
    return start_drop_path(kernel, &args, err);
}

static wisp_status drop_path_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                      const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    drop_path_args args = ((const drop_path_state *)kernel->state)->args;
    (void)scratch;
    args.x = in[0].data;
    args.keep_in = in[1].data;
    args.y = out[0].data;
    return start_drop_path(kernel, &args, err);
}

static wisp_status make_drop_path(cuda_device *device, const wisp_kernel_request *request,
                                  cuda_run run, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *y = request->out[0];
    CUfunction function;
    if (!cuda_is_float(y))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, "drop_path", y->dtype, &function, err));
    WISP_TRY(
        cuda_kernel_create(device, "drop_path", run, sizeof(drop_path_state), NULL, kernel, err));
    drop_path_state *state = (*kernel)->state;
    state->function = function;
    state->per_access = cuda_per_access(y->dtype);
    state->args.samples = y->shape[0];
    state->args.row = y->shape[0] ? wisp_desc_count(y) / y->shape[0] : 0;
    state->args.slices = cuda_ceil_div(state->args.row, (int64_t)256 * 8 * 4);
    if (state->args.slices < 1)
        state->args.slices = 1;
    return WISP_OK;
}

static wisp_status drop_path_prepare(cuda_device *device, const wisp_kernel_request *request,
                                     wisp_kernel **kernel, wisp_error *err)
{
    const wisp_drop_path_attrs *attrs = request->attrs;
    WISP_TRY(make_drop_path(device, request, drop_path_run, kernel, err));
    drop_path_state *state = (*kernel)->state;
    state->args.stream = (uint64_t)attrs->stream;
    state->args.kept = (float)(1 / (1 - attrs->p));
    state->args.limit = (uint32_t)ceil(attrs->p * 16777216.0);
    return WISP_OK;
}

static wisp_status drop_path_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                          wisp_kernel **kernel, wisp_error *err)
{
    return make_drop_path(device, request, drop_path_grad_run, kernel, err);
}

const cuda_kernel_entry cuda_draw_kernels[] = {
    {"uniform", uniform_prepare},
    {"drop_path", drop_path_prepare},
    {"drop_path_grad", drop_path_grad_prepare},
    {NULL, NULL},
};
