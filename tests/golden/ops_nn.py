"""Cases of layers: convolution, products, normalisation, pooling, attention, resizing.

Gradients come from autograd, for a random gradient dy of the result.
"""

import torch
import torch.nn.functional as F

from make_ops_golden import nchw, nhwc, seed, values


def leaf(x):
    return None if x is None else x.clone().requires_grad_()


def conv2d(add, name, x_shape, w_shape, bias=True, stride=(1, 1), pad=(0, 0), dilation=(1, 1),
           groups=1):
    seed("conv2d " + name)
    x, w = leaf(values(*x_shape)), leaf(values(*w_shape))
    b = leaf(values(w_shape[0])) if bias else None
    y = nhwc(F.conv2d(nchw(x), w, b, stride, pad, dilation, groups))
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {"stride_h": stride[0], "stride_w": stride[1], "pad_h": pad[0], "pad_w": pad[1],
             "dilation_h": dilation[0], "dilation_w": dilation[1], "groups": groups}
    add("conv2d", name, attrs, [x, w, b], [y])
    add("conv2d_grad_input", name, {**attrs, "in_h": x_shape[1], "in_w": x_shape[2]}, [dy, w],
        [x.grad])
    add("conv2d_grad_weight", name, {**attrs, "kernel_h": w_shape[2], "kernel_w": w_shape[3],
                                     "want_bias": int(bias)},
        [x, dy], [w.grad, b.grad if bias else None])
    so_far = values(*w.shape)
    add("conv2d_grad_weight", name + "_sum", {**attrs, "kernel_h": w_shape[2],
                                              "kernel_w": w_shape[3]},
        [x, dy, so_far], [so_far + w.grad, None], inout={0: 2})


def linear(add, name, x_shape, n_out, bias=True, gelu=False):
    seed("linear " + name)
    x, w = leaf(values(*x_shape)), leaf(values(n_out, x_shape[-1]))
    b = leaf(values(n_out)) if bias else None
    y = F.linear(F.gelu(x) if gelu else x, w, b)
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {"activation": 3} if gelu else {}
    add("linear", name, attrs, [x, w, b], [y])
    add("linear_grad_input", name, attrs, [dy, w] + ([x] if gelu else []), [x.grad])
    add("linear_grad_weight", name, {**attrs, "want_bias": int(bias)}, [x, dy],
        [w.grad, b.grad if bias else None])


def matmul(add, name, a_shape, b_shape, transpose_a=False, transpose_b=False, alpha=1.0):
    seed("matmul " + name)
    a, b = values(*a_shape), values(*b_shape)
    y = alpha * torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)
    add("matmul", name, {"transpose_a": int(transpose_a), "transpose_b": int(transpose_b),
                         "alpha": alpha}, [a, b], [y])


ACTIVATIONS = {"none": (0, lambda v: v), "relu": (1, F.relu), "relu6": (2, F.relu6)}


def batch_norm(add, name, shape, activation="none", residual=False, affine=True, training=True):
    """y = act(BN(x) + residual), in training mode with running statistics."""
    seed("batch_norm " + name)
    channels, count = shape[-1], torch.Size(shape[:-1]).numel()
    code, act = ACTIVATIONS[activation]
    x = leaf(values(*shape, low=-2, high=3))
    gamma = leaf(values(channels, low=2, high=4)) if affine else None
    beta = leaf(values(channels, low=-1, high=4)) if affine else None
    r = leaf(values(*shape, low=-2, high=4)) if residual else None
    running_mean, running_var = values(channels), values(channels, low=0.5, high=2)
    before = running_mean.clone(), running_var.clone()
    v = F.batch_norm(x.movedim(-1, 1), running_mean, running_var, gamma, beta, training, 0.1, 1e-5)
    y = act(v.movedim(1, -1) + (r if residual else 0))
    assert code < 1 or (y == 0).any()
    assert code < 2 or (y == 6).any()
    dy = values(*shape)
    y.backward(dy)
    rows = x.detach().reshape(-1, channels)
    mean, var = (rows.mean(0), rows.var(0, unbiased=False)) if training else before
    attrs = {"eps": 1e-5, "activation": code, "count": count if training else 0}
    add("batch_norm", name, attrs, [x, mean, var, gamma, beta, r], [y])
    if training:
        add("channel_stats", name, {}, [x], [mean, var])
        add("running_update", name, {"momentum": 0.1, "count": count}, [mean, var, *before],
            [running_mean, running_var], inout={0: 2, 1: 3})
    kept = y if code else None
    # Without parameters autograd gives no sums; they are those of parameters 1 and 0.
    if affine:
        sums = beta.grad, gamma.grad
        add("batch_norm_grad_stats", name, attrs, [dy, x, kept, mean, var], list(sums))
    else:
        xhat = (rows - mean) / (var + 1e-5).sqrt()
        sums = dy.reshape(-1, channels).sum(0), (dy.reshape(-1, channels) * xhat).sum(0)
    add("batch_norm_grad_input", name, {**attrs, "want_residual": int(residual)},
        [dy, x, kept, mean, var, gamma, *sums], [x.grad, r.grad if residual else None])


