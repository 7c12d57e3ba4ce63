/* Do the tensors of an operation fit together? Wrong shapes are CUDNN_STATUS_BAD_PARAM. */
#include "cd_graph.h"
#include <string.h>

static cudnnStatus_t mismatch(const char *what)
{
    return cd_fail(CUDNN_STATUS_BAD_PARAM, "%s", what);
}

cd_parts cd_convolution_parts(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *first = &graph->tensors[node->in[0]], *second = &graph->tensors[node->in[1]];
    const cd_tensor *out = &graph->tensors[node->out[0]];
    switch (node->kind) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return (cd_parts){.x = first, .w = second, .y = out};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return (cd_parts){.x = out, .w = second, .y = first};
    default:
        return (cd_parts){.x = first, .w = out, .y = second};
    }
}

/* The number of groups is not set: the filter has the channels of one group. */
int cd_groups(const cd_graph *graph, const cd_node *node)
{
    cd_parts p = cd_convolution_parts(graph, node);
    return (int)(p.x->dims[1] / p.w->dims[1]);
}

static cudnnStatus_t check_convolution(const cd_graph *graph, const cd_node *node)
{
    cd_parts p = cd_convolution_parts(graph, node);
    const cd_convolution *c = &node->conv;
    if (p.x->n_dims != c->n + 2 || p.w->n_dims != c->n + 2 || p.y->n_dims != c->n + 2)
        return mismatch("convolution: tensors that have not two dimensions more than space");
    if (p.x->dims[1] % p.w->dims[1] || p.w->dims[0] % (p.x->dims[1] / p.w->dims[1]))
        return mismatch("convolution: channels that groups do not divide");
    if (p.x->dims[0] != p.y->dims[0] || p.w->dims[0] != p.y->dims[1])
        return mismatch("convolution: batches or output channels differ");
    for (int64_t i = 0; i < c->n; i++) {
        int64_t window = (p.w->dims[i + 2] - 1) * c->dilations[i] + 1;
        int64_t room = p.x->dims[i + 2] + c->pre[i] + c->post[i] - window;
        if (room < 0 || p.y->dims[i + 2] != room / c->strides[i] + 1)
            return mismatch("convolution: the output is not as large as padding, stride and "
                            "dilation make it");
    }
    return CUDNN_STATUS_SUCCESS;
}

/* Each dimension of an input is the output's or 1. */
static int broadcasts(const cd_tensor *in, const cd_tensor *out)
{
    if (in->n_dims != out->n_dims)
        return 0;
    for (int i = 0; i < in->n_dims; i++)
        if (in->dims[i] != out->dims[i] && in->dims[i] != 1)
            return 0;
    return 1;
}

static cudnnStatus_t check_pointwise(const cd_graph *graph, const cd_node *node)
{
    int needed = cd_pointwise_inputs(node->mode);
    if (!needed)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "pointwise: no mode %d", node->mode);
    if (node->out[0] < 0)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "pointwise: no output");
    for (int i = 0; i < 3; i++) {
        if ((node->in[i] >= 0) != (i < needed))
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "pointwise: mode %d takes %d inputs", node->mode,
                           needed);
        if (i < needed && !broadcasts(&graph->tensors[node->in[i]], &graph->tensors[node->out[0]]))
            return mismatch("pointwise: an input does not broadcast to the output");
    }
    if (node->mode == CUDNN_POINTWISE_GEN_INDEX &&
        (node->activation.axis < 0 || node->activation.axis >= graph->tensors[node->out[0]].n_dims))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "pointwise: an index wants an axis");
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_override(const cd_graph *graph, int32_t tensor, int64_t batch)
{
    if (tensor < 0)
        return CUDNN_STATUS_SUCCESS;
    const cd_tensor *t = &graph->tensors[tensor];
    if (t->type != CUDNN_DATA_INT32 || t->dims[0] != batch || cd_elements(t) != batch)
        return mismatch("matmul: an override is not one int32 for each batch");
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_matmul(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *a = &graph->tensors[node->in[CD_A]], *b = &graph->tensors[node->in[CD_B]];
    const cd_tensor *c = &graph->tensors[node->out[0]];
    int n = c->n_dims;
    if (n < 3 || a->n_dims != n || b->n_dims != n)
        return mismatch("matmul: A, B and C have not the same three or more dimensions");
    if (a->dims[n - 2] != c->dims[n - 2] || b->dims[n - 1] != c->dims[n - 1] ||
        a->dims[n - 1] != b->dims[n - 2])
        return mismatch("matmul: M, N or K differ");
    for (int i = 0; i < n - 2; i++)
        if (c->dims[i] % a->dims[i] || c->dims[i] % b->dims[i])
            return mismatch("matmul: batches that do not broadcast");
    for (int i = CD_M; i <= CD_K; i++)
        if (check_override(graph, node->in[i], c->dims[0]) != CUDNN_STATUS_SUCCESS)
            return CUDNN_STATUS_BAD_PARAM;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_reduction(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *x = &graph->tensors[node->in[0]], *y = &graph->tensors[node->out[0]];
    if (x->n_dims != y->n_dims)
        return mismatch("reduction: X and Y differ in the number of dimensions");
    for (int i = 0; i < x->n_dims; i++)
        if (x->dims[i] % y->dims[i])
            return mismatch("reduction: a dimension of Y does not divide that of X");
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_statistics(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *x = &graph->tensors[node->in[0]];
    for (int o = 0; o < 2; o++) {
        const cd_tensor *sum = &graph->tensors[node->out[o]];
        if (sum->n_dims != x->n_dims || sum->dims[1] != x->dims[1] ||
            cd_elements(sum) != x->dims[1])
            return mismatch("statistics: sums that are not one for each channel");
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_attention(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *q = &graph->tensors[node->in[CD_Q]], *k = &graph->tensors[node->in[CD_KEYS]];
    const cd_tensor *v = &graph->tensors[node->in[CD_VALUES]],
                    *o = &graph->tensors[node->out[CD_O]];
    if (q->n_dims != 4 || k->n_dims != 4 || v->n_dims != 4 || o->n_dims != 4)
        return mismatch("attention: Q, K, V, O of four dimensions");
    if (q->dims[3] != k->dims[3] || k->dims[2] != v->dims[2] || o->dims[2] != q->dims[2] ||
        o->dims[3] != v->dims[3] || o->dims[1] != q->dims[1] || q->dims[1] % k->dims[1] ||
        q->dims[1] % v->dims[1])
        return mismatch("attention: Q, K, V, O disagree");
    if (q->dims[0] != k->dims[0] || q->dims[0] != v->dims[0] || q->dims[0] != o->dims[0])
        return mismatch("attention: batches differ");
    if (node->out[CD_STATS] >= 0) {
        const cd_tensor *s = &graph->tensors[node->out[CD_STATS]];
        if (s->n_dims != 4 || s->dims[3] != 1 || memcmp(s->dims, q->dims, 3 * sizeof *s->dims))
            return mismatch("attention: the statistics are not one for each row of Q");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cd_check_node(const cd_graph *graph, const cd_node *node)
{
    switch (node->kind) {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return check_pointwise(graph, node);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return check_matmul(graph, node);
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        return check_reduction(graph, node);
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        return check_statistics(graph, node);
    case CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
        return check_attention(graph, node);
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        return cd_elements(&graph->tensors[node->in[0]]) ==
                       cd_elements(&graph->tensors[node->out[0]])
                   ? CUDNN_STATUS_SUCCESS
                   : mismatch("reshape: X and Y differ in size");
    default:
        return check_convolution(graph, node);
    }
}
