/* kernels.h - the operations that a backend may be asked for: names, arguments, attributes.
 *
 * This is the contract between core/ops, which judges shapes and knows gradients, and the backends,
 * which only compute. Notation: T is f32 or bf16 (the activation type); parameters and statistics
 * are f32 whatever T is; `?` marks an argument that may be absent; `...` is any number of leading
 * dimensions. Outputs marked `inout` are updated in place. Accumulation is f32 (or wider) always.
 */
/* clang-format off */
/*
 *   name                     inputs -> outputs
 *   conv2d                   x T(N,H,W,C), w f32(O,C/g,kh,kw), bias? f32(O) -> y T(N,Ho,Wo,O)
 *   conv2d_grad_input        dy T, w -> dx T(N,H,W,C)                  (attrs.in_h, in_w give H, W)
 *   conv2d_grad_weight       x, dy, sum? f32(O,C/g,kh,kw) -> dw f32(O,C/g,kh,kw), dbias? f32(O);
 *                            with sum, which is dw: dw inout += the gradient
 *   linear                   x T(...,I), w f32|T(O,I), bias? f32(O) -> y T(...,O) = act(x) w' + bias
 *   linear_grad_input        dy T(...,O), w f32|T(O,I), x? T(...,I) -> dx T(...,I); times act's slope
 *                            at x, which is there when attrs.activation is not 0
 *   linear_grad_weight       x T(...,I), dy T(...,O) -> dw f32(O,I) = dy' act(x), dbias? f32(O)
 *   normed_linear            x T(...,I), v f32(O,I), g f32(O,1) -> y T(...,O), norm f32(O): linear
 *                            without a bias, of the weight that weight_norm makes of v and g
 *   normed_linear_grad_input dy T(...,O), v, g, norm -> dx T(...,I)
 *   normed_linear_grad_weight x T(...,I), dy T(...,O), y T(...,O), v, g, norm -> dv f32(O,I)
 *                            = g / norm dw - v (sum of dy y) / norm^2, dw the gradient of the weight
 *   matmul                   a T(...,M,K), b T(...,K,N) -> y T(...,M,N); same leading dimensions,
 *                            or b of rank 2; stored transposed where the attrs say so
 *   channel_stats            x T(...,C) -> mean f32(C), var f32(C)          (biased variance)
 *   batch_norm               x T(...,C), mean f32(C), var f32(C), gamma? f32(C), beta? f32(C),
 *                            residual? T(...,C) -> y T = act(norm(x) * gamma + beta + residual)
 *   batch_norm_grad_stats    dy T, x T, y? T, mean, var -> dbeta f32(C), dgamma f32(C), where dy is
 *                            first masked by act at y:  sum(dy), sum(dy * xhat)
 *   batch_norm_grad_input    dy T, x T, y? T, mean, var, gamma?, dbeta, dgamma -> dx T, dresidual? T
 *                            (masked dy); mean over attrs.count elements per channel, count 0:
 *                            statistics were constants (eval mode)
 *   running_update           mean f32(C), var f32(C), running_mean, running_var
 *                            -> running_mean inout, running_var inout      (unbiased variance)
 *   norm_scale               mean f32(C), var f32(C), gamma? f32(C), beta? f32(C)
 *                            -> scale f32(C), shift f32(C): norm(x) * gamma + beta = x * scale + shift
 *   norm_scale_grad          dscale, dshift, mean, var, gamma? -> dmean, dvar, dgamma, dbeta f32(C)
 *   conv_norm                x T(N,H,W,C), scale? f32(C), shift? f32(C), w f32(O,C/g,kh,kw)
 *                            -> y T = conv2d(act(x * scale + shift), w), mean? f32(O), var? f32(O)
 *                            of y                                           (biased variance)
 *   conv_norm_grad           dy T, y? T, mean?, dmean?, dvar?, x, scale?, shift?, w -> dx? T,
 *                            dscale? f32(C), dshift? f32(C), dw? f32(O,C/g,kh,kw); y and the three
 *                            behind it are there together or not at all
 *   layer_norm               x T(...,C), gamma? f32(C), beta? f32(C)
 *                            -> y T, mean f32(...), rstd f32(...)
 *   layer_norm_grad          dy, x, gamma?, mean, rstd -> dx T, dgamma? f32(C), dbeta? f32(C)
 *   unary                    x T -> y T                                     (attrs.kind, a, b)
 *   unary_grad               dy T, x T, y T -> dx T; looks at y for tanh, sigmoid, exp, sqrt, at x
 *                            for the others
 *   binary                   a, b -> y; numpy broadcasting; a 0-d f32 operand goes with any T
 *   reduce                   x T -> y T over attrs.axes (f32 when y is 0-d)
 *   reduce_max_grad          dy, x T -> dx T: dy at the first maximum, else 0; attrs of the reduce
 *   broadcast                x T -> y T to attrs.shape, times attrs.scale   (gradient of reduce)
 *   cast                     x -> y of attrs.dtype; to integers towards zero, within the type's
 *                            limits, NaN to 0
 *   fill                     -> y = attrs.value
 *   copy                     x -> y, same bytes (y may be a preset destination)
 *   accumulate               x T|f32, y -> y inout += x
 *   softmax                  x T(...,K), shift? f32(K), scale? f32()
 *                            -> y T|f32 = softmax((x - shift) * attrs.scale * scale), or its log
 *   softmax_grad             dy, y, scale? -> dx of dy's type              (no gradient for shift)
 *   cross_entropy            logits T(N,K), labels i64(N) -> loss f32(), lse f32(N); the mean over
 *                            N; a label outside 0..K-1 makes the loss NaN
 *   cross_entropy_grad       dloss f32(), logits, labels, lse -> dlogits T; such a row is NaN
 *   pair_cross_entropy       logits T(V*B,K), targets T|f32(G*B,K), weights f32(G,V)
 *                            -> loss f32(), pairs f32(G,V), lse f32(V*B). Row-major by view. With
 *                            z = logits * scale: pairs[g,v] = mean_b -sum_k targets[g,b,k] *
 *                            log_softmax(z[v,b])[k], loss = sum weights * pairs; pairs of weight 0
 *                            are not computed and read 0, as does lse of a view in no pair
 *   pair_cross_entropy_grad  dloss f32(), logits, targets, weights, lse -> dlogits T; exact for
 *                            targets of any sum
 *   l2_normalize             x T(...,C) -> y T, norm f32(...)       y = x / max(norm, eps)
 *   l2_normalize_grad        dy, y, norm -> dx T = norm < eps ? dy / eps : (dy - y (dy . y)) / norm
 *   weight_norm              v f32(O,I), g f32(O,1) -> w f32(O,I), norm f32(O)
 *   weight_norm_grad         dw f32(O,I), v, g, norm -> dv f32(O,I), dg? f32(O,1)
 *   max_pool                 x T(N,H,W,C) -> y T, index u8 (position inside the window)
 *   max_pool_grad            dy, index -> dx T(N,H,W,C)
 *   avg_pool                 x -> y T; padding counts as the attrs say
 *   avg_pool_grad            dy -> dx T
 *   attention                q T(B,Tq,C), k T(B,Tk,C), v T(B,Tk,C)
 *                            -> y T(B,Tq,C), lse f32(B,heads,Tq)
 *   attention_grad           dy, q, k, v, y, lse -> dq, dk, dv
 *   self_attention           qkv T(B,T,3*C), rows ordered q,k,v, head-major -> y T(B,T,C), lse f32
 *   self_attention_grad      dy, qkv, y, lse -> dqkv
 *   concat                   n tensors -> y along attrs.axis
 *   slice                    x -> y = x[start : start+length] along attrs.axis
 *   slice_grad               dy -> dx, zero outside the slice
 *   permute                  x -> y, dimension i of y is dimension order[i] of x
 *   gather_rows              x (N,...), index i64(M) -> y (M,...); outside 0..N-1: NaN, integers 0
 *   gather_rows_grad         dy (M,...), index -> dx (N,...), summing repeated rows
 *   gather_tokens            x (B,T,...), index i64(B,M) -> y (B,M,...); outside: as gather_rows
 *   gather_tokens_grad       dy, index -> dx (B,T,...)
 *   drop_path                x T(N,...), key i32(2) -> y T, keep f32(N). keep[n] is 0 where u < p,
 *                            else 1/(1-p); u = (philox({n, n >> 32, stream, stream >> 32},
 *                            key)[0] >> 8) * 2^-24, all words uint32, u < p in double
 *   drop_path_grad           dy, keep -> dx
 *   uniform                  key i32(2) -> y f32(attrs.count); y[i] is u as drop_path draws it for
 *                            sample i
 *   resize_bicubic           x T(N,H,W,C) -> y T(N,h,w,C); kernel A = -0.75, half-pixel centres,
 *                            border clamped, not antialiased
 *   resize_bicubic_grad      dy -> dx
 *   lerp                     buffer f32|bf16, x f32|bf16, m f32()
 *                            -> buffer inout = m * buffer + (1 - m) * x
 *   ring_write               ring (K,...), cursor i64(), rows (B,...) of any floating type, or of
 *                            the ring's -> ring inout, cursor inout; row b goes to (cursor + b)
 *                            mod K, cursor = (cursor + B) mod K, never negative
 *   make_views               pixels u8(P), views i64(N,WISP_VIEW_COLUMNS), ops
 *                            f32(N,WISP_MAX_PIXEL_OPS,2) -> y T(N,height,width,3): row n is the
 *                            view that rows n of both tables describe, of a picture in pixels; NaN
 *                            where the row makes no sense. The arithmetic is that of pixel_math.h
 *   top_k                    x T(N,M) -> values T(N,k), index i64(N,k), largest first;
 *                            ties: lower index
 *   segment_norms            x f32(P), segments i64(S,4) -> norms f32(S), 0 where skipped
 *   clip_segments            grad f32(P), segments, norms f32(S) -> grad inout; times
 *                            limit / (norm + 1e-6) where below 1; per segment or global
 *   sgd_update               p, grad, momentum f32(P), segments i64(S,4), rules f32(S,2), lr f32(),
 *                            wd f32() -> p inout, momentum inout
 *   lars_update              as sgd_update
 *   adamw_update             p, grad, m, v f32(P), segments, rules, lr, wd, step i64() | i64(S)
 *                            -> p, m, v inout, step inout. step counts the updates done: one
 *                            counter, or one a segment that stands still while it is skipped
 *   ema_update               target f32(P), source f32(Q), segments i64(S,4), m f32()
 *                            -> target inout
 *   adamw_ema_update         the arguments of adamw_update, then target, segments and m of an
 *                            ema_update whose source is the updated p -> p, m, v, step, target
 *                            inout, norms? f32(S) of grad as segment_norms has them
 */
