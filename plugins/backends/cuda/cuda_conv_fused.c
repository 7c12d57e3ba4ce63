/* cuda_conv_fused.c - conv_norm in bf16 as one graph of cuDNN: scale, shift and activation while
 * the input is read, sums of the result and of its square while it is written.
 *
 * Mean and variance come from those two sums in f32. That loses digits where the mean is large
 * beside the deviation; the map itself, rounded to bf16, has lost more by then. In f32 the kernels
 * of cuda_conv_norm.c measure. */
#include "cuda_filter.h"
#include "cuda_table.h"
#include "kernels/conv_norm.h"

enum { X = 1, SCALE, SHIFT, W, Y, SUM, SQUARES, FIRST_VIRTUAL = 100 };
enum { MOST_TENSORS = 7, UNIT = 8 };

typedef struct fused_state {
    cuda_graph graph;
    cuda_filter filter;
    CUfunction moments;
    int64_t rows, channels; /* of y */
    int64_t n_read;         /* channels of x */
    int32_t has_scale, has_stats;
    size_t at_weight, at_scale, at_shift, at_sum, at_squares, at_work;
} fused_state;

static void destroy(cuda_device *device, void *state)
{
    (void)device;
    cuda_graph_free(&((fused_state *)state)->graph);
}

/* Values by channel, where cuDNN may read them in units of 16 bytes. */
static wisp_status align(const cuda_device *device, void **values, int64_t n, void *room,
                         wisp_error *err)
{
    if (cuda_is_aligned(*values, 16))
        return WISP_OK;
    const void *from = *values;
    *values = room;
    return cuda_copy(device, room, from, (size_t)n * sizeof(float), err);
}

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const fused_state *s = kernel->state;
    void *w = cuda_part(scratch, s->at_weight);
    float *sum = cuda_part(scratch, s->at_sum), *squares = cuda_part(scratch, s->at_squares);
    void *scale = in[1].data, *shift = in[2].data;
    if (s->has_scale) {
        WISP_TRY(align(device, &scale, s->n_read, cuda_part(scratch, s->at_scale), err));
        WISP_TRY(align(device, &shift, s->n_read, cuda_part(scratch, s->at_shift), err));
    }
    const int64_t ids[MOST_TENSORS] = {
        X, W, Y, s->has_scale ? SCALE : SUM, s->has_scale ? SHIFT : SQUARES, SUM, SQUARES};
    void *const data[MOST_TENSORS] = {
        in[0].data, w,      out[0].data, s->has_scale ? scale : sum, s->has_scale ? shift : squares,
        sum,        squares};
    const int32_t n = 3 + 2 * s->has_scale + 2 * s->has_stats;
    WISP_TRY(cuda_filter_read(device, &s->filter, in[3].data, w, err));
    WISP_TRY(cuda_graph_run(&s->graph, n, ids, data, cuda_part(scratch, s->at_work), err));
    if (!s->has_stats)
        return WISP_OK;
    const conv_norm_args args = {.partial = {sum, squares},
                                 .first = out[1].data,
                                 .second = out[2].data,
                                 .cut = {.columns = s->channels},
                                 .per_row = (float)(1.0 / (double)s->rows)};
    return cuda_launch(device, s->moments, cuda_grid_over(device, s->channels, 1), &args, err);
}

/* --- preparation --- */

static cudnnBackendDescriptor_t by_channel(cuda_graph *graph, int64_t id, int64_t n)
{
    const cuda_graph_tensor t = {.id = id,
                                 .dtype = WISP_F32,
                                 .rank = 4,
                                 .size = {1, n, 1, 1},
                                 .stride = {n, 1, n, n},
                                 .alignment = 16};
    return cuda_graph_add_tensor(graph, &t);
}

/* x as the convolution reads it. */
static cudnnBackendDescriptor_t add_reading(cuda_graph *graph, const wisp_desc *desc,
                                            int32_t activation, cudnnBackendDescriptor_t x)
{
    const int64_t c = desc->shape[3];
    cudnnBackendDescriptor_t scale = by_channel(graph, SCALE, c);
    cudnnBackendDescriptor_t shift = by_channel(graph, SHIFT, c);
    cuda_graph_tensor inner = cuda_map_tensor(FIRST_VIRTUAL, desc);
    inner.is_virtual = 1;
    inner.dtype = WISP_F32;
    cudnnBackendDescriptor_t scaled = cuda_graph_add_tensor(graph, &inner);
    inner.id++;
    inner.dtype = activation == WISP_ACT_NONE ? WISP_BF16 : WISP_F32;
    cudnnBackendDescriptor_t shifted = cuda_graph_add_tensor(graph, &inner);
    cuda_graph_add_pointwise(graph, CUDNN_POINTWISE_MUL, x, scale, scaled, 0);
    cuda_graph_add_pointwise(graph, CUDNN_POINTWISE_ADD, scaled, shift, shifted, 0);
    if (activation == WISP_ACT_NONE)
        return shifted;
    inner.id++;
    inner.dtype = WISP_BF16;
    cudnnBackendDescriptor_t activated = cuda_graph_add_tensor(graph, &inner);
    cuda_graph_add_pointwise(graph, CUDNN_POINTWISE_RELU_FWD, shifted, NULL, activated,
                             activation == WISP_ACT_RELU6 ? 6 : 0);
    return activated;
}

