/* cuda_pooling.c - max and average pooling. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/pooling.h"

typedef struct pool_state {
    CUfunction by_four, by_one;
    int64_t n, channels, width, height; /* of what is written; n in elements */
    int32_t is_max, is_grad;
    pool_args args; /* sizes of the window and the maps */
} pool_state;

static wisp_status pool_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const pool_state *s = kernel->state;
    pool_args args = s->args;
    (void)scratch;
    args.from = in[0].data;
    args.to = out[0].data;
    if (s->is_max)
        args.index = s->is_grad ? in[1].data : out[1].data;
    const uint64_t bits =
        cuda_address(args.from) | cuda_address(args.to) | cuda_address(args.index);
    const int by_four = s->channels % 4 == 0 && cuda_aligned(bits, 16);
    const int64_t channels = by_four ? s->channels / 4 : s->channels;
    args.n = by_four ? s->n / 4 : s->n;
    args.channels = division_by(channels, args.n);
    args.width = division_by(s->width, args.n);
    args.height = division_by(s->height, args.n);
    return cuda_launch(device, by_four ? s->by_four : s->by_one, cuda_grid_over(device, args.n, 1),
                       &args, err);
}

static void take_sizes(pool_args *to, const wisp_pool_attrs *a, const wisp_desc *x,
                       const wisp_desc *y)
{
    to->h = (int32_t)x->shape[1];
    to->w = (int32_t)x->shape[2];
    to->ho = (int32_t)y->shape[1];
    to->wo = (int32_t)y->shape[2];
    to->kernel_h = a->kernel_h;
    to->kernel_w = a->kernel_w;
    to->stride_h = a->stride_h;
    to->stride_w = a->stride_w;
    to->pad_h = a->pad_h;
    to->pad_w = a->pad_w;
    to->include_padding = a->include_padding;
}

/* The kernel is called as the operation is. */
static wisp_status pool_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *from = request->in[0], *to = request->out[0];
    const int is_grad = strstr(request->op, "_grad") != NULL;
    const wisp_pool_attrs *attrs = request->attrs;
    CUfunction by_four, by_one;
    char one[40];
    if (attrs->kernel_h > INT16_MAX || attrs->kernel_w > INT16_MAX)
        return wisp_refuse(request, err, "a side of the window is above %d", INT16_MAX);
    snprintf(one, sizeof one, "%s_one", request->op);
    WISP_TRY(cuda_function_for(device, request->op, from->dtype, &by_four, err));
    WISP_TRY(cuda_function_for(device, one, from->dtype, &by_one, err));
    WISP_TRY(cuda_kernel_create(device, "pool", pool_run, sizeof(pool_state), NULL, kernel, err));
    pool_state *s = (*kernel)->state;
    s->by_four = by_four;
    s->by_one = by_one;
    s->is_max = request->op[0] == 'm';
    s->is_grad = is_grad;
    s->n = wisp_desc_count(to);
    s->height = to->shape[1];
    s->width = to->shape[2];
    s->channels = to->shape[3];
    take_sizes(&s->args, attrs, is_grad ? to : from, is_grad ? from : to);
    return WISP_OK;
}

const cuda_kernel_entry cuda_pooling_kernels[] = {
    {"max_pool", pool_prepare},
    {"max_pool_grad", pool_prepare},
    {"avg_pool", pool_prepare},
    {"avg_pool_grad", pool_prepare},
    {NULL, NULL},
};
