/* cpu_conv.c - convolution and its two gradients through oneDNN.
 *
 * Maps stay as they lie, (N,H,W,C). Weights are packed into the format and type that oneDNN asks
 * for; the gradient of the weights comes out in such a format too and is brought back to
 * (O,C/g,kh,kw). */
#include "cpu_bias_grad.h"
#include "cpu_empty.h"
#include "cpu_pack.h"
#include "kernel_table.h"

typedef struct conv_state {
    cpu_primitive conv;
    cpu_packer packer;    /* forward, grad_input */
    cpu_primitive unpack; /* grad_weight: from oneDNN's format; empty where dw is written plain */
    cpu_bias_grad bias;   /* grad_weight, where wanted */
    size_t after_conv;    /* offset in scratch of what is not oneDNN's */
    size_t after_packed;  /* grad_weight: offset of the reorder's and the bias's scratch */
} conv_state;

static void destroy(cpu_device *device, void *state)
{
    (void)device;
    conv_state *s = state;
    cpu_primitive_destroy(&s->unpack);
    cpu_packer_destroy(&s->packer);
    cpu_primitive_destroy(&s->conv);
}

/* (O,C/g,kh,kw) as oneDNN wants it: with groups, (g,O/g,C/g,kh,kw), which is the same memory. */
static cpu_layout weights_layout(const int64_t *w, int32_t groups, int32_t dtype)
{
    if (groups == 1)
        return cpu_layout_plain(dtype, 4, w);
    int64_t grouped[] = {groups, w[0] / groups, w[1], w[2], w[3]};
    return cpu_layout_plain(dtype, 5, grouped);
}

static cpu_window window_of(const wisp_conv2d_attrs *a)
{
    cpu_window w = {
        {a->stride_h, a->stride_w}, {a->pad_h, a->pad_w}, {a->dilation_h, a->dilation_w}};
    return w;
}

static int has_out(const wisp_kernel_request *request, int32_t i)
{
    return i < request->n_out && request->out[i] && request->out[i]->dtype;
}

/* --- conv2d, conv2d_grad_input --- */

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    conv_state *s = kernel->state;
    WISP_TRY(cpu_packer_bind(device, &s->packer, &in[1], &s->conv, (char *)scratch + s->after_conv,
                             err));
    cpu_primitive_bind(&s->conv, CPU_SRC, in[0].data);
    cpu_primitive_bind(&s->conv, CPU_DST, out[0].data);
    if (s->conv.slot[CPU_BIAS] >= 0)
        cpu_primitive_bind(&s->conv, CPU_BIAS, in[2].data);
    return cpu_primitive_run(device, &s->conv, scratch, err);
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    conv_state *s = kernel->state;
    WISP_TRY(cpu_packer_bind(device, &s->packer, &in[1], &s->conv, (char *)scratch + s->after_conv,
                             err));
    cpu_primitive_bind(&s->conv, CPU_DST, in[0].data);
    cpu_primitive_bind(&s->conv, CPU_SRC, out[0].data);
    return cpu_primitive_run(device, &s->conv, scratch, err);
}

/* What the two passes that read weights have in common. `x` and `y` are the maps of the forward
 * call. */
static wisp_status plan_with_weights(cpu_device *device, const wisp_kernel_request *request,
                                     int32_t pass, const wisp_desc *x, const wisp_desc *y,
                                     wisp_kernel *kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    conv_state *s = kernel->state;
    cpu_window window = window_of(a);
    cpu_layout src = cpu_layout_map(x), dst = cpu_layout_map(y);
    cpu_layout plain = weights_layout(request->in[1]->shape, a->groups, WISP_F32);
    cpu_layout weights = cpu_layout_any(plain, x->dtype);
    cpu_layout bias = cpu_layout_plain(WISP_F32, 1, &y->shape[3]);
    int has_bias = pass == CPU_FORWARD && request->n_in > 2 && request->in[2];
    dnnl_status_t status = cpu_make_convolution(device, pass, &src, &weights,
                                                has_bias ? &bias : NULL, &dst, &window, &s->conv);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "convolution", err);
    status = cpu_packer_create(device, &plain, cpu_primitive_md(&s->conv, CPU_WEIGHTS), &s->packer);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "reorder of the weights", err);
    s->after_conv = cpu_align64(s->conv.scratch_bytes);
    kernel->scratch_bytes = s->after_conv + s->packer.scratch_bytes;
    kernel->implementation = cpu_primitive_info(&s->conv);
    return WISP_OK;
}

