/* cpu_attention.c - attention and its gradient, head by head, so that the scores stay in the cache.
 *
 * Every thread takes whole heads. For a block of queries it multiplies q k', takes the softmax and
 * multiplies by v; the gradient makes the probabilities again from lse. The products are oneDNN's,
 * made for a single thread. A last block that would be short begins earlier instead, and what
 * it repeats is left out. */
#include <string.h>

#include "cpu_empty.h"
#include "cpu_pack.h"
#include "kernel_table.h"
#include "vector/cpu_leaf.h"

/* Scores of a block: small enough for a core's second-level cache. */
enum { BLOCK_SCORES = 96 * 1024, MIN_BLOCK = 32, MAX_BLOCK = 256 };

/* s = q k', y = p v; dp = dy v', dq = ds k, dk = ds' q, dv = p' dy. */
enum { SCORES, VALUES, GRAD_P, GRAD_Q, GRAD_K, GRAD_V, N_PRODUCTS };

typedef struct worker {
    cpu_primitive product[N_PRODUCTS];
    wisp_status status;
    wisp_error error;
} worker;

/* Offsets into one worker's scratch. */
typedef struct buffers {
    size_t q, k, v, dy, p, ds, rows, scores, dp, dk, dv, part, product, total;
} buffers;

typedef struct attention_state {
    const cpu_leaf *leaf;
    worker *workers;
    buffers at;
    int64_t batch, heads, n_q, n_k, width, block, n_blocks;
    int64_t q_stride, k_stride, y_stride; /* elements from token to token */
    int32_t type, n_workers, is_joint, has_gradient;
    float scale;
} attention_state;

/* The tensors of a call; those of the gradient are NULL in the forward pass. */
typedef struct tensors {
    const char *q, *k, *v, *dy;
    char *y, *dq, *dk, *dv;
    float *lse;
    const float *lse_in;
} tensors;

static void destroy(cpu_device *device, void *state)
{
    attention_state *s = state;
    for (int32_t w = 0; s->workers && w < s->n_workers; w++)
        for (int i = 0; i < N_PRODUCTS; i++)
            cpu_primitive_destroy(&s->workers[w].product[i]);
    cpu_free(device, s->workers);
}

/* --- Plan --- */

static cpu_layout matrix(int32_t dtype, int64_t rows, int64_t columns)
{
    int64_t dims[] = {rows, columns};
    return cpu_layout_plain(dtype, 2, dims);
}

static dnnl_status_t make_products(cpu_device *device, const attention_state *s,
                                   cpu_primitive *product)
{
    const int64_t m = s->block, n = s->n_k, d = s->width;
    const cpu_layout rows = matrix(s->type, m, d), keys = matrix(s->type, n, d);
    const cpu_layout keys_t = cpu_layout_transposed(keys), p = matrix(s->type, m, n);
    const cpu_layout p_t = cpu_layout_transposed(p), scores = matrix(WISP_F32, m, n);
    const cpu_layout grad = matrix(WISP_F32, n, d);
    const struct {
        const cpu_layout *a, *b, *y;
    } want[N_PRODUCTS] = {
        [SCORES] = {&rows, &keys_t, &scores}, [VALUES] = {&p, &keys, &rows},
        [GRAD_P] = {&rows, &keys_t, &scores}, [GRAD_Q] = {&p, &keys, &rows},
        [GRAD_K] = {&p_t, &rows, &grad},      [GRAD_V] = {&p_t, &rows, &grad},
    };
    for (int i = 0; i < N_PRODUCTS; i++) {
        int gradient = i != SCORES && i != VALUES;
        if (s->has_gradient ? i == VALUES : gradient)
            continue;
        dnnl_status_t status =
            cpu_make_matmul(device, want[i].a, want[i].b, NULL, want[i].y, 1.0, &product[i]);
        if (status != dnnl_success)
            return status;
    }
    return dnnl_success;
}

static dnnl_status_t make_workers(cpu_device *device, attention_state *s)
{
    int64_t heads = s->batch * s->heads;
    s->n_workers = heads < device->n_threads ? (int32_t)heads : device->n_threads;
    s->workers = cpu_alloc(device, (size_t)s->n_workers * sizeof(worker));
    if (!s->workers)
        return dnnl_out_of_memory;
    cpu_begin_single(device);
    dnnl_status_t status = make_products(device, s, s->workers[0].product);
    for (int32_t w = 1; w < s->n_workers; w++)
        for (int i = 0; i < N_PRODUCTS && status == dnnl_success; i++)
            if (s->workers[0].product[i].primitive)
                status = cpu_primitive_share(device, &s->workers[0].product[i],
                                             &s->workers[w].product[i]);
    cpu_end_single(device);
    return status;
}

