/* cuda_flash_graph.c - attention in the operations from which cuDNN recognises it.
 *
 * Which operations, and which of their tensors are seen transposed, is what cuDNN's documentation
 * (fused flash attention) and its frontend's interface say of the patterns. */
#include "cuda_flash.h"

typedef cudnnBackendDescriptor_t tensor;

/* Ids of what is never in memory. */
enum { FIRST_VIRTUAL = 100 };

typedef struct sketch {
    cuda_graph *graph;
    const cuda_attention *a;
    int64_t last_id;
} sketch;

/* A row of `width` channels a head, for n tokens; `turned`: as (width, n). */
static tensor heads(const sketch *s, int64_t id, int64_t n, int64_t stride, int turned)
{
    const cuda_attention *a = s->a;
    const cuda_graph_tensor t = {
        .id = id,
        .dtype = WISP_BF16,
        .rank = 4,
        .size = {a->batch, a->heads, turned ? a->width : n, turned ? n : a->width},
        .stride = {n * stride, a->width, turned ? 1 : stride, turned ? stride : 1},
        .alignment = 16,
    };
    return cuda_graph_add_tensor(s->graph, &t);
}

/* A number for each query. */
static tensor rows(sketch *s, int64_t id)
{
    const int64_t n = s->a->n_queries;
    const cuda_graph_tensor t = {
        .id = id ? id : ++s->last_id,
        .dtype = WISP_F32,
        .rank = 4,
        .size = {s->a->batch, s->a->heads, n, 1},
        .stride = {s->a->heads * n, n, 1, 1},
        .alignment = 4,
        .is_virtual = id == 0,
    };
    return cuda_graph_add_tensor(s->graph, &t);
}

/* A number for each query and key; `turned`: for each key and query. */
static tensor scores(sketch *s, int32_t dtype, int turned)
{
    const int64_t q = s->a->n_queries, k = s->a->n_keys;
    const cuda_graph_tensor t = {
        .id = ++s->last_id,
        .dtype = dtype,
        .rank = 4,
        .size = {s->a->batch, s->a->heads, turned ? k : q, turned ? q : k},
        .stride = {s->a->heads * q * k, q * k, turned ? 1 : k, turned ? k : 1},
        .alignment = 16,
        .is_virtual = 1,
    };
    return cuda_graph_add_tensor(s->graph, &t);
}

static tensor number(const sketch *s, int64_t id)
{
    const cuda_graph_tensor t = {.id = id,
                                 .dtype = WISP_F32,
                                 .rank = 4,
                                 .size = {1, 1, 1, 1},
                                 .stride = {1, 1, 1, 1},
                                 .alignment = 4,
                                 .is_value = 1};
    return cuda_graph_add_tensor(s->graph, &t);
}

static tensor map(sketch *s, cudnnPointwiseMode_t mode, tensor x, tensor b, tensor y)
{
    cuda_graph_add_pointwise(s->graph, mode, x, b, y, 0);
    return y;
}

/* scale q k' */
static tensor scaled_scores(sketch *s, tensor q, tensor turned_k, tensor scale)
{
    const tensor raw = scores(s, WISP_F32, 0);
    cuda_graph_add_product(s->graph, q, turned_k, raw);
    return map(s, CUDNN_POINTWISE_MUL, raw, scale, scores(s, WISP_F32, 0));
}

void cuda_flash_forward(cuda_graph *graph, const cuda_attention *a)
{
    sketch s = {graph, a, FIRST_VIRTUAL};
    const tensor q = heads(&s, FLASH_Q, a->n_queries, a->stride, 0);
    const tensor k = heads(&s, FLASH_K, a->n_keys, a->stride, 1);
    const tensor v = heads(&s, FLASH_V, a->n_keys, a->stride, 0);
    const tensor y = heads(&s, FLASH_Y, a->n_queries, a->y_stride, 0);
    const tensor score = scaled_scores(&s, q, k, number(&s, FLASH_SCALE));
    const tensor largest = rows(&s, 0), sum = rows(&s, 0);
    cuda_graph_add_reduction(graph, CUDNN_REDUCE_TENSOR_MAX, score, largest);
    const tensor away = map(&s, CUDNN_POINTWISE_SUB, score, largest, scores(&s, WISP_F32, 0));
    const tensor power = map(&s, CUDNN_POINTWISE_EXP, away, NULL, scores(&s, WISP_F32, 0));
    cuda_graph_add_reduction(graph, CUDNN_REDUCE_TENSOR_ADD, power, sum);
    const tensor logarithm = map(&s, CUDNN_POINTWISE_LOG, sum, NULL, rows(&s, 0));
    map(&s, CUDNN_POINTWISE_ADD, largest, logarithm, rows(&s, FLASH_LSE));
    const tensor weight = map(&s, CUDNN_POINTWISE_DIV, power, sum, scores(&s, WISP_BF16, 0));
    cuda_graph_add_product(graph, weight, v, y);
}

