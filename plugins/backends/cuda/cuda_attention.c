/* cuda_attention.c - attention by our own kernels: f32, and what cuDNN does not take. */
#include "cuda_attention.h"
#include "cuda_empty.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/attention.h"

/* --- requests --- */

static int is_named(const wisp_kernel_request *request, const char *op)
{
    return strcmp(request->op, op) == 0;
}

cuda_attention cuda_attention_of(const wisp_kernel_request *request)
{
    const wisp_attention_attrs *attrs = request->attrs;
    const int joint =
        is_named(request, "self_attention") || is_named(request, "self_attention_grad");
    const int gradient =
        is_named(request, "attention_grad") || is_named(request, "self_attention_grad");
    const wisp_desc *q = request->in[gradient ? 1 : 0],
                    *k = joint ? q : request->in[gradient ? 2 : 1];
    const int64_t channels = joint ? q->shape[2] / 3 : q->shape[2];
    cuda_attention a = {
        .batch = q->shape[0],
        .n_queries = q->shape[1],
        .n_keys = k->shape[1],
        .stride = q->shape[2],
        .y_stride = channels,
        .part = joint ? channels : 0,
        .heads = attrs->heads,
        .width = (int32_t)(channels / attrs->heads),
        .dtype = q->dtype,
        .scale = (float)attrs->scale,
        .alignment = 16,
    };
    for (int32_t i = 0; i < request->n_in; i++)
        if (request->in[i]->dtype == q->dtype && cuda_alignment(request->in[i]) < a.alignment)
            a.alignment = cuda_alignment(request->in[i]);
    return a;
}

static const void *behind(const cuda_attention *a, const void *q, int64_t parts)
{
    return (const char *)q + parts * a->part * wisp_dtype_bytes(a->dtype);
}

static void *behind_result(const cuda_attention *a, void *q, int64_t parts)
{
    return (char *)q + parts * a->part * wisp_dtype_bytes(a->dtype);
}

cuda_attention_memory cuda_attention_find(const cuda_attention *a, int32_t is_gradient,
                                          const wisp_kernel_arg *in, const wisp_kernel_arg *out)
{
    const int32_t q = is_gradient, last = a->part ? q : q + 2;
    cuda_attention_memory m = {
        .q = in[q].data,
        .k = a->part ? behind(a, in[q].data, 1) : in[q + 1].data,
        .v = a->part ? behind(a, in[q].data, 2) : in[q + 2].data,
    };
    if (!is_gradient) {
        m.out = out[0].data;
        m.lse = out[1].data;
        return m;
    }
    m.dy = in[0].data;
    m.y = in[last + 1].data;
    m.lse = in[last + 2].data;
    m.dq = out[0].data;
    m.dk = a->part ? behind_result(a, out[0].data, 1) : out[1].data;
    m.dv = a->part ? behind_result(a, out[0].data, 2) : out[2].data;
    return m;
}

/* --- kernels --- */

typedef struct attention_state {
    cuda_attention attention;
    CUfunction forward, delta, of_queries, of_keys;
    uint32_t shared_bytes;
} attention_state;

static attention_args args_of(const cuda_attention *a, const cuda_attention_memory *m)
{
    return (attention_args){
        .q = m->q,
        .k = m->k,
        .v = m->v,
        .y = m->y,
        .dy = m->dy,
        .out = m->out,
        .dq = m->dq,
        .dk = m->dk,
        .dv = m->dv,
        .lse = m->lse,
        .batch = a->batch,
        .n_queries = a->n_queries,
        .n_keys = a->n_keys,
        .stride = a->stride,
        .y_stride = a->y_stride,
        .heads = a->heads,
        .width = a->width,
        .scale = a->scale,
    };
}