def conv_norm(add, name, x_shape, w_shape, activation="none", scaled=True, stride=1, pad=0,
              groups=1):
    """y = conv2d(act(x * scale + shift)), its statistics, and the gradient through all three."""
    seed("conv_norm " + name)
    code, act = ACTIVATIONS[activation]
    x, w = leaf(values(*x_shape, low=-4, high=4)), leaf(values(*w_shape))
    scale = leaf(values(x_shape[-1], low=0.5, high=2)) if scaled else None
    shift = leaf(values(x_shape[-1], low=-1, high=4)) if scaled else None
    a = act(x * scale + shift) if scaled else x
    assert code < 1 or (a == 0).any()
    assert code < 2 or (a == 6).any()
    y = nhwc(F.conv2d(nchw(a), w, None, stride, pad, 1, groups))
    rows = y.reshape(-1, w_shape[0])
    mean, var = rows.mean(0), rows.var(0, unbiased=False)
    dy, dmean, dvar = values(*y.shape), values(w_shape[0], low=-9, high=9), \
        values(w_shape[0], low=-9, high=9)
    torch.autograd.backward([y, mean, var], [dy, dmean, dvar])
    attrs = {"conv.stride_h": stride, "conv.stride_w": stride, "conv.pad_h": pad,
             "conv.pad_w": pad, "conv.dilation_h": 1, "conv.dilation_w": 1, "conv.groups": groups,
             "activation": code}
    add("conv_norm", name, {**attrs, "want_stats": 1}, [x, scale, shift, w], [y, mean, var])
    add("conv_norm_grad", name, {**attrs, "want_grads": 3},
        [dy, y, mean, dmean, dvar, x, scale, shift, w],
        [x.grad, scale.grad if scaled else None, shift.grad if scaled else None, w.grad])


def norm_scale(add, name, channels, affine=True):
    seed("norm_scale " + name)
    mean, var = leaf(values(channels)), leaf(values(channels, low=0.2, high=2))
    gamma, beta = (leaf(values(channels)), leaf(values(channels))) if affine else (None, None)
    ends = torch.stack([torch.zeros(channels), torch.ones(channels)]).double()
    ends = F.batch_norm(ends, mean.detach(), var.detach(), gamma, beta, False, 0.1, 1e-5).detach()
    scale = (gamma if affine else 1) / (var + 1e-5).sqrt()
    shift = (beta if affine else 0) - mean * scale
    dscale, dshift = values(channels), values(channels)
    torch.autograd.backward([scale, shift], [dscale, dshift])
    add("norm_scale", name, {"eps": 1e-5}, [mean, var, gamma, beta], [ends[1] - ends[0], ends[0]])
    add("norm_scale_grad", name, {"eps": 1e-5}, [dscale, dshift, mean, var, gamma],
        [mean.grad, var.grad, gamma.grad if affine else None, beta.grad if affine else None])


def layer_norm(add, name, shape, affine=True):
    seed("layer_norm " + name)
    x = leaf(values(*shape, low=-2, high=3))
    gamma = leaf(values(shape[-1], low=1, high=3)) if affine else None
    beta = leaf(values(shape[-1])) if affine else None
    y = F.layer_norm(x, (shape[-1],), gamma, beta, 1e-6)
    dy = values(*shape)
    y.backward(dy)
    mean = x.detach().mean(-1)
    rstd = 1 / (x.detach().var(-1, unbiased=False) + 1e-6).sqrt()
    add("layer_norm", name, {"eps": 1e-6}, [x, gamma, beta], [y, mean, rstd])
    add("layer_norm_grad", name, {"eps": 1e-6, "want_affine": int(affine)},
        [dy, x, gamma, mean, rstd],
        [x.grad, gamma.grad if affine else None, beta.grad if affine else None])


def window_index(flat, x_shape, kernel, stride, pad):
    """PyTorch's flat position in the map -> position inside the window, (N,C,h,w) both."""
    i = torch.arange(flat.shape[2]).view(1, 1, -1, 1)
    j = torch.arange(flat.shape[3]).view(1, 1, 1, -1)
    ky = flat // x_shape[2] - (i * stride[0] - pad[0])
    kx = flat % x_shape[2] - (j * stride[1] - pad[1])
    return ky * kernel[1] + kx


