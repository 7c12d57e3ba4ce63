/* The gradient of attention as cuDNN's frontend composes it. With the gradient of Q summed in
 * memory of its own (float, then a copy) the order of the sums is left open; without, it is fixed.
 */
#include "cd_pattern.h"
#include <string.h>

typedef struct {
    const cd_node *scores, *shifted, *weights;         /* P = exp(scale Q K^T - statistics) */
    const cd_node *turned_weights, *dv;                /* dV = P^T dO */
    const cd_node *dweights, *centred, *slopes;        /* dS = P (dO V^T - rows' sums) scale */
    const cd_node *turned_slopes, *dk;                 /* dK = dS^T Q */
    const cd_node *turned_keys, *dq, *copied;          /* dQ = dS K */
    const cd_node *row_product, *row_sum, *row_scaled; /* rows' sums of dO O */
    int used;
} parts;

/* A product whose A is a turned view of what an operation of this mode made, maybe scaled. */
static const cd_node *find_turned(const cd_graph *graph, int mode, const cd_node **turned,
                                  const cd_node **made)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        int ignored = 0;
        const cd_node *node = &graph->nodes[i];
        if (node->kind != CD_MATMUL)
            continue;
        *turned = cd_maker(graph, node->in[CD_A], CD_RESHAPE, -1, &ignored);
        int32_t from = cd_without_scale(graph, cd_input(*turned, 0), &ignored);
        *made = cd_maker(graph, from, CD_POINTWISE, mode, &ignored);
        if (*turned && *made)
            return node;
    }
    return NULL;
}

/* The product with a turned view of K, which is the one of a tensor in memory. */
static const cd_node *find_dq(const cd_graph *graph, const cd_node **turned_keys)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        int ignored = 0;
        const cd_node *node = &graph->nodes[i];
        if (node->kind != CD_MATMUL)
            continue;
        *turned_keys = cd_maker(graph, node->in[CD_B], CD_RESHAPE, -1, &ignored);
        if (*turned_keys)
            return node;
    }
    return NULL;
}

static int find_weights(const cd_graph *graph, parts *p)
{
    p->dv = find_turned(graph, CUDNN_POINTWISE_EXP, &p->turned_weights, &p->weights);
    if (!p->dv)
        return 0;
    p->used += 3;
    p->shifted =
        cd_maker(graph, p->weights->in[CD_PW_X], CD_POINTWISE, CUDNN_POINTWISE_SUB, &p->used);
    if (!p->shifted)
        return 0;
    p->scores = cd_maker(graph, cd_without_scale(graph, p->shifted->in[CD_PW_X], &p->used),
                         CD_MATMUL, -1, &p->used);
    return p->scores != NULL;
}

static int find_slopes(const cd_graph *graph, parts *p)
{
    p->dk = find_turned(graph, CUDNN_POINTWISE_MUL, &p->turned_slopes, &p->slopes);
    if (!p->dk || p->slopes->in[CD_PW_B] != p->weights->out[0])
        return 0;
    p->used += 3;
    cd_without_scale(graph, p->turned_slopes->in[0], &p->used);
    p->centred =
        cd_maker(graph, p->slopes->in[CD_PW_X], CD_POINTWISE, CUDNN_POINTWISE_SUB, &p->used);
    p->dweights = cd_maker(graph, cd_input(p->centred, CD_PW_X), CD_MATMUL, -1, &p->used);
    return p->centred && p->dweights;
}

static int find_rows(const cd_graph *graph, parts *p)
{
    p->row_scaled =
        cd_maker(graph, p->centred->in[CD_PW_B], CD_POINTWISE, CUDNN_POINTWISE_MUL, &p->used);
    p->row_sum = cd_maker(graph, cd_input(p->row_scaled, CD_PW_X), CD_REDUCTION,
                          CUDNN_REDUCE_TENSOR_ADD, &p->used);
    p->row_product =
        cd_maker(graph, cd_input(p->row_sum, 0), CD_POINTWISE, CUDNN_POINTWISE_MUL, &p->used);
    return p->row_scaled && p->row_sum && p->row_product;
}

