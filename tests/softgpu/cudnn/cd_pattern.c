/* The parts that the attention patterns share. */
#include "cd_pattern.h"

const cd_node *cd_maker(const cd_graph *graph, int32_t tensor, int kind, int mode, int *used)
{
    for (int i = 0; tensor >= 0 && i < graph->n_nodes; i++) {
        const cd_node *node = &graph->nodes[i];
        if (node->out[0] == tensor && node->kind == kind && (mode < 0 || node->mode == mode)) {
            (*used)++;
            return node;
        }
    }
    return NULL;
}

int32_t cd_without_scale(const cd_graph *graph, int32_t tensor, int *used)
{
    int found = 0;
    const cd_node *node = cd_maker(graph, tensor, CD_POINTWISE, CUDNN_POINTWISE_MUL, &found);
    if (!node || cd_elements(&graph->tensors[node->in[CD_PW_B]]) != 1)
        return tensor;
    *used += 1;
    return node->in[CD_PW_X];
}

const char *cd_wrong_heads(const cd_graph *graph, int32_t tensor, int feature)
{
    const cd_tensor *t = &graph->tensors[tensor];
    if (t->is_virtual || t->type != CUDNN_DATA_BFLOAT16 || t->n_dims != 4)
        return "attention: Q, K, V, O and their gradients are bf16 of four dimensions";
    if (t->strides[feature] != 1)
        return "attention: the features of a head do not lie one after another";
    if (t->dims[feature] % 8 || t->dims[feature] > 128)
        return "attention: features of a head that are no multiple of 8, or more than 128";
    if (t->alignment < 16)
        return "attention: tensors that are not aligned to 16 bytes";
    return NULL;
}

int cd_is_inner(const cd_graph *graph, int32_t tensor, int type)
{
    return tensor >= 0 && graph->tensors[tensor].is_virtual && graph->tensors[tensor].type == type;
}

int cd_is_row_value(const cd_graph *graph, int32_t tensor, const cd_tensor *q)
{
    const cd_tensor *t = &graph->tensors[tensor];
    return !t->is_virtual && t->type == CUDNN_DATA_FLOAT && t->n_dims == 4 &&
           t->dims[0] == q->dims[0] && t->dims[1] == q->dims[1] && t->dims[2] == q->dims[2] &&
           t->dims[3] == 1 && cd_is_nchw(t);
}