static size_t book(buffers *b, int64_t elements, int64_t bytes)
{
    return cpu_book(&b->total, (size_t)(elements * bytes));
}

static void book_buffers(attention_state *s)
{
    buffers *b = &s->at;
    const int64_t m = s->block, n = s->n_k, d = s->width, t = wisp_dtype_bytes(s->type);
    b->q = book(b, m * d, t);
    b->k = book(b, n * d, t);
    b->v = book(b, n * d, t);
    b->rows = book(b, m * d, t); /* y or dq of the block */
    b->scores = book(b, m * n, 4);
    b->p = book(b, m * n, t);
    if (s->has_gradient) {
        b->dy = book(b, m * d, t);
        b->dp = book(b, m * n, 4);
        b->ds = book(b, m * n, t);
        b->dk = book(b, n * d, 4);
        b->dv = book(b, n * d, 4);
        b->part = book(b, n * d, 4);
    }
    size_t most = 0;
    for (int i = 0; i < N_PRODUCTS; i++)
        if (s->workers[0].product[i].scratch_bytes > most)
            most = s->workers[0].product[i].scratch_bytes;
    b->product = book(b, (int64_t)most, 1);
}

static void choose_block(attention_state *s)
{
    int64_t block = BLOCK_SCORES / s->n_k;
    block = block < MIN_BLOCK ? MIN_BLOCK : block > MAX_BLOCK ? MAX_BLOCK : block;
    s->n_blocks = (s->n_q + block - 1) / block;
    s->block = (s->n_q + s->n_blocks - 1) / s->n_blocks;
}

/* --- Run --- */

/* One head of one sample, or one block of it. */
typedef struct head {
    int64_t q_at, k_at, y_at, lse_at; /* offsets of its first token, in elements */
    int64_t first, skip;              /* block: first query, and how many were done before */
} head;

static head find_head(const attention_state *s, int64_t index)
{
    int64_t b = index / s->heads, h = index % s->heads;
    head at = {0};
    at.q_at = b * s->n_q * s->q_stride + h * s->width;
    at.k_at = b * s->n_k * s->k_stride + h * s->width;
    at.y_at = b * s->n_q * s->y_stride + h * s->width;
    at.lse_at = index * s->n_q;
    return at;
}

static void find_block(const attention_state *s, int64_t i, head *at)
{
    int64_t first = i * s->block, last = s->n_q - s->block;
    at->skip = first > last ? first - last : 0;
    at->first = first - at->skip;
}

static wisp_status multiply(cpu_device *device, const attention_state *s, worker *w, char *mem,
                            int which, size_t a, size_t b, size_t y)
{
    cpu_primitive *p = &w->product[which];
    cpu_primitive_bind(p, CPU_SRC, mem + a);
    cpu_primitive_bind(p, CPU_WEIGHTS, mem + b);
    cpu_primitive_bind(p, CPU_DST, mem + y);
    return cpu_primitive_run_single(device, p, mem + s->at.product, &w->error);
}

static const char *element(const attention_state *s, const char *tensor, int64_t i)
{
    return tensor + i * wisp_dtype_bytes(s->type);
}

/* Rows of a head from where they lie among the other heads. */
static void gather(const attention_state *s, const char *tensor, int64_t at, int64_t stride,
                   int64_t rows, void *to)
{
    s->leaf->copy_rows(s->type, element(s, tensor, at), stride, to, s->width, rows, s->width);
}

/* The block's rows back among the other heads, without those done before. */
static void scatter(const attention_state *s, const head *at, const char *rows, char *tensor,
                    int64_t tensor_at, int64_t stride)
{
    const int64_t t = wisp_dtype_bytes(s->type);
    s->leaf->copy_rows(s->type, rows + at->skip * s->width * t, s->width,
                       tensor + (tensor_at + (at->first + at->skip) * stride) * t, stride,
                       s->block - at->skip, s->width);
}

