/* cuda_conv.c - convolutions and their gradients by cuDNN, maps as they are (channels last).
 *
 * In bf16 the gradient of the weight is made in bf16, from sums in f32, and widened: cuDNN's
 * engines for f32 results are few. Biases and their gradients are passes of our own. */
#include "cuda_column_sum.h"
#include "cuda_empty.h"
#include "cuda_filter.h"
#include "cuda_table.h"
#include "kernels/filter.h"

enum { X = 1, W = 2, Y = 3 };

typedef struct conv_state {
    cuda_graph graph;
    cuda_filter filter;
    cuda_column_sum bias_sum;
    CUfunction add_bias;
    int64_t rows, channels; /* of y */
    int32_t has_bias, has_sum;
    size_t at_weight, at_work;
} conv_state;

static void destroy(cuda_device *device, void *state)
{
    (void)device;
    cuda_graph_free(&((conv_state *)state)->graph);
}

static wisp_status run_graph(const conv_state *s, const void *x, const void *w, const void *y,
                             void *scratch, wisp_error *err)
{
    const int64_t ids[] = {X, W, Y};
    const void *data[] = {x, w, y};
    void *memory[3];
    memcpy(memory, data, sizeof memory); /* cuDNN knows what it may write to */
    return cuda_graph_run(&s->graph, 3, ids, memory, cuda_part(scratch, s->at_work), err);
}

static wisp_status read_weight(const cuda_device *device, const conv_state *s, void *scratch,
                               const void **w, wisp_error *err)
{
    if (s->filter.is_direct)
        return WISP_OK;
    void *copy = cuda_part(scratch, s->at_weight);
    WISP_TRY(cuda_filter_read(device, &s->filter, *w, copy, err));
    *w = copy;
    return WISP_OK;
}

/* --- runs --- */

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const conv_state *s = kernel->state;
    const void *w = in[1].data;
    WISP_TRY(read_weight(device, s, scratch, &w, err));
    WISP_TRY(run_graph(s, in[0].data, w, out[0].data, scratch, err));
    if (!s->has_bias)
        return WISP_OK;
    const filter_bias_args args = {
        .bias = in[2].data, .y = out[0].data, .rows = s->rows, .columns = s->channels};
    return cuda_launch(device, s->add_bias, cuda_grid_over(device, s->rows * s->channels, 4), &args,
                       err);
}

static wisp_status grad_input_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const conv_state *s = kernel->state;
    const void *w = in[1].data;
    WISP_TRY(read_weight(cuda_kernel_device(kernel), s, scratch, &w, err));
    return run_graph(s, out[0].data, w, in[0].data, scratch, err);
}

static wisp_status grad_weight_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const conv_state *s = kernel->state;
    const void *dy = in[1].data;
    const int direct = s->filter.is_direct && !s->has_sum;
    void *dw = direct ? out[0].data : cuda_part(scratch, s->at_weight);
    WISP_TRY(run_graph(s, in[0].data, dw, dy, scratch, err));
    if (!direct)
        WISP_TRY(cuda_filter_write(device, &s->filter, dw, out[0].data, s->has_sum, err));
    if (!s->has_bias)
        return WISP_OK;
    return cuda_column_sum_run(device, &s->bias_sum, dy, NULL, out[1].data,
                               cuda_part(scratch, s->at_work), err);
}

/* --- preparation --- */

static int is_there(const wisp_desc *const *descs, int32_t n, int32_t i)
{
    return i < n && descs[i] && descs[i]->dtype;
}