/* Segments: one row per parameter tensor: offset in the flat store, element count, flags
 * (WISP_SEGMENT_...), offset in the source store (ema_update only). Rules: per segment the
 * multipliers of the learning rate and of the weight decay. Rows without WISP_SEGMENT_ACTIVE are
 * skipped by all of these operations, ema_update included: what they cover stays as it is, and has
 * no share in a norm. With lr_s = lr * rules[s,0] and wd_s = wd * rules[s,1], element by element:
 *
 *   sgd_update    d = grad + wd_s p;  mu = momentum mu + d
 *                 p -= lr_s (nesterov ? d + momentum mu : mu)
 *   lars_update   d = grad + wd_s p;  where WISP_SEGMENT_ADAPT and |p|, |d| > 0: d *= trust |p| / |d|
 *                 mu = momentum mu + d;  p -= lr_s mu
 *   adamw_update  t = step + 1;  p *= 1 - lr_s wd_s;  m += (1 - beta1) (grad - m)
 *                 v = beta2 v + (1 - beta2) grad^2
 *                 p -= lr_s (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps);  step = t
 *   ema_update    target = m target + (1 - m) source
 *
 * |.| is the norm over the segment. */
/* clang-format on */
#ifndef WISP_KERNELS_H
#define WISP_KERNELS_H

