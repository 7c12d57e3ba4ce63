/* Convolutions: alone, or with a chain of pointwise operations around them. README.md says where
 * each rule is from. */
#include "cd_engine.h"

static int is_convolution(int kind)
{
    return kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ||
           kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
}

/* The one convolution among pointwise operations and statistics; -1: another pattern. */
static int find_convolution(const cd_graph *graph)
{
    int found = -1;
    for (int i = 0; i < graph->n_nodes; i++) {
        int kind = graph->nodes[i].kind;
        if (is_convolution(kind)) {
            if (found >= 0)
                return -1;
            found = i;
        } else if (kind != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
                   kind != CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR) {
            return -1;
        }
    }
    return found;
}

/* Before a forward convolution: what makes the x that it reads, in bf16. Statistics: of its y. */
static const char *wrong_surroundings(const cd_graph *graph, int at)
{
    const cd_node *conv = &graph->nodes[at];
    cd_parts p = cd_convolution_parts(graph, conv);
    int forward = conv->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
    int bf16 = p.x->type == CUDNN_DATA_BFLOAT16 && p.y->type == CUDNN_DATA_BFLOAT16;
    if (at != 0 && !(forward && bf16 && p.x->is_virtual))
        return "fusion: operations before the convolution";
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].kind == CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR &&
            !(forward && bf16 && i == graph->n_nodes - 1 &&
              &graph->tensors[graph->nodes[i].in[0]] == p.y))
            return "fusion: statistics of something else than a forward convolution in bf16";
    return NULL;
}

static int all_of_type(cd_parts p, int type)
{
    return p.x->type == type && p.w->type == type && p.y->type == type;
}

static const char *wrong_convolution(const cd_node *node, cd_parts p)
{
    if (node->conv.n != 2)
        return "convolution: not two spatial dimensions";
    if (node->mode != CUDNN_CROSS_CORRELATION)
        return "convolution: not a cross-correlation";
    if (node->compute != CUDNN_DATA_FLOAT)
        return "convolution: sums that are not float";
    for (int i = 0; i < 2; i++)
        if (node->conv.pre[i] != node->conv.post[i])
            return "convolution: padding that differs before and behind";
    int nhwc = cd_is_nhwc(p.x) && cd_is_nhwc(p.w) && cd_is_nhwc(p.y);
    int nchw = cd_is_nchw(p.x) && cd_is_nchw(p.w) && cd_is_nchw(p.y);
    return nhwc || nchw ? NULL : "convolution: tensors that are not all packed NHWC or all NCHW";
}

/* 16 bytes of channels, in and out, channels last, one group: what compiled kernels ask for. */
static const char *wrong_for_fusion(const cd_graph *graph, const cd_node *node, cd_parts p)
{
    int64_t unit = p.x->type == CUDNN_DATA_BFLOAT16 ? 8 : 4;
    for (int t = 0; t < graph->n_tensors; t++)
        if (!cd_is_nhwc(&graph->tensors[t]))
            return "fusion: tensors that are not NHWC";
    if (node->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR &&
        (node->conv.strides[0] > 1 || node->conv.strides[1] > 1))
        return "fusion: backward data with strides";
    if (cd_groups(graph, node) != 1)
        return "fusion: groups";
    if (p.x->dims[1] % unit || p.w->dims[0] % unit)
        return "fusion: channels that are no multiple of 16 bytes";
    if (p.x->alignment < 16 || p.w->alignment < 16 || p.y->alignment < 16)
        return "fusion: tensors that are not aligned to 16 bytes";
    if (node->alpha != 1 || node->beta != 0)
        return "fusion: alpha is not 1 or beta not 0";
    return NULL;
}

static void offer_single(const cd_node *node, int is_float, cd_choice *choice)
{
    cd_offer(choice, CD_ENGINE_FUSSY);
    if (is_float)
        cd_offer(choice, CD_ENGINE_TF32);
    else if (node->kind != CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        cd_offer(choice, CD_ENGINE_UNORDERED);
    cd_offer(choice, CD_ENGINE_PLAIN);
    if (is_float && node->kind != CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
        cd_offer(choice, CD_ENGINE_UNORDERED);
}

/* Inputs in bf16, the result in float: only where another operation takes the result. */
static int is_widening(const cd_node *node, cd_parts p)
{
    int out_is_float = 0, in_are_bf16 = 1;
    const cd_tensor *parts[3] = {p.x, p.w, p.y};
    int out = node->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? 2
              : node->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? 0
                                                                                           : 1;
    for (int i = 0; i < 3; i++) {
        if (i == out)
            out_is_float = parts[i]->type == CUDNN_DATA_FLOAT;
        else
            in_are_bf16 &= parts[i]->type == CUDNN_DATA_BFLOAT16;
    }
    return out_is_float && in_are_bf16;
}

int cd_choose_convolution(const cd_graph *graph, cd_choice *choice)
{
    int at = find_convolution(graph);
    if (at < 0)
        return 0;
    const cd_node *node = &graph->nodes[at];
    cd_parts p = cd_convolution_parts(graph, node);
    const char *wrong = wrong_convolution(node, p);
    if (wrong)
        return cd_decline(wrong);
    int is_float = all_of_type(p, CUDNN_DATA_FLOAT), is_bf16 = all_of_type(p, CUDNN_DATA_BFLOAT16);
    if (!is_float && !is_bf16 && !is_widening(node, p))
        return cd_decline("convolution: these types of x, w and y");
    if (graph->n_nodes == 1 && (is_float || is_bf16)) {
        offer_single(node, is_float, choice);
        return 1;
    }
    if (graph->n_nodes == 1)
        return cd_decline("convolution: a result wider than the inputs, by itself");
    wrong = wrong_for_fusion(graph, node, p);
    if (wrong)
        return cd_decline(wrong);
    wrong = wrong_surroundings(graph, at);
    if (wrong)
        return cd_decline(wrong);
    if (!cd_are_plain_pointwise(graph, at))
        return cd_decline("fusion: these pointwise operations");
    cd_offer(choice, CD_ENGINE_FUSSY);
    cd_offer(choice, is_float ? CD_ENGINE_FUSION_TF32 : CD_ENGINE_FUSION);
    return 1;
}