/* x and y as maps, w as weights; `direction` says which of them is the result. */
static wisp_status make_graph(cuda_device *device, const wisp_kernel_request *request,
                              int32_t direction, const wisp_desc *x, const wisp_desc *w,
                              const wisp_desc *y, conv_state *s, wisp_error *err)
{
    cuda_graph *g = &s->graph;
    WISP_TRY(cuda_filter_make(device, w, x->dtype, &s->filter, err));
    const cuda_graph_tensor tx = cuda_map_tensor(X, x), ty = cuda_map_tensor(Y, y);
    const cuda_graph_tensor tw = cuda_filter_tensor(W, w, &s->filter);
    const cuda_graph_rules rules = cuda_conv_rules(device, request, x->dtype);
    wisp_error reason = {0};
    cuda_graph_begin(g, device);
    cudnnBackendDescriptor_t dx = cuda_graph_add_tensor(g, &tx);
    cudnnBackendDescriptor_t dw = cuda_graph_add_tensor(g, &tw);
    cudnnBackendDescriptor_t dy = cuda_graph_add_tensor(g, &ty);
    cuda_graph_add_conv(g, direction, request->attrs, dx, dw, dy);
    const wisp_status status = cuda_graph_plan(g, &rules, &reason);
    if (status == WISP_E_UNSUPPORTED)
        return wisp_refuse(request, err, "%s", reason.message);
    s->rows = y->shape[0] * y->shape[1] * y->shape[2];
    s->channels = y->shape[3];
    return status == WISP_OK ? WISP_OK : wisp_fail(err, status, "%s", reason.message);
}

static void book(wisp_kernel *made, size_t other_work)
{
    conv_state *s = made->state;
    const size_t work = s->graph.choice.workspace_bytes;
    size_t total = 0;
    s->at_weight = cuda_book(&total, s->filter.is_direct && !s->has_sum ? 0 : s->filter.bytes);
    s->at_work = cuda_book(&total, work > other_work ? work : other_work);
    made->scratch_bytes = cuda_booked(total);
}

static wisp_status forward_fill(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel *made, wisp_error *err)
{
    conv_state *s = made->state;
    const wisp_desc *y = request->out[0];
    s->has_bias = is_there(request->in, request->n_in, 2);
    WISP_TRY(cuda_function_for(device, "filter_bias", y->dtype, &s->add_bias, err));
    WISP_TRY(
        make_graph(device, request, CUDA_CONV_FORWARD, request->in[0], request->in[1], y, s, err));
    book(made, 0);
    return WISP_OK;
}

static wisp_status grad_input_fill(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel *made, wisp_error *err)
{
    WISP_TRY(make_graph(device, request, CUDA_CONV_INPUT, request->out[0], request->in[1],
                        request->in[0], made->state, err));
    book(made, 0);
    return WISP_OK;
}

static wisp_status grad_weight_fill(cuda_device *device, const wisp_kernel_request *request,
                                    wisp_kernel *made, wisp_error *err)
{
    conv_state *s = made->state;
    const wisp_conv2d_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[1];
    s->has_bias = attrs->want_bias;
    s->has_sum = is_there(request->in, request->n_in, 2);
    WISP_TRY(
        make_graph(device, request, CUDA_CONV_WEIGHT, request->in[0], request->out[0], dy, s, err));
    if (s->has_bias)
        WISP_TRY(cuda_column_sum_make(device, dy->dtype, s->rows, s->channels, &s->bias_sum, err));
    book(made, s->bias_sum.scratch_bytes);
    return WISP_OK;
}

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_status (*fill)(cuda_device *, const wisp_kernel_request *,
                                            wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    if (wisp_request_is_empty(request))
        return cuda_empty_create(device, request, kernel, err);
    WISP_TRY(cuda_kernel_create(device, "cudnn", run, sizeof(conv_state), destroy, &made, err));
    return cuda_kernel_finish(made, fill(device, request, made, err), kernel);
}

static wisp_status forward_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, forward_run, forward_fill, kernel, err);
}

static wisp_status grad_input_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, grad_input_run, grad_input_fill, kernel, err);
}

static wisp_status grad_weight_prepare(cuda_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, grad_weight_run, grad_weight_fill, kernel, err);
}

const cuda_kernel_entry cuda_conv_kernels[] = {
    {"conv2d", forward_prepare},
    {"conv2d_grad_input", grad_input_prepare},
    {"conv2d_grad_weight", grad_weight_prepare},
    {NULL, NULL},
};