static int find_query(const cd_graph *graph, parts *p)
{
    p->dq = find_dq(graph, &p->turned_keys);
    if (!p->dq)
        return 0;
    p->used += 2;
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].kind == CD_POINTWISE &&
            graph->nodes[i].mode == CUDNN_POINTWISE_IDENTITY &&
            graph->nodes[i].in[CD_PW_X] == p->dq->out[0]) {
            p->copied = &graph->nodes[i];
            p->used++;
        }
    return 1;
}

/* Do the five products share Q, K, V, dO, P and dS as they must? */
static int is_wired(const parts *p)
{
    int32_t d_out = p->dweights->in[CD_A];
    return p->dv->in[CD_B] == d_out && p->row_product->in[CD_PW_X] == d_out &&
           p->dk->in[CD_B] == p->scores->in[CD_A] && p->turned_keys->in[0] == p->scores->in[CD_B] &&
           p->dq->in[CD_A] == p->turned_slopes->in[0];
}

static const char *wrong_types(const cd_graph *graph, const parts *p)
{
    int32_t q = p->scores->in[CD_A], result = p->copied ? p->copied->out[0] : p->dq->out[0];
    int32_t heads[9] = {q,
                        p->scores->in[CD_B],
                        p->dweights->in[CD_B],
                        p->row_product->in[CD_PW_B],
                        p->dweights->in[CD_A],
                        result,
                        p->dk->out[0],
                        p->dv->out[0],
                        p->dv->in[CD_B]};
    static const int feature[9] = {3, 2, 2, 3, 3, 3, 3, 3, 3};
    for (int i = 0; i < 9; i++) {
        const char *wrong = cd_wrong_heads(graph, heads[i], feature[i]);
        if (wrong)
            return wrong;
    }
    const cd_tensor *o = &graph->tensors[heads[3]], *d_o = &graph->tensors[heads[4]];
    if (memcmp(o->strides, d_o->strides, sizeof o->strides))
        return "attention: dO is not laid out like O";
    if (!cd_is_row_value(graph, p->shifted->in[CD_PW_B], &graph->tensors[q]) ||
        !cd_is_row_value(graph, p->row_scaled->out[0], &graph->tensors[q]))
        return "attention: statistics and rows' sums are not floats in memory";
    if (!cd_is_inner(graph, p->turned_weights->out[0], CUDNN_DATA_BFLOAT16) ||
        !cd_is_inner(graph, p->turned_slopes->out[0], CUDNN_DATA_BFLOAT16))
        return "attention: what the products turn is not virtual bf16";
    if (p->copied && (graph->tensors[p->dq->out[0]].is_virtual ||
                      graph->tensors[p->dq->out[0]].type != CUDNN_DATA_FLOAT))
        return "attention: the gradient of Q is not summed in floats in memory";
    return NULL;
}

/* What cuDNN's frontend knows of lengths that some versions cannot do. */
static const char *wrong_lengths(const cd_graph *graph, const parts *p)
{
    int64_t rows = graph->tensors[p->scores->in[CD_A]].dims[2];
    int64_t keys = graph->tensors[p->scores->in[CD_B]].dims[3];
    if (rows == 1 && keys == 1)
        return "attention: the gradient of one row and one key";
    if (keys % 128 && cudnnGetVersion() <= 91500)
        return "attention: keys that are no multiple of 128, without a padding mask, up to 9.15";
    return NULL;
}

int cd_choose_attention_backward(const cd_graph *graph, cd_choice *choice)
{
    parts p = {0};
    if (!find_weights(graph, &p) || !find_slopes(graph, &p) || !find_rows(graph, &p) ||
        !find_query(graph, &p))
        return 0;
    if (p.used != graph->n_nodes || !is_wired(&p))
        return cd_decline("attention: operations that do not belong to its gradient");
    const char *wrong = wrong_types(graph, &p);
    if (!wrong)
        wrong = wrong_lengths(graph, &p);
    if (wrong)
        return cd_decline(wrong);
    cd_offer(choice, CD_ENGINE_FUSSY);
    cd_offer(choice, p.copied ? CD_ENGINE_ATTENTION_UNORDERED : CD_ENGINE_ATTENTION);
    return 1;
}
