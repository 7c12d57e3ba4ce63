/* cuda_graph.c - describing cuDNN's graphs. */
#include <stdbool.h>

#include "cuda_graph.h"
#include "cuda_tune.h"

static void check(cuda_graph *graph, cudnnStatus_t status, const char *what)
{
    if (status == CUDNN_STATUS_SUCCESS || graph->status != WISP_OK)
        return;
    const cuda_cudnn *dnn = graph->device->cudnn;
    char text[300] = "";
    dnn->GetLastErrorString(text, sizeof text);
    graph->status =
        wisp_fail(&graph->error, status / 1000 == 3 ? WISP_E_UNSUPPORTED : WISP_E_DEVICE,
                  "cuDNN: %s: %s%s%s", what, dnn->GetErrorString(status), *text ? ": " : "", text);
}

void cuda_graph_begin(cuda_graph *graph, cuda_device *device)
{
    memset(graph, 0, sizeof *graph);
    graph->device = device;
    graph->absent_device = device->absent_cudnn;
    graph->key = UINT64_C(0xcbf29ce484222325);
}

static void drop(const cuda_graph *graph, cudnnBackendDescriptor_t *part)
{
    if (*part)
        graph->device->cudnn->DestroyDescriptor(*part);
    *part = NULL;
}

void cuda_graph_free(cuda_graph *graph)
{
    if (!graph->device)
        return;
    drop(graph, &graph->choice.plan);
    drop(graph, &graph->choice.engine);
    drop(graph, &graph->choice.config);
    drop(graph, &graph->whole);
    while (graph->n_parts > 0)
        drop(graph, &graph->parts[--graph->n_parts]);
    graph->n_operations = 0;
}

cudnnBackendDescriptor_t cuda_graph_part(cuda_graph *graph, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t part = NULL;
    if (graph->status != WISP_OK)
        return NULL;
    if (graph->n_parts == CUDA_GRAPH_PARTS) {
        graph->status = wisp_fail(&graph->error, WISP_E_UNSUPPORTED, "a graph of too many parts");
        return NULL;
    }
    check(graph, graph->device->cudnn->CreateDescriptor(type, &part), "making a descriptor");
    if (graph->status == WISP_OK)
        graph->parts[graph->n_parts++] = part;
    return graph->status == WISP_OK ? part : NULL;
}

static size_t bytes_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
        return 8;
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    default:
        return 4;
    }
}

/* Parts are known by when they were made. */
static void describe(cuda_graph *graph, cudnnBackendDescriptor_t part,
                     cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n,
                     const void *values)
{
    const int64_t head[] = {(int64_t)name, (int64_t)type, n};
    cudnnBackendDescriptor_t value = NULL;
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        memcpy(&value, values, sizeof value);
    graph->key = cuda_tune_hash(graph->key, head, sizeof head);
    for (int32_t i = 0; i < graph->n_parts; i++)
        if (graph->parts[i] == part || (value && graph->parts[i] == value))
            graph->key = cuda_tune_hash(graph->key, &i, sizeof i);
    if (!value)
        graph->key = cuda_tune_hash(graph->key, values, (size_t)n * bytes_of(type));
}

void cuda_graph_set(cuda_graph *graph, cudnnBackendDescriptor_t part,
                    cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n,
                    const void *values)
{
    char what[60];
    if (graph->status != WISP_OK)
        return;
    describe(graph, part, name, type, n, values);
    snprintf(what, sizeof what, "setting attribute %d", (int)name);
    check(graph, graph->device->cudnn->SetAttribute(part, name, type, n, values), what);
}

