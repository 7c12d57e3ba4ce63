/* cuda_binary.c - functions of two values with numpy broadcasting, and broadcasting alone. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/binary.h"

_Static_assert((int)BINARY_MAX_RANK == (int)WISP_MAX_RANK, "a walk holds any shape");

/* --- How two operands are walked --- */

static void add_dimension(binary_walk *w, int64_t size, int64_t a, int64_t b)
{
    const int32_t before = w->rank - 1;
    if (size == 1)
        return;
    if (before >= 0 && w->stride[0][before] == a * size && w->stride[1][before] == b * size) {
        w->size[before] *= size;
        w->stride[0][before] = a;
        w->stride[1][before] = b;
        return;
    }
    w->size[w->rank] = size;
    w->stride[0][w->rank] = a;
    w->stride[1][w->rank++] = b;
}

/* Distance of neighbours along dimension d of y in operand x. */
static int64_t stride_in(const wisp_desc *x, const wisp_desc *y, int32_t d)
{
    const int32_t at = d - (y->rank - x->rank);
    int64_t stride = 1;
    if (at < 0 || x->shape[at] == 1)
        return 0;
    for (int32_t i = at + 1; i < x->rank; i++)
        stride *= x->shape[i];
    return stride;
}

static binary_walk walk_of(const wisp_desc *y, const wisp_desc *a, const wisp_desc *b)
{
    binary_walk w;
    memset(&w, 0, sizeof w);
    w.count = wisp_desc_count(y);
    for (int32_t d = 0; d < y->rank; d++)
        add_dimension(&w, y->shape[d], stride_in(a, y, d), stride_in(b, y, d));
    if (w.rank == 0) {
        w.rank = 1;
        w.size[0] = 1;
    }
    w.row = w.size[w.rank - 1] > 0 ? w.size[w.rank - 1] : 1;
    return w;
}

/* Packs of n elements lie within rows, and rows of running operands begin at packs: strides of
 * whole rows divide when the row does, since shapes are contiguous. */
static int32_t packs_fit(const binary_walk *w, int32_t n)
{
    if (w->row % n)
        return 0;
    for (int32_t i = 0; i < 2; i++)
        for (int32_t d = 0; d < w->rank - 1 && w->stride[i][w->rank - 1]; d++)
            if (w->stride[i][d] % n)
                return 0;
    return 1;
}

/* --- Two operands --- */

typedef struct binary_state {
    CUfunction function;
    binary_args args; /* all but the pointers */
    int32_t per_access;
} binary_state;

static wisp_status binary_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const binary_state *state = kernel->state;
    const binary_walk *w = &state->args.walk;
    binary_args args = state->args;
    (void)scratch;
    args.a = in[0].data;
    args.b = in[1].data;
    args.y = out[0].data;
    args.walk.wide = packs_fit(w, state->per_access) && cuda_address(args.y) % 16 == 0 &&
                     (!w->stride[0][w->rank - 1] || cuda_address(args.a) % 16 == 0) &&
                     (!w->stride[1][w->rank - 1] || cuda_address(args.b) % 16 == 0);
    return cuda_launch(device, state->function,
                       cuda_grid_over(device, w->count, args.walk.wide ? state->per_access : 1),
                       &args, err);
}

static wisp_status binary_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    static const char *const kind_names[] = {NULL, "add", "sub", "mul", "div", "max", "min"};
    const wisp_binary_attrs *attrs = request->attrs;
    const wisp_desc *a = request->in[0], *b = request->in[1], *y = request->out[0];
    char name[32];
    CUfunction function;
    if (attrs->kind < WISP_BINARY_ADD || attrs->kind > WISP_BINARY_MIN)
        return wisp_refuse(request, err, "function %d is not known", attrs->kind);
    if (!cuda_is_float(a) || !cuda_is_float(b) || !cuda_is_float(y) ||
        (a->dtype != y->dtype && a->rank > 0) || (b->dtype != y->dtype && b->rank > 0))
        return wisp_refuse(request, err, "a and b need one type, f32 or bf16, or a 0-d operand");
    snprintf(name, sizeof name, "binary_%s", kind_names[attrs->kind]);
    WISP_TRY(cuda_function_for(device, name, y->dtype, &function, err));
    WISP_TRY(
        cuda_kernel_create(device, "binary", binary_run, sizeof(binary_state), NULL, kernel, err));
    binary_state *state = (*kernel)->state;
    state->function = function;
    state->args.walk = walk_of(y, a, b);
    state->args.a_f32 = a->dtype == WISP_F32;
    state->args.b_f32 = b->dtype == WISP_F32;
    state->per_access = cuda_per_access(y->dtype);
    return WISP_OK;
}

/* --- One operand, stretched --- */

typedef struct broadcast_state {
    CUfunction function;
    broadcast_args args;
} broadcast_state;

static wisp_status broadcast_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                 const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const broadcast_state *state = kernel->state;
    const binary_walk *w = &state->args.walk;
    broadcast_args args = state->args;
    (void)scratch;
    args.x = in[0].data;
    args.y = out[0].data;
    args.walk.wide = packs_fit(w, 8) && cuda_address(args.y) % 16 == 0 &&
                     (!w->stride[0][w->rank - 1] || cuda_address(args.x) % 16 == 0);
    return cuda_launch(device, state->function,
                       cuda_grid_over(device, w->count, args.walk.wide ? 8 : 1), &args, err);
}

static wisp_status broadcast_prepare(cuda_device *device, const wisp_kernel_request *request,
                                     wisp_kernel **kernel, wisp_error *err)
{
    const wisp_broadcast_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    char name[32];
    CUfunction function;
    if (!cuda_is_float(x) || !cuda_is_float(y))
        return wisp_refuse(request, err, "needs f32 or bf16");
    snprintf(name, sizeof name, "broadcast_%s", wisp_dtype_name(x->dtype));
    WISP_TRY(cuda_function_for(device, name, y->dtype, &function, err));
    WISP_TRY(cuda_kernel_create(device, "broadcast", broadcast_run, sizeof(broadcast_state), NULL,
                                kernel, err));
    broadcast_state *state = (*kernel)->state;
    state->function = function;
    state->args.walk = walk_of(y, x, x);
    state->args.scale = (float)attrs->scale;
    return WISP_OK;
}

const cuda_kernel_entry cuda_binary_kernels[] = {
    {"binary", binary_prepare},
    {"broadcast", broadcast_prepare},
    {NULL, NULL},
};
