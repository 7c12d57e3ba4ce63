/* cuda_flash.c - attention by cuDNN's fused kernels: bf16, straight from the joint projection. */
#include "cuda_empty.h"
#include "cuda_flash.h"
#include "cuda_table.h"

enum { WIDEST = 128, MOST_TENSORS = 16 };

typedef struct flash_state {
    cuda_graph graph;
    cuda_attention attention;
    float scale, one;
    int32_t ordered;
    size_t at_sums, at_dq, at_work, dq_bytes;
} flash_state;

static void destroy(cuda_device *device, void *state)
{
    (void)device;
    cuda_graph_free(&((flash_state *)state)->graph);
}

/* What a run hands over. */
typedef struct handed {
    int64_t ids[MOST_TENSORS];
    const void *data[MOST_TENSORS];
    int32_t n;
} handed;

static void hand(handed *h, int64_t id, const void *data)
{
    h->ids[h->n] = id;
    h->data[h->n++] = data;
}

static wisp_status run_graph(const flash_state *s, const handed *h, void *scratch, wisp_error *err)
{
    void *data[MOST_TENSORS];
    memcpy(data, h->data, sizeof data); /* cuDNN knows what it may write to */
    return cuda_graph_run(&s->graph, h->n, h->ids, data, cuda_part(scratch, s->at_work), err);
}

static handed hand_inputs(const flash_state *s, const cuda_attention_memory *m)
{
    handed h = {.n = 0};
    hand(&h, FLASH_Q, m->q);
    hand(&h, FLASH_K, m->k);
    hand(&h, FLASH_V, m->v);
    hand(&h, FLASH_LSE, m->lse);
    hand(&h, FLASH_SCALE, &s->scale);
    return h;
}

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const flash_state *s = kernel->state;
    const cuda_attention_memory m = cuda_attention_find(&s->attention, 0, in, out);
    handed h = hand_inputs(s, &m);
    hand(&h, FLASH_Y, m.out);
    return run_graph(s, &h, scratch, err);
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const flash_state *s = kernel->state;
    const cuda_attention_memory m = cuda_attention_find(&s->attention, 1, in, out);
    handed h = hand_inputs(s, &m);
    hand(&h, FLASH_ONE, &s->one);
    hand(&h, FLASH_Y, m.y);
    hand(&h, FLASH_DY, m.dy);
    hand(&h, FLASH_DQ, m.dq);
    hand(&h, FLASH_DK, m.dk);
    hand(&h, FLASH_DV, m.dv);
    hand(&h, FLASH_SUMS, cuda_part(scratch, s->at_sums));
    if (!s->ordered) {
        void *sum = cuda_part(scratch, s->at_dq);
        hand(&h, FLASH_DQ_SUM, sum);
        WISP_TRY(cuda_zero(cuda_kernel_device(kernel), sum, s->dq_bytes, err));
    }
    return run_graph(s, &h, scratch, err);
}

/* --- preparation --- */

static wisp_status plan(const wisp_kernel_request *request, flash_state *s, wisp_error *err)
{
    const cuda_graph_rules rules = {.deterministic = request->deterministic,
                                    .workspace_limit = (size_t)1 << 30};
    wisp_error reason = {0};
    const wisp_status status = cuda_graph_plan(&s->graph, &rules, &reason);
    if (status == WISP_E_UNSUPPORTED)
        return wisp_refuse(request, err, "%s", reason.message);
    return status == WISP_OK ? WISP_OK : wisp_fail(err, status, "%s", reason.message);
}

static wisp_status forward_fill(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel *made, wisp_error *err)
{
    flash_state *s = made->state;
    size_t total = 0;
    cuda_graph_begin(&s->graph, device);
    cuda_flash_forward(&s->graph, &s->attention);
    WISP_TRY(plan(request, s, err));
    s->at_work = cuda_book(&total, s->graph.choice.workspace_bytes);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

/* Sums of dq in any order are the quicker way, but give other bits every time. */
static wisp_status grad_fill(cuda_device *device, const wisp_kernel_request *request,
                             wisp_kernel *made, wisp_error *err)
{
    flash_state *s = made->state;
    const cuda_attention *a = &s->attention;
    const size_t rows = (size_t)(a->batch * a->heads * a->n_queries);
    size_t total = 0;
    s->ordered = request->deterministic;
    cuda_graph_begin(&s->graph, device);
    cuda_flash_backward(&s->graph, a, s->ordered);
    WISP_TRY(plan(request, s, err));
    s->dq_bytes = s->ordered ? 0 : rows * (size_t)a->width * sizeof(float);
    s->at_sums = cuda_book(&total, rows * sizeof(float));
    s->at_dq = cuda_book(&total, s->dq_bytes);
    s->at_work = cuda_book(&total, s->graph.choice.workspace_bytes);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

static wisp_status check(const wisp_kernel_request *request, const cuda_attention *a,
                         wisp_error *err)
{
    if (a->dtype != WISP_BF16)
        return wisp_refuse(request, err, "cuDNN's attention needs bf16");
    if (a->width % 8 || a->width > WIDEST)
        return wisp_refuse(request, err,
                           "cuDNN's attention needs heads of 8, 16, ... %d channels, not %d",
                           WIDEST, a->width);
    if (a->alignment < 16)
        return wisp_refuse(request, err, "cuDNN's attention needs rows aligned to 16 bytes");
    return WISP_OK;
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_status (*fill)(cuda_device *, const wisp_kernel_request *,
                                            wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    const cuda_attention a = cuda_attention_of(request);
    WISP_TRY(check(request, &a, err));
    WISP_TRY(
        cuda_kernel_create(device, "cudnn_flash", run, sizeof(flash_state), destroy, &made, err));
    flash_state *s = made->state;
    s->attention = a;
    s->scale = a.scale;
    s->one = 1;
    return cuda_kernel_finish(made, fill(device, request, made, err), kernel);
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

const cuda_kernel_entry cuda_flash_kernels[] = {
    {"attention", forward_prepare},
    {"self_attention", forward_prepare},
    {"attention_grad", grad_prepare},
    {"self_attention_grad", grad_prepare},
    {NULL, NULL},
};