static wisp_status make_graph(cuda_device *device, const wisp_kernel_request *request,
                              fused_state *s, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *w = request->in[3], *y = request->out[0];
    const cuda_graph_rules rules = cuda_conv_rules(device, request, x->dtype);
    cuda_graph *g = &s->graph;
    cuda_graph_tensor tx = cuda_map_tensor(X, x), ty = cuda_map_tensor(Y, y);
    cuda_graph_tensor tw = cuda_filter_tensor(W, w, &s->filter);
    wisp_error reason = {0};
    cuda_graph_begin(g, device);
    cudnnBackendDescriptor_t dx = cuda_graph_add_tensor(g, &tx);
    cudnnBackendDescriptor_t dw = cuda_graph_add_tensor(g, &tw);
    cudnnBackendDescriptor_t dy = cuda_graph_add_tensor(g, &ty);
    if (s->has_scale)
        dx = add_reading(g, x, attrs->activation, dx);
    cuda_graph_add_conv(g, CUDA_CONV_FORWARD, &attrs->conv, dx, dw, dy);
    if (s->has_stats)
        cuda_graph_add_sums(g, dy, by_channel(g, SUM, s->channels),
                            by_channel(g, SQUARES, s->channels));
    const wisp_status status = cuda_graph_plan(g, &rules, &reason);
    if (status == WISP_E_UNSUPPORTED)
        return wisp_refuse(request, err, "fused: %s", reason.message);
    return status == WISP_OK ? WISP_OK : wisp_fail(err, status, "%s", reason.message);
}

static wisp_status fill(cuda_device *device, const wisp_kernel_request *request, wisp_kernel *made,
                        wisp_error *err)
{
    fused_state *s = made->state;
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *y = request->out[0];
    size_t total = 0;
    s->rows = wisp_desc_count(y) / y->shape[3];
    s->channels = y->shape[3];
    s->n_read = request->in[0]->shape[3];
    s->has_scale = request->in[1] && request->in[1]->dtype;
    s->has_stats = attrs->want_stats;
    WISP_TRY(cuda_filter_make(device, request->in[3], y->dtype, &s->filter, err));
    WISP_TRY(cuda_function(device, "conv_norm_moments", &s->moments, err));
    WISP_TRY(make_graph(device, request, s, err));
    s->at_weight = cuda_book(&total, s->filter.bytes);
    s->at_scale = cuda_book(&total, (size_t)s->n_read * sizeof(float));
    s->at_shift = cuda_book(&total, (size_t)s->n_read * sizeof(float));
    s->at_sum = cuda_book(&total, (size_t)s->channels * sizeof(float));
    s->at_squares = cuda_book(&total, (size_t)s->channels * sizeof(float));
    s->at_work = cuda_book(&total, s->graph.choice.workspace_bytes);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

/* Channels in units of 16 bytes and one group are what cuDNN asks of graphs like this. */
static wisp_status check(const wisp_kernel_request *request, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    if (x->dtype != WISP_BF16)
        return wisp_refuse(request, err, "fused: needs bf16");
    if (attrs->conv.groups != 1 || x->shape[3] % UNIT || y->shape[3] % UNIT)
        return wisp_refuse(request, err, "fused: needs one group, and channels in eights");
    if (!attrs->want_stats && !(request->in[1] && request->in[1]->dtype))
        return wisp_refuse(request, err, "fused: there is nothing to fuse");
    return WISP_OK;
}

static wisp_status prepare(cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    WISP_TRY(check(request, err));
    WISP_TRY(
        cuda_kernel_create(device, "cudnn_fused", run, sizeof(fused_state), destroy, &made, err));
    return cuda_kernel_finish(made, fill(device, request, made, err), kernel);
}

const cuda_kernel_entry cuda_conv_fused_kernels[] = {
    {"conv_norm", prepare},
    {NULL, NULL},
};
