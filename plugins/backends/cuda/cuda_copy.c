/* cuda_copy.c - fill, copy, accumulate. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "kernels/copy.h"

typedef struct copy_state {
    CUfunction function;
    copy_args args; /* all but the pointers */
    int64_t bytes;
    int32_t n_in;
} copy_state;

static wisp_status launch_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const copy_state *state = kernel->state;
    copy_args args = state->args;
    (void)scratch;
    args.x = state->n_in ? in[0].data : NULL;
    args.y = out[0].data;
    return cuda_launch(device, state->function, cuda_grid_over(device, args.n, 4), &args, err);
}

static wisp_status make(cuda_device *device, const char *name, const wisp_kernel_request *request,
                        wisp_kernel **kernel, wisp_error *err)
{
    CUfunction function;
    const wisp_desc *y = request->out[0];
    WISP_TRY(cuda_function_for(device, name, y->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "copy", launch_run, sizeof(copy_state), NULL, kernel, err));
    copy_state *state = (*kernel)->state;
    state->function = function;
    state->args.n = wisp_desc_count(y);
    state->n_in = request->n_in;
    return WISP_OK;
}

static wisp_status fill_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_fill_attrs *attrs = request->attrs;
    WISP_TRY(make(device, "fill", request, kernel, err));
    copy_state *state = (*kernel)->state;
    state->args.value = attrs->value;
    state->args.value_i64 = (int64_t)attrs->value;
    return WISP_OK;
}

static wisp_status accumulate_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    const int32_t x = request->in[0]->dtype, y = request->out[0]->dtype;
    char name[40];
    if ((x != WISP_F32 && x != WISP_BF16) || (y != WISP_F32 && y != WISP_BF16))
        return wisp_refuse(request, err, "x and y must be f32 or bf16");
    snprintf(name, sizeof name, "accumulate_%s", wisp_dtype_name(x));
    return make(device, name, request, kernel, err);
}

static wisp_status copy_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const copy_state *state = kernel->state;
    (void)scratch;
    if (state->bytes == 0 || in[0].data == out[0].data)
        return WISP_OK;
    return cuda_check(device->driver,
                      device->driver->MemcpyDtoDAsync(cuda_pointer(out[0].data),
                                                      cuda_pointer(in[0].data),
                                                      (size_t)state->bytes, device->stream),
                      "copying on the device", err);
}

static wisp_status copy_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(cuda_kernel_create(device, "copy", copy_run, sizeof(copy_state), NULL, kernel, err));
    ((copy_state *)(*kernel)->state)->bytes = wisp_desc_bytes(request->out[0]);
    return WISP_OK;
}

const cuda_kernel_entry cuda_copy_kernels[] = {
    {"fill", fill_prepare},
    {"copy", copy_prepare},
    {"accumulate", accumulate_prepare},
    {NULL, NULL},
};