#include "wisp/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All attribute structs are plain values without padding holes, so that they compare by memcmp;
 * frozen layouts all. Makers zero them first. */

typedef struct wisp_conv2d_attrs {
    int32_t stride_h, stride_w;
    int32_t pad_h, pad_w;
    int32_t dilation_h, dilation_w;
    int32_t groups;
    int32_t in_h, in_w;         /* conv2d_grad_input: spatial size of x */
    int32_t kernel_h, kernel_w; /* conv2d_grad_weight: size of w */
    int32_t want_bias;          /* conv2d_grad_weight: dbias is wanted */
} wisp_conv2d_attrs;

typedef struct wisp_matmul_attrs {
    int32_t transpose_a; /* a is stored (...,K,M) */
    int32_t transpose_b; /* b is stored (...,N,K) */
    double alpha;        /* multiplies the product */
} wisp_matmul_attrs;

enum { WISP_ACT_NONE = 0, WISP_ACT_RELU = 1, WISP_ACT_RELU6 = 2 };

typedef struct wisp_batch_norm_attrs {
    double eps;
    int64_t count;      /* batch_norm_grad_input: elements per channel over all ranks; 0 = eval */
    int32_t activation; /* WISP_ACT_... */
    int32_t want_residual; /* batch_norm_grad_input: dresidual is wanted */
} wisp_batch_norm_attrs;

