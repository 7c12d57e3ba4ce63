/* Operations as nodes of a graph: which tensors they read and write, and their parameters. */
#include "cd_graph.h"
#include <string.h>

int cd_is_backward(int mode)
{
    return mode >= CUDNN_POINTWISE_RELU_BWD && mode <= CUDNN_POINTWISE_GELU_APPROX_TANH_BWD;
}

int cd_pointwise_inputs(int mode)
{
    switch (mode) {
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_ADD_SQUARE:
    case CUDNN_POINTWISE_DIV:
    case CUDNN_POINTWISE_MAX:
    case CUDNN_POINTWISE_MIN:
    case CUDNN_POINTWISE_MOD:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_POW:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_ATAN2:
    case CUDNN_POINTWISE_LOGICAL_AND:
    case CUDNN_POINTWISE_LOGICAL_OR:
        return 2;
    case CUDNN_POINTWISE_BINARY_SELECT:
        return 3;
    case CUDNN_POINTWISE_LOGICAL_NOT:
    case CUDNN_POINTWISE_GEN_INDEX:
    case CUDNN_POINTWISE_SQRT:
        return 1;
    default:
        if (cd_is_backward(mode) ||
            (mode >= CUDNN_POINTWISE_CMP_EQ && mode <= CUDNN_POINTWISE_CMP_LE))
            return 2;
        return (mode >= CUDNN_POINTWISE_ABS && mode <= CUDNN_POINTWISE_RECIPROCAL) ||
               (mode >= CUDNN_POINTWISE_RELU_FWD && mode <= CUDNN_POINTWISE_GELU_APPROX_TANH_FWD);
    }
}

static int is_same_tensor(const cd_tensor *a, const cd_tensor *b)
{
    return a->type == b->type && a->n_dims == b->n_dims && a->is_virtual == b->is_virtual &&
           a->by_value == b->by_value && !memcmp(a->dims, b->dims, sizeof a->dims) &&
           !memcmp(a->strides, b->strides, sizeof a->strides);
}

/* The index of an operation's tensor, which is added where its uid is new; *index = -1: not set. */
static cudnnStatus_t take(cd_graph *graph, const cd_object *operation, int name, int32_t *index)
{
    const cd_object *object = cd_child(operation, name, 0);
    *index = -1;
    if (!object)
        return CUDNN_STATUS_SUCCESS;
    if (object->destroyed)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "a tensor was destroyed before its operation");
    cd_tensor tensor;
    cd_tensor_of(object, &tensor);
    for (int32_t i = 0; i < graph->n_tensors; i++)
        if (graph->tensors[i].uid == tensor.uid) {
            *index = i;
            return is_same_tensor(&graph->tensors[i], &tensor)
                       ? CUDNN_STATUS_SUCCESS
                       : cd_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
                                 "two different tensors have the uid %lld", (long long)tensor.uid);
        }
    if (graph->n_tensors == CD_TENSORS)
        return cd_fail(CUDNN_STATUS_NOT_SUPPORTED, "more tensors than are served");
    *index = graph->n_tensors;
    graph->tensors[graph->n_tensors++] = tensor;
    return CUDNN_STATUS_SUCCESS;
}

typedef struct {
    int kind;
    int in[CD_INPUTS], out[CD_OUTPUTS];
    int alpha, beta, parameters;
} ports;

#define CONV(name) CUDNN_ATTR_OPERATION_CONVOLUTION_##name
#define PW(name) CUDNN_ATTR_OPERATION_POINTWISE_##name
#define MM(name) CUDNN_ATTR_OPERATION_MATMUL_##name
#define SDPA(name) CUDNN_ATTR_OPERATION_SDPA_FWD_##name
enum { NONE = -1 };

static const ports all_ports[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     {CONV(FORWARD_X), CONV(FORWARD_W), NONE, NONE, NONE},
     {CONV(FORWARD_Y), NONE},
     CONV(FORWARD_ALPHA),
     CONV(FORWARD_BETA),
     CONV(FORWARD_CONV_DESC)},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     {CONV(BWD_DATA_DY), CONV(BWD_DATA_W), NONE, NONE, NONE},
     {CONV(BWD_DATA_DX), NONE},
     CONV(BWD_DATA_ALPHA),
     CONV(BWD_DATA_BETA),
     CONV(BWD_DATA_CONV_DESC)},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     {CONV(BWD_FILTER_X), CONV(BWD_FILTER_DY), NONE, NONE, NONE},
     {CONV(BWD_FILTER_DW), NONE},
     CONV(BWD_FILTER_ALPHA),
     CONV(BWD_FILTER_BETA),
     CONV(BWD_FILTER_CONV_DESC)},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
     {PW(XDESC), PW(BDESC), PW(TDESC), NONE, NONE},
     {PW(YDESC), NONE},
     PW(ALPHA1),
     PW(ALPHA2),
     PW(PW_DESCRIPTOR)},
    {CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
     {MM(ADESC), MM(BDESC), MM(GEMM_M_OVERRIDE_DESC), MM(GEMM_N_OVERRIDE_DESC),
      MM(GEMM_K_OVERRIDE_DESC)},
     {MM(CDESC), NONE},
     NONE,
     NONE,
     MM(DESC)},
    {CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_REDUCTION_XDESC, NONE, NONE, NONE, NONE},
     {CUDNN_ATTR_OPERATION_REDUCTION_YDESC, NONE},
     NONE,
     NONE,
     CUDNN_ATTR_OPERATION_REDUCTION_DESC},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_GENSTATS_XDESC, NONE, NONE, NONE, NONE},
     {CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC},
     NONE,
     NONE,
     NONE},
    {CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
     {CUDNN_ATTR_OPERATION_RESHAPE_XDESC, NONE, NONE, NONE, NONE},
     {CUDNN_ATTR_OPERATION_RESHAPE_YDESC, NONE},
     NONE,
     NONE,
     NONE},
    {CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR,
     {SDPA(QDESC), SDPA(KDESC), SDPA(VDESC), SDPA(SCALEDESC), NONE},
     {SDPA(ODESC), SDPA(STATSDESC)},
     NONE,
     NONE,
     NONE},
};

