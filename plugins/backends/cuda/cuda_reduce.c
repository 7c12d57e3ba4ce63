/* cuda_reduce.c - sums, means and maxima over dimensions.
 *
 * Neighbouring dimensions of one fate are joined. What remains is nearly always (outer, reduced,
 * inner): columns, or rows where inner is 1. Other patterns, and sums of few elements each, go
 * element by element. */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/reduce.h"

_Static_assert((int)REDUCE_MAX_RANK == (int)WISP_MAX_RANK, "a walk holds any shape");

typedef struct reduce_state {
    CUfunction function, finish;
    reduce_args args; /* all but the pointers */
    column_plan plan;
    cuda_grid grid; /* of reduce_any */
} reduce_state;

/* --- shapes --- */

typedef struct joined {
    int32_t n;
    int64_t size[WISP_MAX_RANK];
    int32_t reduced[WISP_MAX_RANK];
} joined;

static joined join_dimensions(const wisp_desc *x, uint32_t axes)
{
    joined j;
    memset(&j, 0, sizeof j);
    for (int32_t d = 0; d < x->rank; d++) {
        const int32_t reduced = axes >> d & 1;
        if (x->shape[d] == 1)
            continue;
        if (j.n > 0 && j.reduced[j.n - 1] == reduced) {
            j.size[j.n - 1] *= x->shape[d];
            continue;
        }
        j.reduced[j.n] = reduced;
        j.size[j.n++] = x->shape[d];
    }
    return j;
}

static reduce_walk walk_of(const joined *j)
{
    reduce_walk w;
    memset(&w, 0, sizeof w);
    w.results = w.length = 1;
    for (int32_t kind = 0; kind < 2; kind++) {
        for (int32_t d = 0; d < j->n; d++) {
            const int32_t at = w.n_kept + w.n_reduced;
            if (j->reduced[d] != kind)
                continue;
            w.size[at] = j->size[d];
            w.stride[at] = 1;
            for (int32_t i = d + 1; i < j->n; i++)
                w.stride[at] *= j->size[i];
            *(kind ? &w.length : &w.results) *= j->size[d];
            *(kind ? &w.n_reduced : &w.n_kept) += 1;
        }
    }
    return w;
}

/* outer, rows, columns of shapes that are such; 0 of others. */
static int as_columns(const joined *j, column_cut *c)
{
    const int32_t first = j->n > 0 && !j->reduced[0];
    *c = (column_cut){.outer = 1, .rows = 1, .columns = 1};
    if (j->n > first + 2)
        return 0;
    if (first)
        c->outer = j->size[0];
    if (j->n > first)
        c->rows = j->size[first];
    if (j->n > first + 1)
        c->columns = j->size[first + 1];
    return 1;
}

/* --- plans --- */

/* A row in one piece, or cut for as many blocks as keep the device busy. */
static column_cut cut_rows(const cuda_device *device, const column_cut *shape, int32_t per_access)
{
    column_cut c = *shape;
    const int64_t least = (int64_t)COLUMN_THREADS * per_access * 4;
    const int64_t room =
        cuda_ceil_div((int64_t)device->n_multiprocessors * 4, c.outer > 0 ? c.outer : 1);
    const int64_t chunk = cuda_ceil_div(cuda_ceil_div(c.rows, room), least) * least;
    c.chunk = chunk > least ? chunk : least;
    c.n_chunks = (int32_t)cuda_ceil_div(c.rows, c.chunk);
    c.n_chunks = c.n_chunks > 0 ? c.n_chunks : 1;
    c.n_tiles = 1;
    c.wide = per_access > 1;
    return c;
}

static column_plan plan_blocks(const cuda_device *device, const column_cut *shape,
                               int32_t per_access)
{
    if (shape->columns > 1)
        return cuda_column_plan(device, shape, per_access, 8, 4);
    column_plan plan = {.narrow = cut_rows(device, shape, 1)};
    if (shape->rows % per_access == 0)
        plan.wide = cut_rows(device, shape, per_access);
    return plan;
}

static void plan_any(const cuda_device *device, reduce_state *s)
{
    const reduce_walk *w = &s->args.walk;
    s->args.cut = (column_cut){.outer = 1, .columns = w->results, .n_chunks = 1};
    s->args.team = w->length >= 32 ? 32 : 1;
    s->grid = cuda_grid_over(device, w->results * s->args.team, 1);
}

/* --- running --- */

