/* One matrix product with a chain of pointwise operations behind it. */
#include "cd_engine.h"

static int find_matmul(const cd_graph *graph)
{
    int found = -1;
    for (int i = 0; i < graph->n_nodes; i++) {
        int kind = graph->nodes[i].kind;
        if (kind == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR && found < 0)
            found = i;
        else if (kind != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
            return -1;
    }
    return found;
}

/* Rows or columns lie one after another, 16 bytes at least. */
static int is_matrix(const cd_tensor *tensor, int64_t unit)
{
    for (int d = tensor->n_dims - 2; d < tensor->n_dims; d++)
        if (tensor->strides[d] == 1 && tensor->dims[d] % unit == 0)
            return 1;
    return 0;
}

int cd_choose_matmul(const cd_graph *graph, cd_choice *choice)
{
    int at = find_matmul(graph);
    if (at < 0)
        return 0;
    const cd_node *node = &graph->nodes[at];
    const cd_tensor *a = &graph->tensors[node->in[CD_A]], *b = &graph->tensors[node->in[CD_B]];
    const cd_tensor *c = &graph->tensors[node->out[0]];
    int is_float = a->type == CUDNN_DATA_FLOAT;
    int64_t unit = is_float ? 4 : 8;
    if (at != 0 || node->in[CD_M] >= 0 || node->in[CD_N] >= 0 || node->in[CD_K] >= 0)
        return cd_decline("matmul: operations before it, or overrides");
    if (c->n_dims != 3)
        return cd_decline("matmul: not three dimensions");
    if (a->type != b->type || (!is_float && a->type != CUDNN_DATA_BFLOAT16) ||
        node->compute != CUDNN_DATA_FLOAT)
        return cd_decline("matmul: these types");
    if (!is_matrix(a, unit) || !is_matrix(b, unit) || !is_matrix(c, unit))
        return cd_decline("matmul: no rows or columns of a multiple of 16 bytes");
    if (!cd_are_plain_pointwise(graph, at))
        return cd_decline("matmul: these pointwise operations");
    cd_offer(choice, is_float ? CD_ENGINE_FUSION_TF32 : CD_ENGINE_FUSION);
    return 1;
}