typedef struct wisp_running_attrs {
    double momentum; /* running = (1 - momentum) * running + momentum * new */
    int64_t count;   /* elements per channel, for the unbiased variance */
} wisp_running_attrs;

enum { WISP_CONV_NORM_INPUT = 1, WISP_CONV_NORM_WEIGHT = 2 };

typedef struct wisp_conv_norm_attrs {
    wisp_conv2d_attrs conv; /* stride, padding, dilation and groups; the rest is 0 */
    int32_t activation;     /* WISP_ACT_... of x * scale + shift; none without them */
    int32_t want_stats;     /* conv_norm: mean and var are wanted */
    int32_t want_grads;     /* conv_norm_grad: WISP_CONV_NORM_... */
    int32_t reserved;
} wisp_conv_norm_attrs;

typedef struct wisp_norm_scale_attrs {
    double eps;
} wisp_norm_scale_attrs;

typedef struct wisp_layer_norm_attrs {
    double eps;
    int32_t want_affine; /* layer_norm_grad: dgamma and dbeta are wanted */
    int32_t reserved;
} wisp_layer_norm_attrs;

enum {
    WISP_UNARY_RELU = 1,
    WISP_UNARY_RELU6 = 2,
    WISP_UNARY_GELU = 3, /* exact, with erf */
    WISP_UNARY_TANH = 4,
    WISP_UNARY_SIGMOID = 5,
    WISP_UNARY_EXP = 6,
    WISP_UNARY_LOG = 7,
    WISP_UNARY_SQRT = 8,
    WISP_UNARY_SQUARE = 9,
    WISP_UNARY_ABS = 10,
    WISP_UNARY_AFFINE = 11, /* a * x + b */
    WISP_UNARY_CLAMP = 12   /* into [a, b]; gradient 1 strictly between, else 0 */
};

typedef struct wisp_unary_attrs {
    double a, b;
    int32_t kind;
    int32_t reserved;
} wisp_unary_attrs;

typedef struct wisp_linear_attrs {
    int32_t want_bias;  /* linear_grad_weight: dbias is wanted */
    int32_t activation; /* of x, before the product: 0 (none) or WISP_UNARY_GELU */
} wisp_linear_attrs;

enum {
    WISP_BINARY_ADD = 1,
    WISP_BINARY_SUB = 2,
    WISP_BINARY_MUL = 3,
    WISP_BINARY_DIV = 4,
    WISP_BINARY_MAX = 5,
    WISP_BINARY_MIN = 6
};

typedef struct wisp_binary_attrs {
    int32_t kind;
    int32_t reserved;
} wisp_binary_attrs;

enum { WISP_REDUCE_SUM = 1, WISP_REDUCE_MEAN = 2, WISP_REDUCE_MAX = 3 };

typedef struct wisp_reduce_attrs {
    int32_t kind;
    uint32_t axes; /* bit i: dimension i is reduced */
    int32_t keep;  /* 1: reduced dimensions stay as 1 */
    int32_t reserved;
} wisp_reduce_attrs;

typedef struct wisp_broadcast_attrs {
    double scale;
    int64_t shape[WISP_MAX_RANK];
    int32_t rank;
    int32_t dtype; /* of the result; 0: as the input */
} wisp_broadcast_attrs;

typedef struct wisp_cast_attrs {
    int32_t dtype;
    int32_t reserved;
} wisp_cast_attrs;

typedef struct wisp_fill_attrs {
    wisp_desc desc;
    double value;
} wisp_fill_attrs;

typedef struct wisp_softmax_attrs {
    double scale;    /* constant factor, besides the tensor's */
    int32_t log;     /* 1: log-softmax */
    int32_t out_f32; /* 1: result is f32 whatever T is */
} wisp_softmax_attrs;

typedef struct wisp_cross_entropy_attrs {
    double scale; /* logits are multiplied by it: 1 / temperature */
} wisp_cross_entropy_attrs;

typedef struct wisp_pair_cross_entropy_attrs {
    double scale;    /* logits are multiplied by it: 1 / temperature of the student */
    int32_t views;   /* V */
    int32_t targets; /* G */
} wisp_pair_cross_entropy_attrs;

typedef struct wisp_l2_normalize_attrs {
    double eps;
} wisp_l2_normalize_attrs;