static wisp_status any_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                           const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const reduce_state *state = kernel->state;
    reduce_args args = state->args;
    (void)scratch;
    args.x = in[0].data;
    args.y = out[0].data;
    return cuda_launch(cuda_kernel_device(kernel), state->function, state->grid, &args, err);
}

static wisp_status blocks_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const reduce_state *state = kernel->state;
    reduce_args args = state->args;
    args.x = in[0].data;
    args.y = out[0].data;
    args.partial = scratch;
    args.cut = *cuda_column_pick(&state->plan, cuda_address(args.x));
    WISP_TRY(cuda_launch(device, state->function, cuda_column_grid(&args.cut), &args, err));
    if (args.cut.n_chunks == 1)
        return WISP_OK;
    return cuda_launch(device, state->finish, cuda_finish_grid(&args.cut), &args, err);
}

/* --- preparing --- */

/* Sums of few elements, many of them, are not worth a block each. */
static int in_blocks(const column_cut *shape, const reduce_walk *w)
{
    const int64_t blocks = shape->outer * cuda_ceil_div(shape->columns, 256);
    return w->results > 0 && blocks < 1 << 20 &&
           (w->length >= 64 || w->results < 16384 || (shape->columns >= 64 && w->length >= 8));
}

static wisp_status find_functions(const cuda_device *device, const char *form, int is_max,
                                  int32_t dtype, reduce_state *s, wisp_error *err)
{
    const char *way = is_max ? "max" : "sum";
    char name[48];
    snprintf(name, sizeof name, "reduce_%s_%s", form, way);
    WISP_TRY(cuda_function_for(device, name, dtype, &s->function, err));
    snprintf(name, sizeof name, "reduce_finish_%s", way);
    return cuda_function_for(device, name, dtype, &s->finish, err);
}

static wisp_status reduce_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    const wisp_reduce_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    if (!cuda_is_float(x) || !cuda_is_float(y))
        return wisp_refuse(request, err, "needs f32 or bf16");
    const joined j = join_dimensions(x, attrs->axes);
    reduce_state state;
    memset(&state, 0, sizeof state);
    column_cut shape;
    state.args.walk = walk_of(&j);
    state.args.scale =
        attrs->kind == WISP_REDUCE_MEAN ? (float)(1.0 / (double)state.args.walk.length) : 1.0f;
    state.args.y_f32 = y->dtype == WISP_F32;
    const int blocks = as_columns(&j, &shape) && in_blocks(&shape, &state.args.walk);
    const char *form = !blocks ? "any" : shape.columns == 1 ? "rows" : "columns";
    WISP_TRY(find_functions(device, form, attrs->kind == WISP_REDUCE_MAX, x->dtype, &state, err));
    if (blocks)
        state.plan = plan_blocks(device, &shape, cuda_per_access(x->dtype));
    else
        plan_any(device, &state);
    WISP_TRY(cuda_kernel_create(device, form, blocks ? blocks_run : any_run, sizeof state, NULL,
                                kernel, err));
    memcpy((*kernel)->state, &state, sizeof state);
    if (blocks && (state.plan.narrow.n_chunks > 1 || state.plan.wide.n_chunks > 1))
        (*kernel)->scratch_bytes = cuda_partial_bytes(&state.plan, 1);
    return WISP_OK;
}

/* --- the gradient of a maximum --- */

typedef struct grad_state {
    CUfunction function;
    reduce_max_grad_args args; /* all but the pointers */
} grad_state;

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const grad_state *state = kernel->state;
    reduce_max_grad_args args = state->args;
    (void)scratch;
    args.dy = in[0].data;
    args.x = in[1].data;
    args.dx = out[0].data;
    return cuda_launch(device, state->function, cuda_grid_over(device, args.walk.results * 32, 1),
                       &args, err);
}

static wisp_status grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_reduce_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[1];
    CUfunction function;
    if (!cuda_is_float(x))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(cuda_function_for(device, "reduce_max_grad", x->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "reduce", grad_run, sizeof(grad_state), NULL, kernel, err));
    grad_state *state = (*kernel)->state;
    const joined j = join_dimensions(x, attrs->axes);
    state->function = function;
    state->args.walk = walk_of(&j);
    state->args.dy_f32 = request->in[0]->dtype == WISP_F32;
    return WISP_OK;
}

const cuda_kernel_entry cuda_reduce_kernels[] = {
    {"reduce", reduce_prepare},
    {"reduce_max_grad", grad_prepare},
    {NULL, NULL},
};