static wisp_status prepare_with_weights(cpu_device *device, const wisp_kernel_request *request,
                                        int32_t pass, cpu_run run, wisp_kernel **kernel,
                                        wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    int forward = pass == CPU_FORWARD;
    const wisp_desc *x = forward ? request->in[0] : request->out[0];
    const wisp_desc *y = forward ? request->out[0] : request->in[0];
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "onednn", run, sizeof(conv_state), destroy, &made, err));
    wisp_status status = plan_with_weights(device, request, pass, x, y, made, err);
    if (status != WISP_OK)
        made->release(made);
    else
        *kernel = made;
    return status;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return prepare_with_weights(device, request, CPU_FORWARD, run_forward, kernel, err);
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    return prepare_with_weights(device, request, CPU_BACKWARD_DATA, run_grad_input, kernel, err);
}

/* --- conv2d_grad_weight --- */

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    cpu_device *device = cpu_kernel_device(kernel);
    conv_state *s = kernel->state;
    char *packed = (char *)scratch + s->after_conv, *rest = (char *)scratch + s->after_packed;
    int plain = !s->unpack.primitive;
    cpu_primitive_bind(&s->conv, CPU_SRC, in[0].data);
    cpu_primitive_bind(&s->conv, CPU_DST, in[1].data);
    cpu_primitive_bind(&s->conv, CPU_WEIGHTS, plain ? out[0].data : packed);
    WISP_TRY(cpu_primitive_run(device, &s->conv, scratch, err));
    if (!plain) {
        cpu_primitive_bind(&s->unpack, CPU_SRC, packed);
        cpu_primitive_bind(&s->unpack, CPU_DST, out[0].data);
        WISP_TRY(cpu_primitive_run(device, &s->unpack, rest, err));
    }
    if (s->bias.columns)
        cpu_bias_grad_run(device, &s->bias, in[1].data, out[1].data, rest);
    return WISP_OK;
}

/* oneDNN 2.6's jit_1x1:avx2 reckons its scratch memory for the channels there are and writes it for
 * their number rounded up to 8, where a stride makes it gather pixels first. */
static size_t conv_scratch(const wisp_kernel_request *request, const conv_state *s)
{
    const size_t channels = (size_t)request->out[0]->shape[1];
    const size_t rounded = (channels + 7) / 8 * 8;
    return cpu_align64((s->conv.scratch_bytes * rounded + channels - 1) / channels);
}

static wisp_status plan_unpack(cpu_device *device, const wisp_kernel_request *request,
                               const cpu_layout *plain, conv_state *s, wisp_error *err)
{
    cpu_md made = cpu_primitive_md(&s->conv, CPU_WEIGHTS);
    s->after_conv = conv_scratch(request, s);
    s->after_packed = s->after_conv;
    const int adds = request->n_in > 2 && request->in[2];
    if (!adds && cpu_md_is(made, plain))
        return WISP_OK;
    s->after_packed += cpu_align64(dnnl_memory_desc_get_size(made));
    dnnl_status_t status = adds ? cpu_make_reorder_add(device, NULL, made, plain, &s->unpack)
                                : cpu_make_reorder(device, NULL, made, plain, NULL, &s->unpack);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "reorder of the weights' gradient", err);
    return WISP_OK;
}

static wisp_status plan_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                    wisp_kernel *kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *a = request->attrs;
    conv_state *s = kernel->state;
    cpu_window window = window_of(a);
    cpu_layout src = cpu_layout_map(request->in[0]), dst = cpu_layout_map(request->in[1]);
    cpu_layout plain = weights_layout(request->out[0]->shape, a->groups, WISP_F32);
    cpu_layout weights = cpu_layout_any(plain, WISP_F32);
    dnnl_status_t status = cpu_make_convolution(device, CPU_BACKWARD_WEIGHTS, &src, &weights, NULL,
                                                &dst, &window, &s->conv);
    if (status != dnnl_success)
        return cpu_onednn_fail(request, status, "gradient of a convolution's weights", err);
    WISP_TRY(plan_unpack(device, request, &plain, s, err));
    size_t rest = s->unpack.scratch_bytes;
    if (a->want_bias && has_out(request, 1)) {
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
        rest = rest > s->bias.scratch_bytes ? rest : s->bias.scratch_bytes;
    }
    kernel->scratch_bytes = s->after_packed + rest;
    kernel->implementation = cpu_primitive_info(&s->conv);
    return WISP_OK;
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return cpu_empty_create(device, request, kernel, err);
    wisp_kernel *made;
    WISP_TRY(cpu_kernel_create(device, "onednn", run_grad_weight, sizeof(conv_state), destroy,
                               &made, err));
    wisp_status status = plan_grad_weight(device, request, made, err);
    if (status != WISP_OK)
        made->release(made);
    else
        *kernel = made;
    return status;
}

const cpu_kernel_entry cpu_conv_kernels[] = {
    {"conv2d", prepare_forward},
    {"conv2d_grad_input", prepare_grad_input},
    {"conv2d_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};