typedef struct wisp_weight_norm_attrs {
    int32_t want_gain; /* weight_norm_grad: dg is wanted */
    int32_t reserved;
} wisp_weight_norm_attrs;

typedef struct wisp_pool_attrs {
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t pad_h, pad_w;
    int32_t in_h, in_w;      /* gradients: spatial size of x */
    int32_t include_padding; /* avg_pool: padding counts in the divisor */
    int32_t reserved;
} wisp_pool_attrs;

typedef struct wisp_attention_attrs {
    double scale;
    int32_t heads;
    int32_t reserved;
} wisp_attention_attrs;

typedef struct wisp_axis_attrs {
    int64_t start, length; /* slice; slice_grad: start, and length of x along the axis */
    int32_t axis;
    int32_t reserved;
} wisp_axis_attrs;

typedef struct wisp_permute_attrs {
    int32_t order[WISP_MAX_RANK];
} wisp_permute_attrs;

typedef struct wisp_gather_attrs {
    int64_t rows; /* gradients: N (gather_rows) or T (gather_tokens) of x */
} wisp_gather_attrs;

typedef struct wisp_drop_path_attrs {
    double p;       /* probability that a sample's branch is dropped */
    int64_t stream; /* tells call sites of one step apart */
} wisp_drop_path_attrs;

typedef struct wisp_uniform_attrs {
    int64_t count;
    int64_t stream; /* tells call sites of one step apart */
} wisp_uniform_attrs;

typedef struct wisp_resize_attrs {
    double scale_h, scale_w; /* source step per output step; 0: in / out */
    int32_t in_h, in_w, out_h, out_w;
} wisp_resize_attrs;

/* One row of make_views' table `views`. A picture is (source_h, source_w, 3) bytes. Its box is
 * resized to (resized_h, resized_w), and of that the view is the part that begins at the window. */
enum {
    WISP_VIEW_OFFSET = 0, /* of the picture in pixels, in bytes */
    WISP_VIEW_SOURCE_W = 1,
    WISP_VIEW_SOURCE_H = 2,
    WISP_VIEW_BOX_X = 3,
    WISP_VIEW_BOX_Y = 4,
    WISP_VIEW_BOX_W = 5,
    WISP_VIEW_BOX_H = 6,
    WISP_VIEW_RESIZED_W = 7,
    WISP_VIEW_RESIZED_H = 8,
    WISP_VIEW_WINDOW_X = 9,
    WISP_VIEW_WINDOW_Y = 10,
    WISP_VIEW_FLIP = 11,   /* 1: mirrored left to right, before the pixel operations */
    WISP_VIEW_FILTER = 12, /* WISP_FILTER_... */
    WISP_VIEW_N_OPS = 13,
    WISP_VIEW_COLUMNS = 14
};

/* In `ops` a pixel operation is (WISP_PIXEL_..., parameter): p[0] of its wisp_pixel_op, but for hue
 * the shift in 255ths of a turn, cut to a whole number, and for solarize the lowest whole number
 * that is inverted. */
typedef struct wisp_make_views_attrs {
    float mean[3], std[3]; /* of v / 255, by channel */
    int32_t width, height; /* px, 1 to 4096 */
    int32_t dtype;         /* WISP_F32 or WISP_BF16 */
    int32_t reserved;
} wisp_make_views_attrs;

typedef struct wisp_top_k_attrs {
    int64_t k;
} wisp_top_k_attrs;

enum {
    WISP_SEGMENT_ACTIVE = 1, /* has a gradient in this step; others are skipped entirely */
    WISP_SEGMENT_ADAPT = 2   /* LARS: the trust ratio applies */
};

typedef struct wisp_clip_attrs {
    double limit;
    int32_t per_segment; /* 1: each tensor by its own norm; 0: by the norm over all */
    int32_t reserved;
} wisp_clip_attrs;

typedef struct wisp_sgd_attrs {
    double momentum;
    double trust; /* lars_update: eta, 0.001 in the published recipes */
    int32_t nesterov;
    int32_t reserved;
} wisp_sgd_attrs;

typedef struct wisp_adamw_attrs {
    double beta1, beta2, eps;
} wisp_adamw_attrs;

typedef struct wisp_adamw_ema_attrs {
    wisp_adamw_attrs adamw;
    int32_t want_norms; /* norms of the segments of grad */
    int32_t reserved;
} wisp_adamw_ema_attrs;

#ifdef __cplusplus
}
#endif
#endif
