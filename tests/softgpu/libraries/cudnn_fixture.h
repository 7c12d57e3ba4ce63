/* cudnn_fixture.h - tests only: graphs through cuDNN's backend API, in few words. */
#ifndef WISP_TESTS_CUDNN_FIXTURE_H
#define WISP_TESTS_CUDNN_FIXTURE_H

#include <string.h>

#include "cudnn.h"
#include "soft_memory_fixture.h"

enum { CUDNN_MADE = 1024, CUDNN_WORKSPACE = 1 << 16 };

static cudnnHandle_t cudnn_handle;
static cudnnBackendDescriptor_t cudnn_made[CUDNN_MADE]; /* all that a test made */
static int cudnn_n_made;

#define DN_OK(call) ck_assert_int_eq(call, CUDNN_STATUS_SUCCESS)

static inline void cudnn_start(void)
{
    soft_start();
    DN_OK(cudnnCreate(&cudnn_handle));
    DN_OK(cudnnSetStream(cudnn_handle, soft_stream));
}

static inline void cudnn_stop(void)
{
    while (cudnn_n_made > 0)
        DN_OK(cudnnBackendDestroyDescriptor(cudnn_made[--cudnn_n_made]));
    DN_OK(cudnnDestroy(cudnn_handle));
    soft_stop();
}

static inline cudnnBackendDescriptor_t dn_make(cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t descriptor = NULL;
    DN_OK(cudnnBackendCreateDescriptor(type, &descriptor));
    ck_assert_int_lt(cudnn_n_made, CUDNN_MADE);
    return cudnn_made[cudnn_n_made++] = descriptor;
}

static inline void dn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                          cudnnBackendAttributeType_t type, int64_t n, const void *elements)
{
    DN_OK(cudnnBackendSetAttribute(descriptor, name, type, n, elements));
}

static inline void dn_set_child(cudnnBackendDescriptor_t descriptor,
                                cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t child)
{
    if (child)
        dn_set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child);
}

static inline void dn_set_int(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                              cudnnBackendAttributeType_t type, int32_t value)
{
    dn_set(descriptor, name, type, 1, &value);
}

typedef struct {
    int64_t uid;
    int type;
    int64_t dims[4], strides[4];
    int is_virtual, by_value;
} dn_tensor;

/* Strides of four dimensions with channels last or first. */
static inline dn_tensor dn_image(int64_t uid, int type, int64_t n, int64_t c, int64_t h, int64_t w,
                                 int nhwc)
{
    dn_tensor t = {.uid = uid, .type = type, .dims = {n, c, h, w}};
    int64_t last[4] = {h * w * c, 1, w * c, c}, first[4] = {c * h * w, h * w, w, 1};
    memcpy(t.strides, nhwc ? last : first, sizeof last);
    return t;
}

