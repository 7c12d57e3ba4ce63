/* ops.h - tensor operations as method, backbone and task authors call them.
 *
 * An operation runs when called and returns a tensor, not a status. The first error (operation,
 * argument shapes, plugin, function) sticks to the step; later operations pass it on, and the host
 * reports it when the plugin returns. Authors never write a backward pass: the host records what
 * was called. A step never reads a tensor's value on the host, so the host may plan memory once and
 * replay.
 *
 * The functions live in a table that the step handle carries; the inline wrappers below make it
 * read like ordinary C. Notation as in kernels.h; all functions are [main]. */
#ifndef WISP_OPS_H
#define WISP_OPS_H

#include "wisp/abi.h"
#include "wisp/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wisp_module wisp_module; /* nn.h */
typedef struct wisp_scalar wisp_scalar; /* nn.h */
typedef struct wisp_state wisp_state;   /* nn.h */
typedef struct wisp_batch wisp_batch;   /* method.h */

struct wisp_ops;

/* What plugins see of a step. The rest is the host's. Frozen layout: what is new comes into the
 * table. */
typedef struct wisp_step {
    const struct wisp_ops *ops;
} wisp_step;

/* Outputs of a backbone, on request. Every field is NULL where the backbone has no such thing. */
enum { WISP_MAX_STAGES = 8, WISP_MAX_BLOCKS = 64 };

enum {
    WISP_TAP_STAGES = 1,    /* each stage's map (N,H,W,C) */
    WISP_TAP_TOKENS = 2,    /* all tokens after the final norm (N,T,C), token 0 the class token */
    WISP_TAP_BLOCKS = 4,    /* tokens after each block, before the final norm */
    WISP_TAP_ATTENTION = 8, /* attention probabilities of each block f32(N,heads,T,T) */
    WISP_TAP_CLASS_TOKENS = 16 /* class token after each block, through the final norm (N,C) */
};

typedef struct wisp_features {
    uint32_t struct_size;
    uint32_t taps;                        /* in: WISP_TAP_... wanted */
    wisp_tensor *pooled;                  /* (N,D): what the heads receive */
    wisp_tensor *map;                     /* (N,H,W,C): last map */
    wisp_tensor *tokens;                  /* (N,T,C) */
    wisp_tensor *class_token_before_norm; /* (N,C) */
    int32_t n_stages, n_blocks;
    wisp_tensor *stages[WISP_MAX_STAGES];
    wisp_tensor *blocks[WISP_MAX_BLOCKS];
    wisp_tensor *attention[WISP_MAX_BLOCKS];
    wisp_tensor *mask; /* in: (N,T) 1 = hidden; the class token's column 0 is not looked at. NULL:
                          nothing is hidden */
    wisp_tensor *keep_index; /* in: i64 (N,M) tokens to run on, the class token's 0 first; outputs
                                then have M tokens. NULL: all */
    wisp_tensor *class_tokens[WISP_MAX_BLOCKS]; /* (N,C); probes and k-NN over the last blocks */
} wisp_features;

/* A map between two convolutions of a chain, whose batch norm and activation are still to be
 * applied by whoever reads it. Begin with {.map = x}; the other fields are the host's. Frozen
 * layout. */
typedef struct wisp_lazy_map {
    wisp_tensor *map;
    wisp_module *norm;          /* batch norm to come; NULL: the map is as it should be */
    wisp_tensor *mean, *var;    /* of the map, where they are known already */
    wisp_tensor *scale, *shift; /* the same as norm */
    int64_t count;              /* behind mean and var; 0: running statistics */
    int32_t activation;         /* after norm */
    int32_t reserved;
} wisp_lazy_map;

/* X(return type, name, parameters, arguments); V(name, parameters, arguments) returns nothing.
 * Append only (ABI-4). Wrappers are named wisp_<name>. */