void cuda_graph_set_part(cuda_graph *graph, cudnnBackendDescriptor_t part,
                         cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value)
{
    cuda_graph_set(graph, part, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void cuda_graph_close(cuda_graph *graph, cudnnBackendDescriptor_t part, int is_operation)
{
    if (graph->status != WISP_OK)
        return;
    check(graph, graph->device->cudnn->Finalize(part),
          is_operation ? "an operation" : "a description");
    if (!is_operation || graph->status != WISP_OK)
        return;
    if (graph->n_operations == CUDA_GRAPH_OPERATIONS)
        graph->status = wisp_fail(&graph->error, WISP_E_UNSUPPORTED, "too many operations");
    else
        graph->operations[graph->n_operations++] = part;
}

static cudnnDataType_t type_of(int32_t dtype)
{
    return dtype == WISP_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

static void set_flag(cuda_graph *graph, cudnnBackendDescriptor_t part,
                     cudnnBackendAttributeName_t name, int32_t on)
{
    const bool value = on != 0;
    if (on)
        cuda_graph_set(graph, part, name, CUDNN_TYPE_BOOLEAN, 1, &value);
}

/* From the first element to the last, where it is in memory at all. */
static void note_memory(cuda_graph *graph, const cuda_graph_tensor *t)
{
    int64_t elements = 1;
    if (t->is_virtual)
        return;
    for (int32_t i = 0; i < t->rank; i++)
        elements += (t->size[i] - 1) * t->stride[i];
    if (graph->n_memory < CUDA_GRAPH_TENSORS)
        graph->memory[graph->n_memory++] = (cuda_graph_memory){
            t->id, (size_t)(elements * wisp_dtype_bytes(t->dtype)), t->is_value};
    else if (graph->status == WISP_OK)
        graph->status = wisp_fail(&graph->error, WISP_E_UNSUPPORTED, "a graph of too many tensors");
}

cudnnBackendDescriptor_t cuda_graph_add_tensor(cuda_graph *graph, const cuda_graph_tensor *t)
{
    const cudnnDataType_t type = type_of(t->dtype);
    const int64_t alignment = t->alignment;
    cudnnBackendDescriptor_t part = cuda_graph_part(graph, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    cuda_graph_set(graph, part, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->id);
    cuda_graph_set(graph, part, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    cuda_graph_set(graph, part, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t->rank, t->size);
    cuda_graph_set(graph, part, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t->rank, t->stride);
    cuda_graph_set(graph, part, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set_flag(graph, part, CUDNN_ATTR_TENSOR_IS_VIRTUAL, t->is_virtual);
    set_flag(graph, part, CUDNN_ATTR_TENSOR_IS_BY_VALUE, t->is_value);
    cuda_graph_close(graph, part, 0);
    note_memory(graph, t);
    return part;
}

/* --- operations --- */

static cudnnBackendDescriptor_t describe_conv(cuda_graph *graph, const wisp_conv2d_attrs *a)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t two = 2, stride[] = {a->stride_h, a->stride_w}, pad[] = {a->pad_h, a->pad_w};
    const int64_t dilation[] = {a->dilation_h, a->dilation_w};
    cudnnBackendDescriptor_t part = cuda_graph_part(graph, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &f32);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1,
                   &mode);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &two);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    cuda_graph_set(graph, part, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    cuda_graph_close(graph, part, 0);
    return part;
}

typedef struct conv_words {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
} conv_words;

static const conv_words words[] = {
    [CUDA_CONV_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [CUDA_CONV_INPUT] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [CUDA_CONV_WEIGHT] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

void cuda_graph_add_conv(cuda_graph *graph, int32_t direction, const wisp_conv2d_attrs *attrs,
                         cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t w,
                         cudnnBackendDescriptor_t y)
{
    const conv_words *n = &words[direction];
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t conv = describe_conv(graph, attrs);
    cudnnBackendDescriptor_t part = cuda_graph_part(graph, n->type);
    cuda_graph_set_part(graph, part, n->conv, conv);
    cuda_graph_set_part(graph, part, n->x, x);
    cuda_graph_set_part(graph, part, n->w, w);
    cuda_graph_set_part(graph, part, n->y, y);
    cuda_graph_set(graph, part, n->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    cuda_graph_set(graph, part, n->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    cuda_graph_close(graph, part, 1);
}

void cuda_graph_add_pointwise(cuda_graph *graph, cudnnPointwiseMode_t mode,
                              cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b,
                              cudnnBackendDescriptor_t y, double upper)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t how = cuda_graph_part(graph, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    cuda_graph_set(graph, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    cuda_graph_set(graph, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &f32);
    if (upper > 0)
        cuda_graph_set(graph, how, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1,
                       &upper);
    cuda_graph_close(graph, how, 0);
    cudnnBackendDescriptor_t part =
        cuda_graph_part(graph, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    cuda_graph_close(graph, part, 1);
}

void cuda_graph_add_sums(cuda_graph *graph, cudnnBackendDescriptor_t x,
                         cudnnBackendDescriptor_t sum, cudnnBackendDescriptor_t squares)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    cudnnBackendDescriptor_t part =
        cuda_graph_part(graph, CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    cuda_graph_set(graph, part, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1,
                   &mode);
    cuda_graph_set(graph, part, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1,
                   &f32);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sum);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares);
    cuda_graph_close(graph, part, 1);
}

void cuda_graph_add_product(cuda_graph *graph, cudnnBackendDescriptor_t a,
                            cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t c)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t how = cuda_graph_part(graph, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    cuda_graph_set(graph, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &f32);
    cuda_graph_close(graph, how, 0);
    cudnnBackendDescriptor_t part =
        cuda_graph_part(graph, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    cuda_graph_close(graph, part, 1);
}

void cuda_graph_add_reduction(cuda_graph *graph, cudnnReduceTensorOp_t mode,
                              cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t y)
{
    const cudnnDataType_t f32 = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t how = cuda_graph_part(graph, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    cuda_graph_set(graph, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &f32);
    cuda_graph_set(graph, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1,
                   &mode);
    cuda_graph_close(graph, how, 0);
    cudnnBackendDescriptor_t part =
        cuda_graph_part(graph, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    cuda_graph_close(graph, part, 1);
}

void cuda_graph_add_view(cuda_graph *graph, cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t y)
{
    cudnnBackendDescriptor_t part =
        cuda_graph_part(graph, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    cuda_graph_set_part(graph, part, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    cuda_graph_close(graph, part, 1);
}