def pool_attrs(kernel, stride, pad):
    return {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0],
            "stride_w": stride[1], "pad_h": pad[0], "pad_w": pad[1]}


def max_pool(add, name, shape, kernel, stride, pad, low=-1.0, levels=None):
    seed("max_pool " + name)
    x = values(*shape, low=low, high=1.0 if low > -2 else -1.0)
    if levels:  # many equal values: the first one must win
        x = torch.floor(x * levels) / levels
    x = leaf(x)
    y, flat = F.max_pool2d(nchw(x), kernel, stride, pad, return_indices=True)
    y = nhwc(y)
    dy = values(*y.shape)
    y.backward(dy)
    index = nhwc(window_index(flat, shape, kernel, stride, pad)).to(torch.uint8)
    attrs = pool_attrs(kernel, stride, pad)
    add("max_pool", name, attrs, [x], [y, index])
    add("max_pool_grad", name, {**attrs, "in_h": shape[1], "in_w": shape[2]}, [dy, index],
        [x.grad])


def avg_pool(add, name, shape, kernel, stride, pad, include_padding=False):
    seed("avg_pool " + name)
    x = leaf(values(*shape))
    y = nhwc(F.avg_pool2d(nchw(x), kernel, stride, pad, count_include_pad=include_padding))
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {**pool_attrs(kernel, stride, pad), "include_padding": int(include_padding)}
    add("avg_pool", name, attrs, [x], [y])
    add("avg_pool_grad", name, {**attrs, "in_h": shape[1], "in_w": shape[2]}, [dy], [x.grad])