/* clang-format off */
#define WISP_OPS_LIST(X, V)                                                                        \
    /* values */                                                                                   \
    X(wisp_tensor *, constant, (wisp_step *s, double value), (s, value))                           \
    X(wisp_tensor *, full, (wisp_step *s, const wisp_desc *desc, double value), (s, desc, value))  \
    X(wisp_tensor *, scalar_value, (wisp_step *s, const wisp_scalar *scalar), (s, scalar))         \
    X(wisp_tensor *, state_value, (wisp_step *s, const wisp_state *state), (s, state))             \
    X(wisp_tensor *, parameter_value, (wisp_step *s, const wisp_module *parameter),                \
      (s, parameter))                                                                              \
    X(const wisp_desc *, shape_of, (wisp_step *s, const wisp_tensor *x), (s, x))                   \
    /* views and side data of the batch; see method.h */                                           \
    X(wisp_tensor *, view, (wisp_step *s, const wisp_batch *b, int32_t v), (s, b, v))              \
    X(wisp_tensor *, views, (wisp_step *s, const wisp_batch *b, int32_t first, int32_t count),     \
      (s, b, first, count))                                                                        \
    X(wisp_tensor *, batch_part, (wisp_step *s, const wisp_batch *b, const char *name),            \
      (s, b, name))                                                                                \
    /* modules; a group runs its children in order, a backbone gives its pooled embedding */       \
    X(wisp_tensor *, forward, (wisp_step *s, wisp_module *m, wisp_tensor *x), (s, m, x))           \
    /* forward_features takes a backbone, or what has exactly one as a child, and runs only it */  \
    X(wisp_tensor *, forward_features,                                                             \
      (wisp_step *s, wisp_module *m, wisp_tensor *x, wisp_features *out), (s, m, x, out))          \
    X(wisp_tensor *, batch_norm_act,                                                               \
      (wisp_step *s, wisp_module *bn, wisp_tensor *x, wisp_tensor *residual,                       \
       int32_t activation),                                                                        \
      (s, bn, x, residual, activation))                                                            \
    /* target = momentum * target + (1 - momentum) * source, the network of wisp_follow(); in */   \
    /* after_step, or before the first use of target in a step */                                  \
    V(ema_update, (wisp_step *s, wisp_module *target, const wisp_scalar *momentum),                \
      (s, target, momentum))                                                                       \
    /* each row w of the weight of m becomes w / max(|w|, eps); eps 0: 1e-12; before the first */  \
    /* use in a step, or in after_step */                                                          \
    V(normalize_rows_of, (wisp_step *s, wisp_module *m, double eps), (s, m, eps))                  \
    /* as if the parameters below m had no gradient: no update, no decay; in after_backward */     \
    V(drop_gradient, (wisp_step *s, wisp_module *m), (s, m))                                       \
    /* the gradients g below m times limit / (|g| + 1e-6) where that is below 1; |g| of each */    \
    /* tensor by itself (per_tensor 1), or of all of them together (0); in after_backward */       \
    V(clip_gradient, (wisp_step *s, wisp_module *m, double limit, int32_t per_tensor),             \
      (s, m, limit, per_tensor))                                                                   \
    /* scopes */                                                                                   \
    V(no_grad_begin, (wisp_step *s), (s))                                                          \
    V(no_grad_end, (wisp_step *s), (s))                                                            \
    X(wisp_tensor *, stop_gradient, (wisp_step *s, wisp_tensor *x), (s, x))                        \
    /* elementwise; numpy broadcasting */                                                          \
    X(wisp_tensor *, add, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))               \
    X(wisp_tensor *, sub, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))               \
    X(wisp_tensor *, mul, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))               \
    X(wisp_tensor *, div, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))               \
    X(wisp_tensor *, maximum, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))           \
    X(wisp_tensor *, minimum, (wisp_step *s, wisp_tensor *a, wisp_tensor *b), (s, a, b))           \
    X(wisp_tensor *, scale, (wisp_step *s, wisp_tensor *x, double factor), (s, x, factor))         \
    X(wisp_tensor *, affine, (wisp_step *s, wisp_tensor *x, double a, double b), (s, x, a, b))     \
    X(wisp_tensor *, clamp, (wisp_step *s, wisp_tensor *x, double low, double high),               \
      (s, x, low, high))                                                                           \
    X(wisp_tensor *, unary, (wisp_step *s, wisp_tensor *x, int32_t kind), (s, x, kind))            \
    X(wisp_tensor *, cast, (wisp_step *s, wisp_tensor *x, int32_t dtype), (s, x, dtype))           \
    /* reductions; axes is a bit mask, 0 means all */                                              \
    X(wisp_tensor *, sum, (wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep),             \
      (s, x, axes, keep))                                                                          \
    X(wisp_tensor *, mean, (wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep),            \
      (s, x, axes, keep))                                                                          \
    X(wisp_tensor *, max, (wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep),             \
      (s, x, axes, keep))                                                                          \
    /* products */                                                                                 \
    X(wisp_tensor *, matmul,                                                                       \
      (wisp_step *s, wisp_tensor *a, wisp_tensor *b, int32_t transpose_a, int32_t transpose_b),    \
      (s, a, b, transpose_a, transpose_b))                                                         \
    X(wisp_tensor *, linear,                                                                       \
      (wisp_step *s, wisp_tensor *x, wisp_tensor *w, wisp_tensor *bias), (s, x, w, bias))          \
    X(wisp_tensor *, conv2d,                                                                       \
      (wisp_step *s, wisp_tensor *x, wisp_tensor *w, wisp_tensor *bias,                            \
       const wisp_conv2d_attrs *attrs),                                                            \
      (s, x, w, bias, attrs))                                                                      \
    X(wisp_tensor *, max_pool, (wisp_step *s, wisp_tensor *x, const wisp_pool_attrs *attrs),       \
      (s, x, attrs))                                                                               \
    X(wisp_tensor *, avg_pool, (wisp_step *s, wisp_tensor *x, const wisp_pool_attrs *attrs),       \
      (s, x, attrs))                                                                               \
    X(wisp_tensor *, attention,                                                                    \
      (wisp_step *s, wisp_tensor *q, wisp_tensor *k, wisp_tensor *v, int32_t heads,                \
       double scale),                                                                              \
      (s, q, k, v, heads, scale))                                                                  \
    X(wisp_tensor *, self_attention,                                                               \
      (wisp_step *s, wisp_tensor *qkv, int32_t heads, double scale), (s, qkv, heads, scale))       \
    X(wisp_tensor *, attention_probabilities,                                                      \
      (wisp_step *s, wisp_tensor *q, wisp_tensor *k, int32_t heads, double scale),                 \
      (s, q, k, heads, scale))                                                                     \
    /* normalisation */                                                                            \
    X(wisp_tensor *, layer_norm,                                                                   \
      (wisp_step *s, wisp_tensor *x, wisp_tensor *gamma, wisp_tensor *beta, double eps),           \
      (s, x, gamma, beta, eps))                                                                    \
    X(wisp_tensor *, l2_normalize, (wisp_step *s, wisp_tensor *x, double eps), (s, x, eps))        \
    X(wisp_tensor *, weight_norm, (wisp_step *s, wisp_tensor *v, wisp_tensor *g), (s, v, g))       \
    /* probabilities and losses */                                                                 \
    X(wisp_tensor *, softmax, (wisp_step *s, wisp_tensor *x, double scale), (s, x, scale))         \
    X(wisp_tensor *, log_softmax, (wisp_step *s, wisp_tensor *x, double scale), (s, x, scale))     \
    X(wisp_tensor *, softmax_shifted,                                                              \
      (wisp_step *s, wisp_tensor *x, wisp_tensor *shift, wisp_tensor *scale),                      \
      (s, x, shift, scale))                                                                        \
    X(wisp_tensor *, cross_entropy,                                                                \
      (wisp_step *s, wisp_tensor *logits, wisp_tensor *labels, double scale),                      \
      (s, logits, labels, scale))                                                                  \
    X(wisp_tensor *, pair_cross_entropy,                                                           \
      (wisp_step *s, wisp_tensor *logits, wisp_tensor *targets, wisp_tensor *weights,              \
       double scale, wisp_tensor **pairs),                                                         \
      (s, logits, targets, weights, scale, pairs))                                                 \
    /* shape */                                                                                    \
    X(wisp_tensor *, reshape, (wisp_step *s, wisp_tensor *x, const wisp_desc *desc),               \
      (s, x, desc))                                                                                \
    X(wisp_tensor *, permute, (wisp_step *s, wisp_tensor *x, const int32_t *order),                \
      (s, x, order))                                                                               \
    X(wisp_tensor *, broadcast_to, (wisp_step *s, wisp_tensor *x, const wisp_desc *desc),          \
      (s, x, desc))                                                                                \
    X(wisp_tensor *, concat, (wisp_step *s, wisp_tensor *const *x, int32_t n, int32_t axis),       \
      (s, x, n, axis))                                                                             \
    X(wisp_tensor *, slice,                                                                        \
      (wisp_step *s, wisp_tensor *x, int32_t axis, int64_t start, int64_t length),                 \
      (s, x, axis, start, length))                                                                 \
    X(wisp_tensor *, gather_rows, (wisp_step *s, wisp_tensor *x, wisp_tensor *index),              \
      (s, x, index))                                                                               \
    X(wisp_tensor *, gather_tokens, (wisp_step *s, wisp_tensor *x, wisp_tensor *index),            \
      (s, x, index))                                                                               \
    X(wisp_tensor *, resize_bicubic,                                                               \
      (wisp_step *s, wisp_tensor *x, int32_t h, int32_t w, double scale_h, double scale_w),        \
      (s, x, h, w, scale_h, scale_w))                                                              \
    /* the k largest of each row of x (N,M), the largest first, and where they stood: *index is */ \
    /* i64(N,k); of equals the lower index leads. No gradient */                                   \
    X(wisp_tensor *, top_k, (wisp_step *s, wisp_tensor *x, int64_t k, wisp_tensor * *index),       \
      (s, x, k, index))                                                                            \
    /* draws from the step's key; the identity in evaluation, in networks that follow others */    \
    /* and in frozen ones */                                                                       \
    X(wisp_tensor *, drop_path, (wisp_step *s, wisp_tensor *x, double p), (s, x, p))               \
    /* state: named buffers change in place, outside the tape; what the loss was computed */       \
    /* from may change only after backward */                                                      \
    V(state_assign, (wisp_step *s, wisp_state *state, wisp_tensor *x), (s, state, x))              \
    V(state_lerp,                                                                                  \
      (wisp_step *s, wisp_state *state, wisp_tensor *x, wisp_tensor *momentum),                    \
      (s, state, x, momentum))                                                                     \
    V(state_push,                                                                                  \
      (wisp_step *s, wisp_state *ring, wisp_state *cursor, wisp_tensor *rows),                     \
      (s, ring, cursor, rows))                                                                     \
    /* collectives; the identity on one rank */                                                    \
    X(wisp_tensor *, all_gather, (wisp_step *s, wisp_tensor *x, int32_t with_gradient),            \
      (s, x, with_gradient))                                                                       \
    X(wisp_tensor *, all_reduce_sum, (wisp_step *s, wisp_tensor *x), (s, x))                       \
    X(wisp_tensor *, all_reduce_mean, (wisp_step *s, wisp_tensor *x), (s, x))                      \
    X(int32_t, world_size, (wisp_step *s), (s))                                                    \
    /* results */                                                                                  \
    V(metric, (wisp_step *s, const char *name, wisp_tensor *value), (s, name, value))              \
    /* an operation of kernels.h by its name */                                                    \
    V(apply,                                                                                       \
      (wisp_step *s, const char *op, const void *attrs, uint64_t attrs_bytes,                      \
       wisp_tensor *const *in, int32_t n_in, wisp_tensor **out, int32_t n_out),                    \
      (s, op, attrs, attrs_bytes, in, n_in, out, n_out))                                           \
    /* numbers in [0, 1) from the step's key, the same on every rank; f32(count) */                \
    X(wisp_tensor *, uniform, (wisp_step *s, int64_t count), (s, count))                           \
    /* a linear layer of act(x) in one: activation is 0 or WISP_UNARY_GELU */                      \
    X(wisp_tensor *, act_linear,                                                                   \
      (wisp_step *s, wisp_module *linear, wisp_tensor *x, int32_t activation),                     \
      (s, linear, x, activation))                                                                  \
    /* y = conv(x), with bn and the activation to come; y may be x. A chain of these stores no */  \
    /* normalised maps and reads each map once, where the backend can */                           \
    V(conv_norm,                                                                                   \
      (wisp_step *s, wisp_module *conv, wisp_module *bn, const wisp_lazy_map *x,                   \
       int32_t activation, wisp_lazy_map *y),                                                      \
      (s, conv, bn, x, activation, y))                                                             \
    /* the end of a chain: the map itself, act(norm(x) + residual) */                              \
    X(wisp_tensor *, settle,                                                                       \
      (wisp_step *s, const wisp_lazy_map *x, wisp_tensor *residual), (s, x, residual))           \
    /* whose rows are this rank's in what all_gather gives; 0 on one rank */                       \
    X(int32_t, world_rank, (wisp_step *s), (s))                                                    \
    /* between these, batch norm sees this call's rows alone, no other rank's: part `part` of */   \
    /* n_parts that this rank's samples are divided into, each of which is to pass by once, in */  \
    /* order. The running statistics become those of the parts of rank 0, then of rank 1 ... one */\
    /* after another, on all ranks. Shuffled batch norm (MoCo, DenseCL, DisCo) needs it */         \
    V(own_statistics_begin, (wisp_step *s, int32_t part, int32_t n_parts), (s, part, n_parts))     \
    V(own_statistics_end, (wisp_step *s), (s))

