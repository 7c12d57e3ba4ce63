/* cuda_resize.c - maps on a grid of another size, by cubic convolution, and the gradient. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "kernels/resize.h"

/* Parts of scratch of one axis. */
typedef struct axis_parts {
    size_t at, weight, begin, end;
} axis_parts;

typedef struct resize_state {
    CUfunction axes, pixels;
    axis_parts rows, columns;
    resize_args args; /* without the pointers */
} resize_state;

static void book_axis(const resize_axis *axis, axis_parts *parts, size_t *total)
{
    const size_t taps = (size_t)axis->out * RESIZE_TAPS, in = (size_t)axis->in;
    parts->at = cuda_book(total, taps * sizeof(int32_t));
    parts->weight = cuda_book(total, taps * sizeof(float));
    parts->begin = cuda_book(total, in * sizeof(int32_t));
    parts->end = cuda_book(total, in * sizeof(int32_t));
}

static void place_axis(resize_axis *axis, const axis_parts *parts, char *scratch)
{
    axis->at = (int32_t *)(void *)(scratch + parts->at);
    axis->weight = (float *)(void *)(scratch + parts->weight);
    axis->begin = (int32_t *)(void *)(scratch + parts->begin);
    axis->end = (int32_t *)(void *)(scratch + parts->end);
}

static wisp_status resize_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const resize_state *s = kernel->state;
    resize_args args = s->args;
    args.from = in[0].data;
    args.to = out[0].data;
    place_axis(&args.rows, &s->rows, scratch);
    place_axis(&args.columns, &s->columns, scratch);
    WISP_TRY(cuda_launch(device, s->axes, (cuda_grid){.x = 2, .threads = 256}, &args, err));
    return cuda_launch(device, s->pixels, cuda_grid_over(device, args.n, 1), &args, err);
}

static resize_axis axis_of(int64_t in, int64_t out, double scale)
{
    return (resize_axis){.in = (int32_t)in,
                         .out = (int32_t)out,
                         .step = scale > 0 ? scale : (double)in / (double)out};
}

/* The kernel is called as the operation is; `x` and `y` are those of the forward call. */
static wisp_status create(cuda_device *device, const wisp_kernel_request *request,
                          const wisp_desc *x, const wisp_desc *y, wisp_kernel **kernel,
                          wisp_error *err)
{
    const wisp_resize_attrs *attrs = request->attrs;
    const wisp_desc *to = request->out[0];
    resize_state made = {.args = {.n = wisp_desc_count(to)}};
    if (x->shape[1] > INT32_MAX / 8 || x->shape[2] > INT32_MAX / 8 || y->shape[1] > INT32_MAX / 8 ||
        y->shape[2] > INT32_MAX / 8)
        return wisp_refuse(request, err, "a side of a map is above %d", INT32_MAX / 8);
    WISP_TRY(cuda_function(device, "resize_axes", &made.axes, err));
    WISP_TRY(cuda_function_for(device, request->op, to->dtype, &made.pixels, err));
    made.args.rows = axis_of(x->shape[1], y->shape[1], attrs->scale_h);
    made.args.columns = axis_of(x->shape[2], y->shape[2], attrs->scale_w);
    made.args.channels = division_by(to->shape[3], made.args.n);
    made.args.width = division_by(to->shape[2], made.args.n);
    made.args.height = division_by(to->shape[1], made.args.n);
    WISP_TRY(cuda_kernel_create(device, "resize", resize_run, sizeof made, NULL, kernel, err));
    book_axis(&made.args.rows, &made.rows, &(*kernel)->scratch_bytes);
    book_axis(&made.args.columns, &made.columns, &(*kernel)->scratch_bytes);
    *(resize_state *)(*kernel)->state = made;
    return WISP_OK;
}

static wisp_status resize_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    return create(device, request, request->in[0], request->out[0], kernel, err);
}

static wisp_status resize_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    return create(device, request, request->out[0], request->in[0], kernel, err);
}

const cuda_kernel_entry cuda_resize_kernels[] = {
    {"resize_bicubic", resize_prepare},
    {"resize_bicubic_grad", resize_grad_prepare},
    {NULL, NULL},
};