static void take_convolution(const cd_object *object, cd_node *node)
{
    static const int names[4] = {
        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
        CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS};
    int64_t *const targets[4] = {node->conv.pre, node->conv.post, node->conv.strides,
                                 node->conv.dilations};
    node->conv.n = cd_integer(object, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
    for (int i = 0; i < 4; i++)
        memcpy(targets[i], cd_slot_of(object, names[i])->data,
               (size_t)cd_count(object, names[i]) * sizeof(int64_t));
    node->mode = (int32_t)cd_integer(object, CUDNN_ATTR_CONVOLUTION_CONV_MODE, 0);
    node->compute = (int32_t)cd_integer(object, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 0);
}

static void take_pointwise(const cd_object *object, cd_node *node)
{
    node->mode = (int32_t)cd_integer(object, CUDNN_ATTR_POINTWISE_MODE, 0);
    node->compute = (int32_t)cd_integer(object, CUDNN_ATTR_POINTWISE_MATH_PREC, 0);
    node->activation =
        (cd_activation){.lower_clip = cd_real(object, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0),
                        .upper_clip = cd_real(object, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 3e38),
                        .slope = cd_real(object, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0),
                        .elu_alpha = cd_real(object, CUDNN_ATTR_POINTWISE_ELU_ALPHA, 1),
                        .softplus_beta = cd_real(object, CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA, 1),
                        .swish_beta = cd_real(object, CUDNN_ATTR_POINTWISE_SWISH_BETA, 1),
                        .axis = cd_integer(object, CUDNN_ATTR_POINTWISE_AXIS, -1)};
}

static void take_parameters(const cd_object *object, cd_node *node)
{
    switch (object->type) {
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        take_convolution(object, node);
        break;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        take_pointwise(object, node);
        break;
    case CUDNN_BACKEND_MATMUL_DESCRIPTOR:
        node->compute = (int32_t)cd_integer(object, CUDNN_ATTR_MATMUL_COMP_TYPE, 0);
        node->padding = cd_real(object, CUDNN_ATTR_MATMUL_PADDING_VALUE, 0);
        break;
    default:
        node->mode = (int32_t)cd_integer(object, CUDNN_ATTR_REDUCTION_OPERATOR, 0);
        node->compute = (int32_t)cd_integer(object, CUDNN_ATTR_REDUCTION_COMP_TYPE, 0);
        break;
    }
}

/* A backward mode computes dX out of dY and X (or Y): dY takes the place of B, dX that of Y. */
static cudnnStatus_t take_backward(cd_graph *graph, const cd_object *operation, cd_node *node)
{
    cudnnStatus_t status = take(graph, operation, PW(DYDESC), &node->in[CD_PW_B]);
    if (status == CUDNN_STATUS_SUCCESS)
        status = take(graph, operation, PW(DXDESC), &node->out[0]);
    if (status == CUDNN_STATUS_SUCCESS &&
        (cd_slot_of(operation, PW(BDESC)) || cd_slot_of(operation, PW(YDESC))))
        status = cd_fail(CUDNN_STATUS_BAD_PARAM, "a backward mode has DXDESC and DYDESC");
    return status;
}

cudnnStatus_t cd_add_node(cd_graph *graph, const cd_object *operation)
{
    const ports *p = all_ports;
    while (p->kind != operation->type)
        p++;
    if (graph->n_nodes == CD_NODES)
        return cd_fail(CUDNN_STATUS_NOT_SUPPORTED, "more operations than are served");
    cd_node *node = &graph->nodes[graph->n_nodes];
    memset(node, 0, sizeof *node);
    node->kind = operation->type;
    node->alpha = cd_real(operation, p->alpha, 1);
    node->beta = cd_real(operation, p->beta, 1);
    const cd_object *parameters = cd_child(operation, p->parameters, 0);
    if (parameters)
        take_parameters(parameters, node);
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    for (int i = 0; i < CD_INPUTS && status == CUDNN_STATUS_SUCCESS; i++)
        status = take(graph, operation, p->in[i], &node->in[i]);
    for (int i = 0; i < CD_OUTPUTS && status == CUDNN_STATUS_SUCCESS; i++)
        status = take(graph, operation, p->out[i], &node->out[i]);
    if (status == CUDNN_STATUS_SUCCESS &&
        node->kind == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR && cd_is_backward(node->mode))
        status = take_backward(graph, operation, node);
    graph->n_nodes += status == CUDNN_STATUS_SUCCESS;
    return status;
}