/* clang-format on */

typedef struct wisp_ops {
    uint32_t struct_size;
    uint32_t reserved;
#define WISP_OPS_FIELD(type, name, parameters, arguments) type(*name) parameters;
#define WISP_OPS_VOID_FIELD(name, parameters, arguments) void(*name) parameters;
    WISP_OPS_LIST(WISP_OPS_FIELD, WISP_OPS_VOID_FIELD)
#undef WISP_OPS_FIELD
#undef WISP_OPS_VOID_FIELD
} wisp_ops;

/* The wrappers. Inside the host the functions are reached through the table all the same. A table
 * of an older host that ends before a function fails the step by that function's name (ABI-4). */
#define WISP_OPS_LACKS(name)                                                                       \
    s->ops->apply(s, #name ", for which this host is too old", NULL, 0, NULL, 0, NULL, 0)
#define WISP_OPS_WRAPPER(type, name, parameters, arguments)                                        \
    static inline type wisp_##name parameters                                                      \
    {                                                                                              \
        if (WISP_HAS(s->ops, wisp_ops, name))                                                      \
            return s->ops->name arguments;                                                         \
        WISP_OPS_LACKS(name);                                                                      \
        return 0;                                                                                  \
    }
#define WISP_OPS_VOID_WRAPPER(name, parameters, arguments)                                         \
    static inline void wisp_##name parameters                                                      \
    {                                                                                              \
        if (WISP_HAS(s->ops, wisp_ops, name))                                                      \
            s->ops->name arguments;                                                                \
        else                                                                                       \
            WISP_OPS_LACKS(name);                                                                  \
    }
WISP_OPS_LIST(WISP_OPS_WRAPPER, WISP_OPS_VOID_WRAPPER)
#undef WISP_OPS_WRAPPER
#undef WISP_OPS_VOID_WRAPPER
#undef WISP_OPS_LACKS

static inline wisp_tensor *wisp_relu(wisp_step *s, wisp_tensor *x)
{
    return wisp_unary(s, x, WISP_UNARY_RELU);
}

static inline wisp_tensor *wisp_gelu(wisp_step *s, wisp_tensor *x)
{
    return wisp_unary(s, x, WISP_UNARY_GELU);
}

#ifdef __cplusplus
}
#endif
#endif