/* sums = dy . y, in memory between the parts of the kernel */
static tensor sums_of_rows(sketch *s, tensor dy, tensor y, tensor one)
{
    const cuda_attention *a = s->a;
    const int64_t n = a->n_queries;
    const cuda_graph_tensor like_y = {
        .id = ++s->last_id,
        .dtype = WISP_F32,
        .rank = 4,
        .size = {a->batch, a->heads, n, a->width},
        .stride = {a->heads * n * a->width, n * a->width, a->width, 1},
        .alignment = 16,
        .is_virtual = 1,
    };
    const tensor product =
        map(s, CUDNN_POINTWISE_MUL, dy, y, cuda_graph_add_tensor(s->graph, &like_y));
    const tensor sum = rows(s, 0);
    cuda_graph_add_reduction(s->graph, CUDNN_REDUCE_TENSOR_ADD, product, sum);
    return map(s, CUDNN_POINTWISE_MUL, sum, one, rows(s, FLASH_SUMS));
}

/* What a product reads turned round, in bf16. */
static tensor turned(sketch *s, tensor x)
{
    const tensor view = scores(s, WISP_BF16, 1);
    cuda_graph_add_view(s->graph, x, view);
    return view;
}

/* dq = slopes k */
static void give_queries(sketch *s, tensor slopes, tensor turned_k, int32_t ordered)
{
    const cuda_attention *a = s->a;
    const int64_t n = a->n_queries;
    cuda_graph_tensor like_k = {
        .id = ++s->last_id,
        .dtype = WISP_BF16,
        .rank = 4,
        .size = {a->batch, a->heads, a->n_keys, a->width},
        .stride = {a->n_keys * a->stride, a->width, a->stride, 1},
        .alignment = 16,
        .is_virtual = 1,
    };
    const tensor k = cuda_graph_add_tensor(s->graph, &like_k);
    const tensor dq = heads(s, FLASH_DQ, n, a->stride, 0);
    cuda_graph_add_view(s->graph, turned_k, k);
    if (ordered) {
        cuda_graph_add_product(s->graph, slopes, k, dq);
        return;
    }
    const cuda_graph_tensor summed = {
        .id = FLASH_DQ_SUM,
        .dtype = WISP_F32,
        .rank = 4,
        .size = {a->batch, a->heads, n, a->width},
        .stride = {a->heads * n * a->width, n * a->width, a->width, 1},
        .alignment = 16,
    };
    const tensor sum = cuda_graph_add_tensor(s->graph, &summed);
    cuda_graph_add_product(s->graph, slopes, k, sum);
    map(s, CUDNN_POINTWISE_IDENTITY, sum, NULL, dq);
}

void cuda_flash_backward(cuda_graph *graph, const cuda_attention *a, int32_t ordered)
{
    sketch s = {graph, a, FIRST_VIRTUAL};
    const tensor q = heads(&s, FLASH_Q, a->n_queries, a->stride, 0);
    const tensor k = heads(&s, FLASH_K, a->n_keys, a->stride, 1);
    const tensor v = heads(&s, FLASH_V, a->n_keys, a->stride, 1);
    const tensor y = heads(&s, FLASH_Y, a->n_queries, a->y_stride, 0);
    const tensor dy = heads(&s, FLASH_DY, a->n_queries, a->y_stride, 0);
    const tensor dk = heads(&s, FLASH_DK, a->n_keys, a->stride, 0);
    const tensor dv = heads(&s, FLASH_DV, a->n_keys, a->stride, 0);
    const tensor scale = number(&s, FLASH_SCALE), lse = rows(&s, FLASH_LSE);
    const tensor sums = sums_of_rows(&s, dy, y, number(&s, FLASH_ONE));
    const tensor score = scaled_scores(&s, q, k, scale);
    const tensor away = map(&s, CUDNN_POINTWISE_SUB, score, lse, scores(&s, WISP_F32, 0));
    const tensor weight = map(&s, CUDNN_POINTWISE_EXP, away, NULL, scores(&s, WISP_F32, 0));
    cuda_graph_add_product(graph, turned(&s, weight), dy, dv);
    const tensor arrived = scores(&s, WISP_F32, 0);
    cuda_graph_add_product(graph, dy, v, arrived);
    const tensor centred = map(&s, CUDNN_POINTWISE_SUB, arrived, sums, scores(&s, WISP_F32, 0));
    const tensor raw = map(&s, CUDNN_POINTWISE_MUL, centred, weight, scores(&s, WISP_F32, 0));
    const tensor slopes = map(&s, CUDNN_POINTWISE_MUL, raw, scale, scores(&s, WISP_F32, 0));
    cuda_graph_add_product(graph, turned(&s, slopes), q, dk);
    give_queries(&s, slopes, k, ordered);
}