def attend(q, k, v, heads, scale):
    """(B,T,C) each -> y (B,Tq,C), lse (B,heads,Tq)"""
    q, k, v = (t.reshape(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)
    return y, torch.logsumexp(scale * (q @ k.mT), -1)


def attention(add, name, batch, n_queries, n_keys, channels, heads, scale):
    seed("attention " + name)
    q = leaf(values(batch, n_queries, channels, low=-2, high=2))
    k, v = (leaf(values(batch, n_keys, channels, low=-2, high=2)) for _ in range(2))
    y, lse = attend(q, k, v, heads, scale)
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {"heads": heads, "scale": scale}
    add("attention", name, attrs, [q, k, v], [y, lse])
    add("attention_grad", name, attrs, [dy, q, k, v, y, lse], [q.grad, k.grad, v.grad])


def self_attention(add, name, batch, tokens, channels, heads, scale):
    seed("self_attention " + name)
    qkv = leaf(values(batch, tokens, 3 * channels, low=-2, high=2))
    y, lse = attend(*qkv.split(channels, -1), heads, scale)
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {"heads": heads, "scale": scale}
    add("self_attention", name, attrs, [qkv], [y, lse])
    add("self_attention_grad", name, attrs, [dy, qkv, y, lse], [qkv.grad])


def resize_bicubic(add, name, shape, size=None, factor=None):
    """To a size, or by a factor whose exact value also places the pixels."""
    seed("resize_bicubic " + name)
    x = leaf(values(*shape))
    if factor:
        y = F.interpolate(nchw(x), scale_factor=factor, mode="bicubic", align_corners=False,
                          recompute_scale_factor=False)
    else:
        y = F.interpolate(nchw(x), size=size, mode="bicubic", align_corners=False)
    y = nhwc(y)
    dy = values(*y.shape)
    y.backward(dy)
    attrs = {"out_h": y.shape[1], "out_w": y.shape[2]}
    if factor:
        attrs.update(scale_h=1 / factor[0], scale_w=1 / factor[1])
    add("resize_bicubic", name, attrs, [x], [y])
    add("resize_bicubic_grad", name, {**attrs, "in_h": shape[1], "in_w": shape[2]}, [dy], [x.grad])


def cases(add):
    conv2d(add, "odd", (2, 7, 5, 3), (5, 3, 3, 3), pad=(1, 1))
    conv2d(add, "pointwise", (2, 3, 5, 7), (11, 7, 1, 1), bias=False)
    conv2d(add, "stem", (1, 15, 13, 3), (4, 3, 7, 7), bias=False, stride=(2, 2), pad=(3, 3))
    conv2d(add, "unequal_sides", (2, 10, 12, 2), (3, 2, 2, 3), stride=(2, 3), pad=(0, 2),
           dilation=(1, 2))
    conv2d(add, "dilated", (1, 9, 9, 4), (4, 4, 3, 3), pad=(3, 3), dilation=(3, 3))
    conv2d(add, "grouped", (2, 5, 6, 6), (9, 2, 3, 3), pad=(1, 1), groups=3)
    conv2d(add, "depthwise", (2, 7, 6, 13), (13, 1, 3, 3), bias=False, stride=(2, 2), pad=(1, 1),
           groups=13)
    conv2d(add, "depthwise_doubled", (1, 4, 5, 3), (6, 1, 3, 3), pad=(1, 1), groups=3)

    linear(add, "odd", (7, 13), 5)
    linear(add, "no_bias", (3, 17), 19, bias=False)
    linear(add, "tokens", (2, 5, 16), 11)
    linear(add, "one_row", (23,), 1)
    linear(add, "gelu", (2, 5, 17), 9, gelu=True)

    matmul(add, "odd", (7, 13), (13, 5))
    matmul(add, "transposed_a", (3, 5, 7), (3, 5, 2), transpose_a=True, alpha=0.5)
    matmul(add, "transposed_b", (2, 3, 4, 7), (2, 3, 9, 7), transpose_b=True, alpha=-2.0)
    matmul(add, "both_transposed", (2, 6, 3), (2, 5, 6), transpose_a=True, transpose_b=True)
    matmul(add, "one_b", (3, 2, 5), (5, 11))
    matmul(add, "one_b_transposed", (3, 2, 5), (7, 5), transpose_b=True, alpha=3.0)

    conv_norm(add, "pointwise", (2, 3, 5, 7), (11, 7, 1, 1), activation="relu6")
    conv_norm(add, "depthwise", (2, 7, 6, 5), (5, 1, 3, 3), activation="relu6", pad=1, groups=5)
    conv_norm(add, "depthwise_stride", (2, 7, 6, 5), (5, 1, 3, 3), activation="relu", stride=2,
              pad=1, groups=5)
    conv_norm(add, "plain_input", (2, 5, 4, 3), (6, 3, 3, 3), scaled=False, stride=2, pad=1)
    norm_scale(add, "affine", 9)
    norm_scale(add, "not_affine", 4, affine=False)
    batch_norm(add, "map", (3, 4, 5, 7))
    batch_norm(add, "relu", (2, 3, 5, 13), activation="relu")
    batch_norm(add, "relu6", (3, 4, 4, 5), activation="relu6")
    batch_norm(add, "residual", (2, 3, 3, 5), residual=True)
    batch_norm(add, "residual_relu", (2, 4, 3, 8), activation="relu", residual=True)
    batch_norm(add, "residual_relu6", (2, 4, 3, 8), activation="relu6", residual=True)
    batch_norm(add, "rows_not_affine", (11, 7), affine=False)
    batch_norm(add, "two_values", (2, 3))
    batch_norm(add, "evaluation", (2, 3, 5, 7), training=False)
    batch_norm(add, "evaluation_residual_relu", (2, 3, 3, 5), activation="relu", residual=True,
               training=False)

    layer_norm(add, "tokens", (2, 5, 24))
    layer_norm(add, "odd", (7, 13))
    layer_norm(add, "not_affine", (3, 17), affine=False)

    max_pool(add, "stem", (2, 9, 8, 3), (3, 3), (2, 2), (1, 1))
    max_pool(add, "tiles", (2, 7, 5, 3), (2, 2), (2, 2), (0, 0))
    max_pool(add, "all_negative", (1, 4, 4, 3), (3, 3), (1, 1), (1, 1), low=-3.0)
    max_pool(add, "equal_values", (2, 6, 6, 3), (3, 3), (2, 2), (1, 1), levels=2)
    max_pool(add, "unequal_sides", (2, 5, 7, 4), (2, 3), (1, 2), (1, 0))

    avg_pool(add, "odd", (2, 7, 5, 3), (3, 3), (2, 2), (1, 1))
    avg_pool(add, "padding_counts", (2, 7, 5, 3), (3, 3), (2, 2), (1, 1), include_padding=True)
    avg_pool(add, "whole_map", (2, 7, 7, 5), (7, 7), (1, 1), (0, 0))
    avg_pool(add, "unequal_sides", (2, 5, 7, 4), (2, 3), (1, 2), (1, 0))

    attention(add, "odd", 2, 5, 7, 14, 2, 0.4)
    attention(add, "one_key", 2, 3, 1, 4, 2, 1.0)
    attention(add, "large_scores", 1, 4, 6, 8, 1, 30.0)
    self_attention(add, "odd", 2, 5, 14, 2, 0.4)
    self_attention(add, "three_heads", 1, 9, 24, 3, 8 ** -0.5)

    resize_bicubic(add, "smaller", (2, 7, 8, 3), size=(3, 5))
    resize_bicubic(add, "larger", (1, 4, 5, 3), size=(9, 11))
    resize_bicubic(add, "from_one_pixel", (1, 1, 1, 2), size=(2, 3))
    for n in (6, 8):
        resize_bicubic(add, f"positions_{n}", (1, 14, 14, 2), factor=((n + 0.1) / 14,) * 2)
