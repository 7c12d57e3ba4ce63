/* cuda_cast.c - the same values in another element type. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/cast.h"

typedef struct cast_state {
    CUfunction function;
    int64_t n;
} cast_state;

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const cast_state *state = kernel->state;
    const cast_args args = {.x = in[0].data,
                            .y = out[0].data,
                            .n = state->n,
                            .wide =
                                (cuda_address(in[0].data) | cuda_address(out[0].data)) % 16 == 0};
    (void)scratch;
    return cuda_launch(device, state->function, cuda_grid_over(device, args.n, 8), &args, err);
}

static wisp_status prepare(cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    char name[32];
    CUfunction function;
    snprintf(name, sizeof name, "cast_%s", wisp_dtype_name(request->in[0]->dtype));
    WISP_TRY(cuda_function_for(device, name, request->out[0]->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "cast", run, sizeof(cast_state), NULL, kernel, err));
    cast_state *state = (*kernel)->state;
    state->function = function;
    state->n = wisp_desc_count(request->out[0]);
    return WISP_OK;
}

const cuda_kernel_entry cuda_cast_kernels[] = {
    {"cast", prepare},
    {NULL, NULL},
};