static wisp_status forward_block(cpu_device *device, const attention_state *s, const tensors *x,
                                 worker *w, char *mem, const head *at)
{
    const buffers *b = &s->at;
    gather(s, x->q, at->q_at + at->first * s->q_stride, s->q_stride, s->block, mem + b->q);
    WISP_TRY(multiply(device, s, w, mem, SCORES, b->q, b->k, b->scores));
    s->leaf->softmax_rows(s->type, (float *)(mem + b->scores), mem + b->p, s->block, s->n_k,
                          s->scale, x->lse + at->lse_at + at->first);
    WISP_TRY(multiply(device, s, w, mem, VALUES, b->p, b->v, b->rows));
    scatter(s, at, mem + b->rows, x->y, at->y_at, s->y_stride);
    return WISP_OK;
}

/* Rows that an earlier block has done add nothing. */
static void clear_skipped(const attention_state *s, const head *at, void *rows)
{
    memset(rows, 0, (size_t)(at->skip * s->n_k * wisp_dtype_bytes(s->type)));
}

static wisp_status add_product(cpu_device *device, const attention_state *s, worker *w, char *mem,
                               int which, size_t a, size_t b, size_t sum, int is_first)
{
    WISP_TRY(multiply(device, s, w, mem, which, a, b, is_first ? sum : s->at.part));
    if (!is_first)
        s->leaf->add((float *)(mem + s->at.part), (float *)(mem + sum), s->n_k * s->width);
    return WISP_OK;
}

static wisp_status backward_block(cpu_device *device, const attention_state *s, const tensors *x,
                                  worker *w, char *mem, const head *at)
{
    const buffers *b = &s->at;
    const int64_t y_at = at->y_at + at->first * s->y_stride;
    float *scores = (float *)(mem + b->scores), *dp = (float *)(mem + b->dp);
    gather(s, x->q, at->q_at + at->first * s->q_stride, s->q_stride, s->block, mem + b->q);
    gather(s, x->dy, y_at, s->y_stride, s->block, mem + b->dy);
    WISP_TRY(multiply(device, s, w, mem, SCORES, b->q, b->k, b->scores));
    s->leaf->softmax_again(s->type, scores, mem + b->p, s->block, s->n_k, s->scale,
                           x->lse_in + at->lse_at + at->first);
    WISP_TRY(multiply(device, s, w, mem, GRAD_P, b->dy, b->v, b->dp));
    s->leaf->softmax_grad(s->type, mem + b->p, dp, mem + b->ds, s->block, s->n_k, s->scale);
    clear_skipped(s, at, mem + b->p);
    clear_skipped(s, at, mem + b->ds);
    WISP_TRY(multiply(device, s, w, mem, GRAD_Q, b->ds, b->k, b->rows));
    scatter(s, at, mem + b->rows, x->dq, at->q_at, s->q_stride);
    int is_first = at->first == 0;
    WISP_TRY(add_product(device, s, w, mem, GRAD_K, b->ds, b->q, b->dk, is_first));
    return add_product(device, s, w, mem, GRAD_V, b->p, b->dy, b->dv, is_first);
}

static wisp_status run_head(cpu_device *device, const attention_state *s, const tensors *x,
                            worker *w, char *mem, int64_t index)
{
    const buffers *b = &s->at;
    const int64_t t = wisp_dtype_bytes(s->type);
    head at = find_head(s, index);
    gather(s, x->k, at.k_at, s->k_stride, s->n_k, mem + b->k);
    gather(s, x->v, at.k_at, s->k_stride, s->n_k, mem + b->v);
    for (int64_t i = 0; i < s->n_blocks; i++) {
        find_block(s, i, &at);
        WISP_TRY(s->has_gradient ? backward_block(device, s, x, w, mem, &at)
                                 : forward_block(device, s, x, w, mem, &at));
    }
    if (s->has_gradient) {
        s->leaf->store_rows(s->type, (float *)(mem + b->dk), x->dk + at.k_at * t, s->k_stride,
                            s->n_k, s->width);
        s->leaf->store_rows(s->type, (float *)(mem + b->dv), x->dv + at.k_at * t, s->k_stride,
                            s->n_k, s->width);
    }
    return WISP_OK;
}

