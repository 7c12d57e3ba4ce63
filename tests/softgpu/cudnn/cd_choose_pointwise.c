/* Pointwise operations: by themselves, or around another operation. */
#include "cd_engine.h"

static int is_served(int type)
{
    return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16 || type == CUDNN_DATA_INT32;
}

/* A full tensor, one value for each channel, for each place or for all: what broadcasts in compiled
 * kernels. */
static int broadcasts_plainly(const cd_tensor *in, const cd_tensor *out)
{
    int full = 1, channel = 1, place = 1, one = 1;
    for (int i = 0; i < in->n_dims; i++) {
        int is_one = in->dims[i] == 1, is_out = in->dims[i] == out->dims[i];
        full &= is_out;
        channel &= i == 1 ? is_out : is_one;
        place &= i == 1 ? is_one : is_out;
        one &= is_one;
    }
    return full || channel || place || one;
}

/* Logical operations count in integers. */
static int is_float_mode(int mode)
{
    return mode < CUDNN_POINTWISE_LOGICAL_AND || mode > CUDNN_POINTWISE_LOGICAL_NOT;
}

/* What broadcasts is never the first input. */
static int is_full_size(const cd_tensor *in, const cd_tensor *out)
{
    return cd_elements(in) == cd_elements(out);
}

static int is_plain(const cd_graph *graph, const cd_node *node)
{
    const cd_tensor *out = &graph->tensors[node->out[0]];
    if (node->compute != CUDNN_DATA_FLOAT || node->alpha != 1 || node->beta != 1 ||
        !is_float_mode(node->mode) || !is_served(out->type) ||
        !is_full_size(&graph->tensors[node->in[CD_PW_X]], out))
        return 0;
    for (int i = 0; i < 3; i++) {
        const cd_tensor *in = node->in[i] < 0 ? NULL : &graph->tensors[node->in[i]];
        if (in && (!is_served(in->type) || !broadcasts_plainly(in, out)))
            return 0;
    }
    return 1;
}

int cd_are_plain_pointwise(const cd_graph *graph, int but)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (i != but && graph->nodes[i].kind == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
            !is_plain(graph, &graph->nodes[i]))
            return 0;
    return 1;
}

/* Images are NHWC, matrices row after row. */
static int are_laid_out(const cd_graph *graph)
{
    for (int t = 0; t < graph->n_tensors; t++) {
        const cd_tensor *tensor = &graph->tensors[t];
        if (tensor->n_dims == 3 ? !cd_is_nchw(tensor) : !cd_is_nhwc(tensor))
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
    if (!are_laid_out(graph))
        return cd_decline("pointwise: tensors that are not NHWC, or matrices row after row");
    cd_offer(choice, CD_ENGINE_FUSION);
    return 1;
}