static cuda_grid grid_of(const attention_state *s, int64_t n_own)
{
    const int64_t tiles = cuda_ceil_div(n_own, ATTENTION_ROWS);
    return (cuda_grid){.x = (uint32_t)(s->attention.batch * s->attention.heads * tiles),
                       .threads = ATTENTION_THREADS,
                       .shared_bytes = s->shared_bytes};
}

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const attention_state *s = kernel->state;
    const cuda_attention_memory m = cuda_attention_find(&s->attention, 0, in, out);
    const attention_args args = args_of(&s->attention, &m);
    (void)scratch;
    return cuda_launch(cuda_kernel_device(kernel), s->forward, grid_of(s, args.n_queries), &args,
                       err);
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const attention_state *s = kernel->state;
    const cuda_attention_memory m = cuda_attention_find(&s->attention, 1, in, out);
    attention_args args = args_of(&s->attention, &m);
    args.delta = scratch;
    const int64_t warps = args.batch * args.heads * args.n_queries;
    WISP_TRY(cuda_launch(device, s->delta, cuda_grid_over(device, warps * 32, 1), &args, err));
    WISP_TRY(cuda_launch(device, s->of_queries, grid_of(s, args.n_queries), &args, err));
    return cuda_launch(device, s->of_keys, grid_of(s, args.n_keys), &args, err);
}

/* Device code by name, allowed as much shared memory as it is going to ask for. */
static wisp_status take(const cuda_device *device, const char *name, const attention_state *s,
                        CUfunction *function, wisp_error *err)
{
    WISP_TRY(cuda_function_for(device, name, s->attention.dtype, function, err));
    return cuda_check(
        device->driver,
        device->driver->FuncSetAttribute(*function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                         (int)s->shared_bytes),
        "asking for shared memory", err);
}

/* `kinds` of own rows and of weights, and two tiles; see kernels/attention.cu. */
static uint32_t shared_bytes(const cuda_attention *a, uint32_t kinds)
{
    const uint32_t width = (uint32_t)a->width;
    const uint32_t floats = kinds * (8 * width * 4 + 8 * 32 * 4) + 2 * ATTENTION_ROWS * (width + 1);
    return floats * (uint32_t)sizeof(float);
}

static wisp_status forward_fill(const cuda_device *device, wisp_kernel *made, wisp_error *err)
{
    attention_state *s = made->state;
    s->shared_bytes = shared_bytes(&s->attention, 1);
    return take(device, "attention_forward", s, &s->forward, err);
}

static wisp_status grad_fill(const cuda_device *device, wisp_kernel *made, wisp_error *err)
{
    attention_state *s = made->state;
    const cuda_attention *a = &s->attention;
    s->shared_bytes = shared_bytes(a, 2);
    made->scratch_bytes = (size_t)(a->batch * a->heads * a->n_queries) * sizeof(float);
    WISP_TRY(cuda_function_for(device, "attention_delta", a->dtype, &s->delta, err));
    WISP_TRY(take(device, "attention_grad_queries", s, &s->of_queries, err));
    return take(device, "attention_grad_keys", s, &s->of_keys, err);
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_status (*fill)(const cuda_device *, wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    const cuda_attention a = cuda_attention_of(request);
    const int64_t longest = a.n_queries > a.n_keys ? a.n_queries : a.n_keys;
    if (a.width > ATTENTION_WIDEST)
        return wisp_refuse(request, err, "heads have %d channels, own kernels take up to %d",
                           a.width, ATTENTION_WIDEST);
    if (a.batch * a.heads * cuda_ceil_div(longest, ATTENTION_ROWS) > INT32_MAX)
        return wisp_refuse(request, err, "more than 2^31 - 1 blocks");
    WISP_TRY(cuda_kernel_create(device, "online_softmax", run, sizeof(attention_state), NULL, &made,
                                err));
    ((attention_state *)made->state)->attention = a;
    return cuda_kernel_finish(made, fill(device, made, err), kernel);
}

static wisp_status forward_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, forward_run, forward_fill, kernel, err);
}

static wisp_status grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, grad_run, grad_fill, kernel, err);
}

const cuda_kernel_entry cuda_attention_kernels[] = {
    {"attention", forward_prepare},
    {"self_attention", forward_prepare},
    {"attention_grad", grad_prepare},
    {"self_attention_grad", grad_prepare},
    {NULL, NULL},
};