static wisp_status run_heads(cpu_device *device, attention_state *s, const tensors *x,
                             void *scratch, wisp_error *err)
{
    const int64_t heads = s->batch * s->heads;
#pragma omp parallel for num_threads(s->n_workers) schedule(static, 1)
    for (int32_t i = 0; i < s->n_workers; i++) {
        worker *w = &s->workers[i];
        char *mem = (char *)scratch + (size_t)i * s->at.total;
        w->status = WISP_OK;
        for (int64_t h = heads * i / s->n_workers;
             h < heads * (i + 1) / s->n_workers && w->status == WISP_OK; h++)
            w->status = run_head(device, s, x, w, mem, h);
    }
    for (int32_t i = 0; i < s->n_workers; i++)
        if (s->workers[i].status != WISP_OK)
            return wisp_fail(err, s->workers[i].status, "%s", s->workers[i].error.message);
    return WISP_OK;
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    attention_state *s = kernel->state;
    tensors x = {0};
    int64_t part = s->y_stride; /* q, k and v of a token lie side by side in joint projections */
    x.q = in[0].data;
    x.k = s->is_joint ? element(s, x.q, part) : in[1].data;
    x.v = s->is_joint ? element(s, x.q, 2 * part) : in[2].data;
    x.y = out[0].data;
    x.lse = out[1].data;
    return run_heads(cpu_kernel_device(kernel), s, &x, scratch, err);
}

static wisp_status run_gradient(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    attention_state *s = kernel->state;
    tensors x = {0};
    int64_t part = s->y_stride * wisp_dtype_bytes(s->type);
    x.dy = in[0].data;
    x.q = in[1].data;
    x.k = s->is_joint ? x.q + part : in[2].data;
    x.v = s->is_joint ? x.q + 2 * part : in[3].data;
    x.lse_in = in[s->is_joint ? 3 : 5].data;
    x.dq = out[0].data;
    x.dk = s->is_joint ? x.dq + part : out[1].data;
    x.dv = s->is_joint ? x.dq + 2 * part : out[2].data;
    return run_heads(cpu_kernel_device(kernel), s, &x, scratch, err);
}

/* --- Prepare --- */

/* `q` and `k` are the descriptors of the forward call; joint: both are qkv's. */
static void read_sizes(const wisp_attention_attrs *a, const wisp_desc *q, const wisp_desc *k,
                       int is_joint, attention_state *s)
{
    int64_t channels = is_joint ? q->shape[2] / 3 : q->shape[2];
    s->is_joint = is_joint;
    s->type = q->dtype;
    s->batch = q->shape[0];
    s->n_q = q->shape[1];
    s->n_k = k->shape[1];
    s->heads = a->heads;
    s->width = channels / a->heads;
    s->q_stride = q->shape[2];
    s->k_stride = k->shape[2];
    s->y_stride = channels;
    s->scale = (float)a->scale;
    choose_block(s);
}

static wisp_status prepare(cpu_device *device, const wisp_kernel_request *request, int is_joint,
                           int has_gradient, wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "onednn:heads", has_gradient ? run_gradient : run_forward,
                               sizeof(attention_state), destroy, &made, err));
    attention_state *s = made->state;
    const wisp_desc *q = request->in[has_gradient];
    const wisp_desc *k = is_joint ? q : request->in[has_gradient + 1];
    s->leaf = cpu_leaf_for(device);
    s->has_gradient = has_gradient;
    read_sizes(request->attrs, q, k, is_joint, s);
    dnnl_status_t status = make_workers(device, s);
    if (status != dnnl_success) {
        wisp_status failed = cpu_onednn_fail(request, status, "product of one head", err);
        made->release(made);
        return failed;
    }
    book_buffers(s);
    made->scratch_bytes = s->at.total * (size_t)s->n_workers;
    *kernel = made;
    return WISP_OK;
}

#define PREPARE(name, is_joint, has_gradient)                                                      \
    static wisp_status name(cpu_device *device, const wisp_kernel_request *request,                \
                            wisp_kernel **kernel, wisp_error *err)                                 \
    {                                                                                              \
        return prepare(device, request, is_joint, has_gradient, kernel, err);                      \
    }

PREPARE(prepare_attention, 0, 0)
PREPARE(prepare_attention_grad, 0, 1)
PREPARE(prepare_self_attention, 1, 0)
PREPARE(prepare_self_attention_grad, 1, 1)

const cpu_kernel_entry cpu_attention_kernels[] = {
    {"attention", prepare_attention},
    {"attention_grad", prepare_attention_grad},
    {"self_attention", prepare_self_attention},
    {"self_attention_grad", prepare_self_attention_grad},
    {NULL, NULL},
};