static inline cudnnBackendDescriptor_t dn_make_tensor(const dn_tensor *t)
{
    cudnnBackendDescriptor_t tensor = dn_make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t alignment = 16;
    uint8_t is_virtual = (uint8_t)t->is_virtual, by_value = (uint8_t)t->by_value;
    dn_set(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->uid);
    dn_set_int(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, t->type);
    dn_set(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    dn_set(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, t->dims);
    dn_set(tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, t->strides);
    dn_set(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    dn_set(tensor, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    DN_OK(cudnnBackendFinalize(tensor));
    return tensor;
}

typedef struct {
    int64_t pad[2], stride[2], dilation[2];
} dn_window;

static inline cudnnBackendDescriptor_t dn_make_convolution(const dn_window *window)
{
    cudnnBackendDescriptor_t conv = dn_make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    int64_t n = 2;
    dn_set_int(conv, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    dn_set_int(conv, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
               CUDNN_CROSS_CORRELATION);
    dn_set(conv, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &n);
    dn_set(conv, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, window->pad);
    dn_set(conv, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, window->pad);
    dn_set(conv, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, window->stride);
    dn_set(conv, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, window->dilation);
    DN_OK(cudnnBackendFinalize(conv));
    return conv;
}

/* The attributes of one kind of convolution: its three tensors in the order of x, w, y. */
typedef struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
} dn_direction;

static const dn_direction dn_directions[3] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

/* Not finalized. */
static inline cudnnBackendDescriptor_t dn_make_conv_operation(int direction,
                                                              const dn_window *window,
                                                              const dn_tensor tensors[3],
                                                              float beta)
{
    const dn_direction *d = &dn_directions[direction];
    cudnnBackendDescriptor_t operation = dn_make(d->type);
    float alpha = 1;
    dn_set_child(operation, d->conv, dn_make_convolution(window));
    dn_set_child(operation, d->x, dn_make_tensor(&tensors[0]));
    dn_set_child(operation, d->w, dn_make_tensor(&tensors[1]));
    dn_set_child(operation, d->y, dn_make_tensor(&tensors[2]));
    dn_set(operation, d->alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    dn_set(operation, d->beta, CUDNN_TYPE_FLOAT, 1, &beta);
    return operation;
}

/* Finalized. X, and B or dY where there is one; the result is Y or dX. */
static inline cudnnBackendDescriptor_t dn_make_pointwise(int mode, const dn_tensor *x,
                                                         const dn_tensor *b, const dn_tensor *y)
{
    cudnnBackendDescriptor_t pointwise = dn_make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    dn_set_int(pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    dn_set_int(pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    DN_OK(cudnnBackendFinalize(pointwise));
    cudnnBackendDescriptor_t operation = dn_make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    int backward = mode >= CUDNN_POINTWISE_RELU_BWD && mode <= CUDNN_POINTWISE_GELU_APPROX_TANH_BWD;
    dn_set_child(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    dn_set_child(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, dn_make_tensor(x));
    if (b)
        dn_set_child(operation,
                     backward ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC
                              : CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                     dn_make_tensor(b));
    dn_set_child(operation,
                 backward ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC
                          : CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
                 dn_make_tensor(y));
    DN_OK(cudnnBackendFinalize(operation));
    return operation;
}

static inline cudnnBackendDescriptor_t dn_make_graph(cudnnBackendDescriptor_t *operations, int n)
{
    cudnnBackendDescriptor_t graph = dn_make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    dn_set(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn_handle);
    dn_set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, operations);
    return graph;
}

/* Does the configuration's engine have this note? */
static inline int dn_has_note(cudnnBackendDescriptor_t config, int note)
{
    cudnnBackendDescriptor_t engine = dn_make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t n = 0;
    int32_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    DN_OK(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine));
    DN_OK(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                   CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n,
                                   notes));
    for (int64_t i = 0; i < n; i++)
        if (notes[i] == note)
            return 1;
    return 0;
}

static inline cudnnBackendDescriptor_t dn_plan_of(cudnnBackendDescriptor_t config)
{
    cudnnBackendDescriptor_t plan = dn_make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    dn_set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn_handle);
    dn_set_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    return cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS ? plan : NULL;
}

/* What a plan's engine may be: the same every time, without tensor cores too, or one with a note.
 */
enum { DN_STABLE = -1, DN_EXACT = -2 };

static inline int dn_is_wanted(cudnnBackendDescriptor_t config, int wanted)
{
    if (wanted >= 0)
        return dn_has_note(config, wanted);
    return !dn_has_note(config, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) &&
           (wanted == DN_STABLE || !dn_has_note(config, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
}

static inline cudnnBackendDescriptor_t dn_find_in_mode(cudnnBackendDescriptor_t graph, int32_t mode,
                                                       int wanted)
{
    cudnnBackendDescriptor_t heuristic = dn_make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    cudnnBackendDescriptor_t configs[8];
    int64_t n = 0;
    dn_set_child(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    dn_set_int(heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
    if (cudnnBackendFinalize(heuristic) != CUDNN_STATUS_SUCCESS)
        return NULL;
    for (int i = 0; i < 8; i++)
        configs[i] = dn_make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    DN_OK(cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, 8, &n, configs));
    for (int64_t i = 0; i < n; i++)
        if (dn_is_wanted(configs[i], wanted)) {
            cudnnBackendDescriptor_t plan = dn_plan_of(configs[i]);
            if (plan)
                return plan;
        }
    return NULL;
}

/* The first plan that works of an engine as it is wanted, fallbacks last. NULL: none. */
static inline cudnnBackendDescriptor_t dn_find_plan(cudnnBackendDescriptor_t graph, int wanted)
{
    cudnnBackendDescriptor_t plan = dn_find_in_mode(graph, CUDNN_HEUR_MODE_A, wanted);
    return plan ? plan : dn_find_in_mode(graph, CUDNN_HEUR_MODE_FALLBACK, wanted);
}

/* Runs a plan with a workspace of the size that it asks for. */
static inline cudnnStatus_t dn_execute(cudnnBackendDescriptor_t plan, int64_t n,
                                       const int64_t *uids, void *const *pointers)
{
    cudnnBackendDescriptor_t pack = dn_make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    int64_t bytes = 0, count = 0;
    DN_OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                   1, &count, &bytes));
    void *workspace = bytes ? soft_room((size_t)bytes) : NULL;
    dn_set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uids);
    dn_set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers);
    dn_set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    DN_OK(cudnnBackendFinalize(pack));
    return cudnnBackendExecute(cudnn_handle, plan, pack);
}

#endif
