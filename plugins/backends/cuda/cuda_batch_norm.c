/* cuda_batch_norm.c - normalisation by channel: statistics, the map, and their gradients. */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/batch_norm.h"

typedef struct norm_state {
    CUfunction function, finish; /* finish: joins partial sums */
    batch_norm_args args;        /* all but pointers and cut */
    column_plan plan;
    int32_t n_in; /* arguments behind the last one may be left out */
} norm_state;

static void take_attrs(batch_norm_args *args, const wisp_batch_norm_attrs *attrs)
{
    args->eps = (float)attrs->eps;
    args->activation = attrs->activation;
    args->per_count = attrs->count > 0 ? (float)(1.0 / (double)attrs->count) : 0.0f;
}

/* `finish` names what joins partial sums; NULL: there are none. Chunks that have sums are fewer and
 * longer. */
static wisp_status make(cuda_device *device, const wisp_kernel_request *request, int32_t at,
                        const char *finish, cuda_run run, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *x = request->in[at];
    CUfunction function, joins = NULL;
    if (!cuda_is_float(x))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, request->op, x->dtype, &function, err));
    if (finish)
        WISP_TRY(cuda_function(device, finish, &joins, err));
    WISP_TRY(cuda_kernel_create(device, "one_pass", run, sizeof(norm_state), NULL, kernel, err));
    norm_state *s = (*kernel)->state;
    const int64_t columns = x->shape[x->rank - 1];
    const column_cut shape = {.outer = 1, .rows = wisp_desc_count(x) / columns, .columns = columns};
    s->function = function;
    s->finish = joins;
    s->n_in = request->n_in;
    s->plan =
        cuda_column_plan(device, &shape, cuda_per_access(x->dtype), finish ? 4 : 2, finish ? 4 : 8);
    (*kernel)->scratch_bytes = finish ? cuda_partial_bytes(&s->plan, 2) : 0;
    return WISP_OK;
}

static wisp_status start_two(const wisp_kernel *kernel, batch_norm_args *args, uintptr_t addresses,
                             void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const norm_state *s = kernel->state;
    args->cut = *cuda_column_pick(&s->plan, addresses);
    args->partial[0] = scratch;
    args->partial[1] = args->partial[0] + args->cut.n_chunks * args->cut.columns;
    WISP_TRY(cuda_launch(device, s->function, cuda_column_grid(&args->cut), args, err));
    return cuda_launch(device, s->finish, cuda_finish_grid(&args->cut), args, err);
}

/* --- channel_stats --- */

static wisp_status stats_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    batch_norm_args args = ((const norm_state *)kernel->state)->args;
    args.x = in[0].data;
    args.first = out[0].data;
    args.second = out[1].data;
    return start_two(kernel, &args, cuda_address(args.x), scratch, err);
}

static wisp_status stats_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, 0, "channel_stats_finish", stats_run, kernel, err);
}

/* --- batch_norm --- */

static wisp_status norm_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const norm_state *s = kernel->state;
    batch_norm_args args = s->args;
    (void)scratch;
    args.x = in[0].data;
    args.mean = in[1].data;
    args.var = in[2].data;
    args.gamma = s->n_in > 3 ? in[3].data : NULL;
    args.beta = s->n_in > 4 ? in[4].data : NULL;
    args.residual = s->n_in > 5 ? in[5].data : NULL;
    args.y = out[0].data;
    args.cut = *cuda_column_pick(&s->plan, cuda_address(args.x) | cuda_address(args.mean) |
                                               cuda_address(args.var) | cuda_address(args.gamma) |
                                               cuda_address(args.beta) |
                                               cuda_address(args.residual) | cuda_address(args.y));
    return cuda_launch(cuda_kernel_device(kernel), s->function, cuda_column_grid(&args.cut), &args,
                       err);
}

static wisp_status norm_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, 0, NULL, norm_run, kernel, err));
    take_attrs(&((norm_state *)(*kernel)->state)->args, request->attrs);
    return WISP_OK;
}

/* --- gradients: dy, x, y?, mean, var --- */

static uintptr_t take_gradient(batch_norm_args *args, const wisp_kernel_arg *in)
{
    args->dy = in[0].data;
    args->x = in[1].data;
    args->y_in = in[2].data;
    args->mean = in[3].data;
    args->var = in[4].data;
    return cuda_address(args->dy) | cuda_address(args->x) | cuda_address(args->y_in) |
           cuda_address(args->mean) | cuda_address(args->var);
}

static wisp_status grad_stats_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    batch_norm_args args = ((const norm_state *)kernel->state)->args;
    const uintptr_t addresses = take_gradient(&args, in);
    args.first = out[0].data;
    args.second = out[1].data;
    return start_two(kernel, &args, addresses, scratch, err);
}

static wisp_status grad_stats_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, 1, "batch_norm_grad_stats_finish", grad_stats_run, kernel, err));
    take_attrs(&((norm_state *)(*kernel)->state)->args, request->attrs);
    return WISP_OK;
}

static wisp_status grad_input_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const norm_state *s = kernel->state;
    batch_norm_args args = s->args;
    uintptr_t addresses = take_gradient(&args, in);
    (void)scratch;
    args.gamma = in[5].data;
    args.dbeta = in[6].data;
    args.dgamma = in[7].data;
    args.y = out[0].data;
    args.dresidual = out[1].data;
    addresses |= cuda_address(args.gamma) | cuda_address(args.dbeta) | cuda_address(args.dgamma) |
                 cuda_address(args.y) | cuda_address(args.dresidual);
    args.cut = *cuda_column_pick(&s->plan, addresses);
    return cuda_launch(cuda_kernel_device(kernel), s->function, cuda_column_grid(&args.cut), &args,
                       err);
}

static wisp_status grad_input_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, 1, NULL, grad_input_run, kernel, err));
    take_attrs(&((norm_state *)(*kernel)->state)->args, request->attrs);
    return WISP_OK;
}

const cuda_kernel_entry cuda_batch_norm_kernels[] = {
    {"channel_stats", stats_prepare},
    {"batch_norm", norm_prepare},
    {"batch_norm_grad_stats", grad_stats_prepare},
    {"batch_norm_grad_input", grad_input_prepare},
    {NULL, NULL},
};
