/* Pointwise operations: by themselves, or around another operation. */
#include "cd_engine.h"

static int is_served(int type)
{
    return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16 || type == CUDNN_DATA_BOOLEAN ||
           type == CUDNN_DATA_INT32;
}

/* A full tensor, one value for each channel, or one value: what broadcasts in compiled kernels. */
static int broadcasts_plainly(const cd_tensor *in, const cd_tensor *out)
{
    int full = 1, channel = in->n_dims > 1 && in->dims[1] == out->dims[1], one = 1;
    for (int i = 0; i < in->n_dims; i++) {
        full &= in->dims[i] == out->dims[i];
        channel &= i == 1 || in->dims[i] == 1;
        one &= in->dims[i] == 1;
    }
    return full || channel || one;
}

int cd_are_plain_pointwise(const cd_graph *graph, int but)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const cd_node *node = &graph->nodes[i];
        if (i == but)
            continue;
        if (node->compute != CUDNN_DATA_FLOAT || node->alpha != 1 || node->beta != 1)
            return 0;
        for (int p = 0; p < 3; p++)
            if (node->in[p] >= 0 &&
                (!is_served(graph->tensors[node->in[p]].type) ||
                 !broadcasts_plainly(&graph->tensors[node->in[p]], &graph->tensors[node->out[0]])))
                return 0;
        if (!is_served(graph->tensors[node->out[0]].type))
            return 0;
    }
    return 1;
}

int cd_choose_pointwise(const cd_graph *graph, cd_choice *choice)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].kind != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
            return 0;
    if (!cd_are_plain_pointwise(graph, -1))
        return cd_decline("pointwise: these operations");
    cd_offer(choice, CD_ENGINE_FUSION);
    return 1;
}
