/* cpu_conv_norm.c - which kernel serves a conv_norm. */
#include "cpu_conv_norm.h"

CPU_INLINE int is_depthwise(const wisp_conv2d_attrs *a, const wisp_desc *w)
{
    return a->groups == w->shape[0] && w->shape[1] == 1 && w->shape[2] == 3 && w->shape[3] == 3 &&
           a->pad_h == 1 && a->pad_w == 1 && a->stride_h == a->stride_w && a->stride_h <= 2 &&
           a->dilation_h == 1 && a->dilation_w == 1;
}

CPU_PREPARE(conv_norm)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[CPU_FWD_X];
    CPU_NEED(cpu_is_float(x), "x needs f32 or bf16");
    if (attrs->conv.groups > 1) {
        CPU_NEED(is_depthwise(&attrs->conv, request->in[CPU_FWD_W]),
                 "grouped windows need one channel a group, 3x3 pixels, padding 1, stride 1 or 2");
        return CPU_VECTOR_NAME(conv_norm_depth)(device, request, kernel, err);
    }
    return CPU_VECTOR_NAME(conv_norm_point)(device, request, kernel, err);
}

CPU_PREPARE(conv_norm_grad)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[CPU_GRAD_X];
    CPU_NEED(cpu_is_float(x), "x needs f32 or bf16");
    if (attrs->conv.groups > 1) {
        CPU_NEED(is_depthwise(&attrs->conv, request->in[CPU_GRAD_W]),
                 "grouped windows need one channel a group, 3x3 pixels, padding 1, stride 1 or 2");
        return CPU_VECTOR_NAME(conv_norm_depth_grad)(device, request, kernel, err);
    }
    return CPU_VECTOR_NAME(conv_norm_point_grad)(device, request, kernel, err);
}
