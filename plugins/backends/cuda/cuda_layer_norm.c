/* cuda_layer_norm.c - normalisation by row and its gradient. */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/layer_norm.h"

typedef struct layer_state {
    CUfunction function, sums, finish; /* sums, finish: of the parameters' gradients */
    CUfunction held;                   /* all of the gradient but finish, of rows in registers */
    cuda_grid held_grid;               /* no threads: rows are too long */
    layer_norm_args args;              /* all but pointers and cuts */
    row_plan rows;
    column_plan columns;
    int32_t n_in; /* arguments behind the last one may be left out */
    int32_t want_affine;
} layer_state;

static wisp_status norm_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const layer_state *s = kernel->state;
    layer_norm_args args = s->args;
    (void)scratch;
    args.x = in[0].data;
    args.gamma = s->n_in > 1 ? in[1].data : NULL;
    args.beta = s->n_in > 2 ? in[2].data : NULL;
    args.y = out[0].data;
    args.mean = out[1].data;
    args.rstd = out[2].data;
    args.rows = cuda_row_pick(&s->rows, cuda_address(args.x) | cuda_address(args.gamma) |
                                            cuda_address(args.beta) | cuda_address(args.y));
    return cuda_launch(device, s->function, cuda_row_grid(device, &args.rows), &args, err);
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, int32_t at,
                        cuda_run run, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_layer_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[at];
    CUfunction function;
    if (!cuda_is_float(x))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, request->op, x->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "rows", run, sizeof(layer_state), NULL, kernel, err));
    layer_state *s = (*kernel)->state;
    s->function = function;
    s->args.eps = (float)attrs->eps;
    s->rows = cuda_row_plan_of(x);
    s->n_in = request->n_in;
    return WISP_OK;
}

static wisp_status norm_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, 0, norm_run, kernel, err);
}

/* --- gradient --- */

/* dx and the sums of each block's rows, where a warp can hold a row. */
static wisp_status start_held(const wisp_kernel *kernel, layer_norm_args *args, void *scratch,
                              wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const layer_state *s = kernel->state;
    args->columns =
        (column_cut){.outer = 1, .columns = args->rows.length, .n_chunks = (int32_t)s->held_grid.x};
    args->partial[0] = scratch;
    args->partial[1] = args->partial[0] + args->columns.n_chunks * args->columns.columns;
    WISP_TRY(cuda_launch(device, s->held, s->held_grid, args, err));
    return cuda_launch(device, s->finish, cuda_finish_grid(&args->columns), args, err);
}

static wisp_status start_sums(const wisp_kernel *kernel, layer_norm_args *args, void *scratch,
                              wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const layer_state *s = kernel->state;
    args->columns = *cuda_column_pick(&s->columns, cuda_address(args->x) | cuda_address(args->dy));
    args->partial[0] = scratch;
    args->partial[1] = args->partial[0] + args->columns.n_chunks * args->columns.columns;
    WISP_TRY(cuda_launch(device, s->sums, cuda_column_grid(&args->columns), args, err));
    return cuda_launch(device, s->finish, cuda_finish_grid(&args->columns), args, err);
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const layer_state *s = kernel->state;
    layer_norm_args args = s->args;
    args.dy = in[0].data;
    args.x = in[1].data;
    args.gamma = in[2].data;
    args.mean_in = in[3].data;
    args.rstd_in = in[4].data;
    args.y = out[0].data;
    args.dgamma = out[1].data;
    args.dbeta = out[2].data;
    args.rows = cuda_row_pick(&s->rows, cuda_address(args.dy) | cuda_address(args.x) |
                                            cuda_address(args.gamma) | cuda_address(args.y));
    if (s->held_grid.threads && args.rows.wide)
        return start_held(kernel, &args, scratch, err);
    WISP_TRY(cuda_launch(device, s->function, cuda_row_grid(device, &args.rows), &args, err));
    return s->want_affine ? start_sums(kernel, &args, scratch, err) : WISP_OK;
}

/* As many blocks as the device holds at once: a warp has sums for all of its rows. */
static wisp_status plan_held(cuda_device *device, const wisp_desc *x, wisp_kernel *kernel,
                             wisp_error *err)
{
    static const int32_t blocks_of[] = {3, 2, 2}; /* a multiprocessor, by registers */
    layer_state *s = kernel->state;
    const int64_t hold = cuda_ceil_div(s->rows.cut.length, (int64_t)32 * s->rows.per_access);
    char name[48];
    if (hold > 3 || s->rows.cut.length % s->rows.per_access)
        return WISP_OK;
    snprintf(name, sizeof name, "layer_norm_grad_held_%d", (int)hold);
    WISP_TRY(cuda_function_for(device, name, x->dtype, &s->held, err));
    const int64_t wanted = cuda_ceil_div(s->rows.cut.n, COLUMN_THREADS / 32);
    const int64_t most = (int64_t)device->n_multiprocessors * blocks_of[hold - 1];
    s->held_grid =
        (cuda_grid){.x = (uint32_t)(wanted < most ? wanted : most), .threads = COLUMN_THREADS};
    const size_t bytes = (size_t)(s->held_grid.x * s->rows.cut.length * 2) * sizeof(float);
    if (bytes > kernel->scratch_bytes)
        kernel->scratch_bytes = bytes;
    return WISP_OK;
}

static wisp_status plan_sums(cuda_device *device, const wisp_desc *x, wisp_kernel *kernel,
                             wisp_error *err)
{
    layer_state *s = kernel->state;
    const column_cut shape = {.outer = 1, .rows = s->rows.cut.n, .columns = s->rows.cut.length};
    s->want_affine = 1;
    s->columns = cuda_column_plan(device, &shape, cuda_per_access(x->dtype), 8, 4);
    kernel->scratch_bytes = cuda_partial_bytes(&s->columns, 2);
    WISP_TRY(cuda_function_for(device, "layer_norm_affine", x->dtype, &s->sums, err));
    WISP_TRY(cuda_function(device, "layer_norm_affine_finish", &s->finish, err));
    return plan_held(device, x, kernel, err);
}

static wisp_status grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_layer_norm_attrs *attrs = request->attrs;
    WISP_TRY(make(device, request, 1, grad_run, kernel, err));
    const wisp_status status =
        attrs->want_affine ? plan_sums(device, request->in[1], *kernel, err) : WISP_OK;
    if (status != WISP_OK)
        (*kernel)->release(*kernel);
    return status;
}

const cuda_kernel_entry cuda_layer_norm_kernels[] = {
    {"layer_norm", norm_prepare},
    {"layer_norm_grad", grad_prepare},
    {NULL, NULL},
};
