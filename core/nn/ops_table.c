/* ops_table.c - the table behind wisp/ops.h: each function fills in attributes and calls one
 * operation. */
#include <math.h>
#include <string.h>

#include "nn/batch.h"
#include "nn/collective.h"
#include "nn/follower.h"
#include "nn/gradient_control.h"
#include "nn/layers.h"
#include "nn/op_call.h"
#include "nn/state.h"
#include "tensor/program.h"
#include "tensor/ranks.h"

/* --- values --- */

static wisp_tensor *full(wisp_step *s, const wisp_desc *desc, double value)
{
    wisp_fill_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.desc = *desc;
    attrs.value = value;
    return wispi_call1(s, WISPI_CALL_fill, &attrs, NULL, 0);
}

static wisp_tensor *constant(wisp_step *s, double value)
{
    const wisp_desc scalar = wisp_desc0(WISP_F32);
    return full(s, &scalar, value);
}

static wisp_tensor *scalar_value(wisp_step *s, const wisp_scalar *scalar)
{
    if (!scalar)
        wispi_step_fail(s, WISP_E_INVALID, "scalar_value: the scalar is NULL");
    else if (!wispi_model_of(s)->has_clock && !wispi_step_is_recording(s))
        wispi_step_fail(s, WISP_E_STATE, "scalar %s: no clock was set before the step ran",
                        scalar->name);
    return scalar ? wispi_step_variable(s, scalar->variable) : NULL;
}

static wisp_tensor *parameter_value(wisp_step *s, const wisp_module *m)
{
    if (m && m->weight)
        return wispi_step_variable(s, &m->weight->variable);
    wispi_step_fail(s, WISP_E_INVALID, "parameter_value: %s has no weight", m ? m->path : "NULL");
    return NULL;
}

static const wisp_desc *shape_of(wisp_step *s, const wisp_tensor *x)
{
    static const wisp_desc nothing = {WISP_F32, 0, {0, 0, 0, 0, 0, 0}};
    return wispi_usable(s, "shape_of", x) ? wispi_tensor_desc(x) : &nothing;
}

/* --- batch --- */

static wisp_tensor *views(wisp_step *s, const wisp_batch *b, int32_t first, int32_t count)
{
    return wispi_batch_views(s, b, first, count);
}

static wisp_tensor *view(wisp_step *s, const wisp_batch *b, int32_t v)
{
    return wispi_batch_views(s, b, v, 1);
}

static wisp_tensor *batch_part(wisp_step *s, const wisp_batch *b, const char *name)
{
    return wispi_batch_part(s, b, name);
}

/* --- modules --- */

static wisp_tensor *batch_norm_act(wisp_step *s, wisp_module *bn, wisp_tensor *x,
                                   wisp_tensor *residual, int32_t activation)
{
    if (bn)
        return wispi_batch_norm(s, bn, x, residual, activation);
    wispi_step_fail(s, WISP_E_INVALID, "batch_norm_act: the module is NULL");
    return NULL;
}

static void ema_update(wisp_step *s, wisp_module *target, const wisp_scalar *momentum)
{
    wispi_ema_update(s, target, scalar_value(s, momentum));
}

/* --- scopes --- */

static void no_grad_begin(wisp_step *s)
{
    wispi_step_of(s)->no_grad++;
}

static void no_grad_end(wisp_step *s)
{
    if (wispi_step_of(s)->no_grad > 0)
        wispi_step_of(s)->no_grad--;
    else
        wispi_step_fail(s, WISP_E_STATE, "no_grad_end without a no_grad_begin");
}

static void own_statistics_begin(wisp_step *s, int32_t part, int32_t n_parts)
{
    wispi_step *step = wispi_step_of(s);
    if (step->n_own_parts)
        wispi_step_fail(s, WISP_E_STATE, "own_statistics_begin within another one");
    else if (part < 0 || part >= n_parts)
        wispi_step_fail(s, WISP_E_INVALID, "own_statistics_begin: there is no part %d of %d",
                        (int)part, (int)n_parts);
    step->own_part = part;
    step->n_own_parts = n_parts > 0 ? n_parts : 1;
}

static void own_statistics_end(wisp_step *s)
{
    if (!wispi_step_of(s)->n_own_parts)
        wispi_step_fail(s, WISP_E_STATE, "own_statistics_end without an own_statistics_begin");
    wispi_step_of(s)->n_own_parts = 0;
}

/* --- elementwise --- */

static wisp_tensor *binary(wisp_step *s, int32_t kind, wisp_tensor *a, wisp_tensor *b)
{
    const wisp_binary_attrs attrs = {kind, 0};
    wisp_tensor *in[2] = {a, b};
    return wispi_call1(s, WISPI_CALL_binary, &attrs, in, 2);
}

static wisp_tensor *add(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_ADD, a, b);
}

static wisp_tensor *sub(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_SUB, a, b);
}

static wisp_tensor *mul(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_MUL, a, b);
}

static wisp_tensor *divide(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_DIV, a, b);
}

static wisp_tensor *maximum(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_MAX, a, b);
}

static wisp_tensor *minimum(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    return binary(s, WISP_BINARY_MIN, a, b);
}

static wisp_tensor *unary_with(wisp_step *s, wisp_tensor *x, int32_t kind, double a, double b)
{
    const wisp_unary_attrs attrs = {a, b, kind, 0};
    return wispi_call1(s, WISPI_CALL_unary, &attrs, &x, 1);
}

static wisp_tensor *unary(wisp_step *s, wisp_tensor *x, int32_t kind)
{
    if (kind == WISP_UNARY_AFFINE || kind == WISP_UNARY_CLAMP)
        wispi_step_fail(s, WISP_E_INVALID, "unary: use wisp_affine() or wisp_clamp()");
    return unary_with(s, x, kind, 0, 0);
}

static wisp_tensor *scale(wisp_step *s, wisp_tensor *x, double factor)
{
    return unary_with(s, x, WISP_UNARY_AFFINE, factor, 0);
}

static wisp_tensor *affine(wisp_step *s, wisp_tensor *x, double a, double b)
{
    return unary_with(s, x, WISP_UNARY_AFFINE, a, b);
}

static wisp_tensor *clamp(wisp_step *s, wisp_tensor *x, double low, double high)
{
    return unary_with(s, x, WISP_UNARY_CLAMP, low, high);
}

static wisp_tensor *cast(wisp_step *s, wisp_tensor *x, int32_t dtype)
{
    const wisp_cast_attrs attrs = {dtype, 0};
    if (!wispi_usable(s, "cast", x))
        return NULL;
    return wispi_tensor_desc(x)->dtype == dtype ? x
                                                : wispi_call1(s, WISPI_CALL_cast, &attrs, &x, 1);
}

/* --- reductions --- */

static wisp_tensor *reduce(wisp_step *s, int32_t kind, wisp_tensor *x, uint32_t axes, int32_t keep)
{
    if (!wispi_usable(s, "reduce", x))
        return NULL;
    const int32_t rank = wispi_tensor_desc(x)->rank;
    if (rank == 0)
        return x;
    const wisp_reduce_attrs attrs = {kind, axes ? axes : (1u << rank) - 1, keep != 0, 0};
    return wispi_call1(s, WISPI_CALL_reduce, &attrs, &x, 1);
}

static wisp_tensor *sum(wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep)
{
    return reduce(s, WISP_REDUCE_SUM, x, axes, keep);
}

static wisp_tensor *mean(wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep)
{
    return reduce(s, WISP_REDUCE_MEAN, x, axes, keep);
}

static wisp_tensor *max(wisp_step *s, wisp_tensor *x, uint32_t axes, int32_t keep)
{
    return reduce(s, WISP_REDUCE_MAX, x, axes, keep);
}

/* --- products --- */

static wisp_tensor *matmul(wisp_step *s, wisp_tensor *a, wisp_tensor *b, int32_t transpose_a,
                           int32_t transpose_b)
{
    const wisp_matmul_attrs attrs = {transpose_a != 0, transpose_b != 0, 1.0};
    wisp_tensor *in[2] = {a, b};
    return wispi_call1(s, WISPI_CALL_matmul, &attrs, in, 2);
}

static wisp_tensor *linear(wisp_step *s, wisp_tensor *x, wisp_tensor *w, wisp_tensor *bias)
{
    const wisp_linear_attrs attrs = {0, 0};
    wisp_tensor *in[3] = {x, w, bias};
    return wispi_call1(s, WISPI_CALL_linear, &attrs, in, 3);
}

static wisp_tensor *conv2d(wisp_step *s, wisp_tensor *x, wisp_tensor *w, wisp_tensor *bias,
                           const wisp_conv2d_attrs *attrs)
{
    wisp_tensor *in[3] = {x, w, bias};
    return wispi_call1(s, WISPI_CALL_conv2d, attrs, in, 3);
}

static wisp_tensor *max_pool(wisp_step *s, wisp_tensor *x, const wisp_pool_attrs *attrs)
{
    return wispi_call1(s, WISPI_CALL_max_pool, attrs, &x, 1);
}

static wisp_tensor *avg_pool(wisp_step *s, wisp_tensor *x, const wisp_pool_attrs *attrs)
{
    return wispi_call1(s, WISPI_CALL_avg_pool, attrs, &x, 1);
}

static wisp_tensor *attention(wisp_step *s, wisp_tensor *q, wisp_tensor *k, wisp_tensor *v,
                              int32_t heads, double factor)
{
    const wisp_attention_attrs attrs = {factor, heads, 0};
    wisp_tensor *in[3] = {q, k, v};
    return wispi_call1(s, WISPI_CALL_attention, &attrs, in, 3);
}

static wisp_tensor *self_attention(wisp_step *s, wisp_tensor *qkv, int32_t heads, double factor)
{
    const wisp_attention_attrs attrs = {factor, heads, 0};
    return wispi_call1(s, WISPI_CALL_self_attention, &attrs, &qkv, 1);
}

static wisp_tensor *softmax_of(wisp_step *s, wisp_tensor *const in[3], double factor, int32_t log)
{
    const wisp_softmax_attrs attrs = {factor, log, 1};
    return wispi_call1(s, WISPI_CALL_softmax, &attrs, in, 3);
}

/* x T(B,T,C) -> (B,heads,T,C / heads) */
static wisp_tensor *split_heads(wisp_step *s, wisp_tensor *x, int32_t heads)
{
    const wisp_permute_attrs attrs = {{0, 2, 1, 3, 0, 0}};
    const wisp_desc *d = wispi_tensor_desc(x);
    if (d->rank != 3 || heads < 1 || d->shape[2] % heads) {
        wispi_step_fail(s, WISP_E_SHAPE,
                        "attention_probabilities: q and k must be (B,T,C) with C a multiple of %d "
                        "heads",
                        heads);
        return NULL;
    }
    const wisp_desc split =
        wisp_desc4(d->dtype, d->shape[0], d->shape[1], heads, d->shape[2] / heads);
    wisp_tensor *parts = wispi_reshape(s, x, &split);
    return wispi_call1(s, WISPI_CALL_permute, &attrs, &parts, 1);
}

static wisp_tensor *attention_probabilities(wisp_step *s, wisp_tensor *q, wisp_tensor *k,
                                            int32_t heads, double factor)
{
    if (!wispi_usable(s, "attention_probabilities", q) ||
        !wispi_usable(s, "attention_probabilities", k))
        return NULL;
    wisp_tensor *scores = matmul(s, split_heads(s, q, heads), split_heads(s, k, heads), 0, 1);
    wisp_tensor *in[3] = {scores, NULL, NULL};
    return softmax_of(s, in, factor, 0);
}

/* --- normalisation --- */

static wisp_tensor *layer_norm(wisp_step *s, wisp_tensor *x, wisp_tensor *gamma, wisp_tensor *beta,
                               double eps)
{
    const wisp_layer_norm_attrs attrs = {eps, 0, 0};
    wisp_tensor *in[3] = {x, gamma, beta};
    return wispi_call1(s, WISPI_CALL_layer_norm, &attrs, in, 3);
}

static wisp_tensor *l2_normalize(wisp_step *s, wisp_tensor *x, double eps)
{
    const wisp_l2_normalize_attrs attrs = {eps};
    return wispi_call1(s, WISPI_CALL_l2_normalize, &attrs, &x, 1);
}

static wisp_tensor *weight_norm(wisp_step *s, wisp_tensor *v, wisp_tensor *g)
{
    const wisp_weight_norm_attrs attrs = {0, 0};
    wisp_tensor *in[2] = {v, g};
    return wispi_call1(s, WISPI_CALL_weight_norm, &attrs, in, 2);
}

/* --- probabilities and losses --- */

static wisp_tensor *softmax(wisp_step *s, wisp_tensor *x, double factor)
{
    wisp_tensor *in[3] = {x, NULL, NULL};
    return softmax_of(s, in, factor, 0);
}

static wisp_tensor *log_softmax(wisp_step *s, wisp_tensor *x, double factor)
{
    wisp_tensor *in[3] = {x, NULL, NULL};
    return softmax_of(s, in, factor, 1);
}

static wisp_tensor *softmax_shifted(wisp_step *s, wisp_tensor *x, wisp_tensor *shift,
                                    wisp_tensor *factor)
{
    wisp_tensor *in[3] = {x, shift, factor};
    return softmax_of(s, in, 1, 0);
}

static wisp_tensor *cross_entropy(wisp_step *s, wisp_tensor *logits, wisp_tensor *labels,
                                  double factor)
{
    const wisp_cross_entropy_attrs attrs = {factor};
    wisp_tensor *in[2] = {logits, labels};
    return wispi_call1(s, WISPI_CALL_cross_entropy, &attrs, in, 2);
}

static wisp_tensor *pair_cross_entropy(wisp_step *s, wisp_tensor *logits, wisp_tensor *targets,
                                       wisp_tensor *weights, double factor, wisp_tensor **pairs)
{
    wisp_tensor *in[3] = {logits, targets, weights}, *out[WISPI_MAX_OUT] = {NULL};
    wisp_pair_cross_entropy_attrs attrs = {factor, 0, 0};
    if (!wispi_usable(s, "pair_cross_entropy", weights))
        return NULL;
    const wisp_desc *table = wispi_tensor_desc(weights);
    if (table->rank == 2) {
        attrs.targets = (int32_t)table->shape[0];
        attrs.views = (int32_t)table->shape[1];
    }
    wispi_call(s, WISPI_CALL_pair_cross_entropy, &attrs, in, 3, out);
    if (pairs)
        *pairs = out[1];
    return out[0];
}

/* --- shape --- */

static wisp_tensor *reshape(wisp_step *s, wisp_tensor *x, const wisp_desc *desc)
{
    wisp_desc wanted = *desc;
    if (!wispi_usable(s, "reshape", x))
        return NULL;
    if (!wanted.dtype)
        wanted.dtype = wispi_tensor_desc(x)->dtype;
    return wispi_reshape(s, x, &wanted);
}

static wisp_tensor *permute(wisp_step *s, wisp_tensor *x, const int32_t *order)
{
    wisp_permute_attrs attrs = {{0, 0, 0, 0, 0, 0}};
    if (!wispi_usable(s, "permute", x))
        return NULL;
    for (int32_t i = 0; i < wispi_tensor_desc(x)->rank; i++)
        attrs.order[i] = order[i];
    return wispi_call1(s, WISPI_CALL_permute, &attrs, &x, 1);
}

static wisp_tensor *broadcast_to(wisp_step *s, wisp_tensor *x, const wisp_desc *desc)
{
    wisp_broadcast_attrs attrs;
    memset(&attrs, 0, sizeof attrs);
    attrs.scale = 1;
    attrs.rank = desc->rank;
    attrs.dtype = desc->dtype;
    for (int32_t i = 0; i < desc->rank && i < WISP_MAX_RANK; i++)
        attrs.shape[i] = desc->shape[i];
    return wispi_call1(s, WISPI_CALL_broadcast, &attrs, &x, 1);
}

/* More parts than an operation has arguments are joined from the left. */
static wisp_tensor *concat(wisp_step *s, wisp_tensor *const *x, int32_t n, int32_t axis)
{
    const wisp_axis_attrs attrs = {0, 0, axis, 0};
    wisp_tensor *in[WISPI_MAX_IN], *joined = NULL;
    if (n < 1)
        wispi_step_fail(s, WISP_E_INVALID, "concat: there is nothing to join");
    for (int32_t next = 0; next < n;) {
        int32_t n_in = 0;
        if (joined)
            in[n_in++] = joined;
        while (n_in < WISPI_MAX_IN && next < n)
            in[n_in++] = x[next++];
        joined = wispi_call1(s, WISPI_CALL_concat, &attrs, in, n_in);
    }
    return joined;
}

static wisp_tensor *slice(wisp_step *s, wisp_tensor *x, int32_t axis, int64_t start, int64_t length)
{
    const wisp_axis_attrs attrs = {start, length, axis, 0};
    if (!wispi_usable(s, "slice", x))
        return NULL;
    if (axis == 0)
        return wispi_leading_slice(s, x, start, length);
    return wispi_call1(s, WISPI_CALL_slice, &attrs, &x, 1);
}

static wisp_tensor *gather_rows(wisp_step *s, wisp_tensor *x, wisp_tensor *index)
{
    wisp_tensor *in[2] = {x, index};
    const wisp_gather_attrs attrs = {0};
    return wispi_call1(s, WISPI_CALL_gather_rows, &attrs, in, 2);
}

static wisp_tensor *gather_tokens(wisp_step *s, wisp_tensor *x, wisp_tensor *index)
{
    wisp_tensor *in[2] = {x, index};
    const wisp_gather_attrs attrs = {0};
    return wispi_call1(s, WISPI_CALL_gather_tokens, &attrs, in, 2);
}

static wisp_tensor *resize_bicubic(wisp_step *s, wisp_tensor *x, int32_t h, int32_t w,
                                   double scale_h, double scale_w)
{
    if (!wispi_usable(s, "resize_bicubic", x))
        return NULL;
    const wisp_desc *d = wispi_tensor_desc(x);
    const int map = d->rank == 4;
    const wisp_resize_attrs attrs = {
        scale_h, scale_w, map ? (int32_t)d->shape[1] : 0, map ? (int32_t)d->shape[2] : 0, h, w};
    return wispi_call1(s, WISPI_CALL_resize_bicubic, &attrs, &x, 1);
}

static wisp_tensor *top_k(wisp_step *s, wisp_tensor *x, int64_t k, wisp_tensor **index)
{
    const wisp_top_k_attrs attrs = {k};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    wispi_call(s, WISPI_CALL_top_k, &attrs, &x, 1, out);
    if (index)
        *index = out[1];
    return out[0];
}

/* Every rank draws for the samples of all and takes its own, so that a sample's fate does not hang
 * on how many ranks there are. What drop_path makes of ones is 0 or 1 / (1 - p); cut to 0 or 1 it
 * is exact in every type. */
static wisp_tensor *drop_path_of_all(wisp_step *s, wisp_tensor *x,
                                     const wisp_drop_path_attrs *attrs)
{
    const wisp_desc *d = wispi_tensor_desc(x);
    const int64_t batch = wispi_model_of(s)->build.plugin.batch;
    if (d->rank < 1 || batch < 1 || d->shape[0] % batch) {
        wispi_step_fail(s, WISP_E_UNSUPPORTED,
                        "drop_path: on several ranks its rows must be whole views of the %lld "
                        "samples of a rank",
                        (long long)batch);
        return NULL;
    }
    const wisp_desc all = wisp_desc1(WISP_F32, d->shape[0] * wispi_collective_size(s));
    wisp_desc rows = {WISP_F32, d->rank, {d->shape[0], 1, 1, 1, 1, 1}};
    for (int32_t i = d->rank; i < WISP_MAX_RANK; i++)
        rows.shape[i] = 0;
    wispi_step_of(s)->no_grad++;
    wisp_tensor *in[2] = {full(s, &all, 1), wispi_step_variable(s, &wispi_model_of(s)->step_key)};
    wisp_tensor *kept = wispi_call1(s, WISPI_CALL_drop_path, attrs, in, 2);
    kept = wispi_usable(s, "drop_path", kept) ? wispi_collective_own_rows(s, kept, batch) : NULL;
    if (kept)
        kept = cast(s, wispi_reshape(s, clamp(s, kept, 0, 1), &rows), d->dtype);
    wispi_step_of(s)->no_grad--;
    return kept ? scale(s, mul(s, x, kept), 1 / (1 - attrs->p)) : NULL;
}

static wisp_tensor *drop_path(wisp_step *s, wisp_tensor *x, double p)
{
    wispi_step *step = wispi_step_of(s);
    const int64_t stream = step->draws++;
    if (!wispi_usable(s, "drop_path", x) || p == 0 || wispi_drop_path_is_off(s))
        return x;
    const wisp_drop_path_attrs attrs = {p, stream};
    if (wispi_collective_size(s) > 1)
        return drop_path_of_all(s, x, &attrs);
    wisp_tensor *in[2] = {x, wispi_step_variable(s, &wispi_model_of(s)->step_key)};
    return wispi_call1(s, WISPI_CALL_drop_path, &attrs, in, 2);
}

static wisp_tensor *uniform(wisp_step *s, int64_t count)
{
    const wisp_uniform_attrs attrs = {count, wispi_step_of(s)->draws++};
    wisp_tensor *key = wispi_step_variable(s, &wispi_model_of(s)->step_key);
    return wispi_call1(s, WISPI_CALL_uniform, &attrs, &key, 1);
}

/* --- collectives --- */

static wisp_tensor *all_gather(wisp_step *s, wisp_tensor *x, int32_t with_gradient)
{
    return wispi_usable(s, "all_gather", x) ? wispi_collective_gather(s, x, with_gradient) : NULL;
}

static wisp_tensor *all_reduce_sum(wisp_step *s, wisp_tensor *x)
{
    return wispi_usable(s, "all_reduce_sum", x) ? wispi_collective_sum(s, x) : NULL;
}

static wisp_tensor *all_reduce_mean(wisp_step *s, wisp_tensor *x)
{
    return wispi_usable(s, "all_reduce_mean", x) ? wispi_collective_mean(s, x) : NULL;
}

static int32_t world_size(wisp_step *s)
{
    return wispi_collective_size(s);
}

static int32_t world_rank(wisp_step *s)
{
    return wispi_step_ranks(s) ? wispi_step_ranks(s)->rank : 0;
}

/* --- results and operations by name --- */

static void metric(wisp_step *s, const char *name, wisp_tensor *value)
{
    if (wispi_usable(s, "metric", value) && wispi_model_of(s))
        wispi_metrics_add(wispi_model_of(s)->metrics, s, name, value);
}

static void apply(wisp_step *s, const char *name, const void *attrs, uint64_t attrs_bytes,
                  wisp_tensor *const *in, int32_t n_in, wisp_tensor **out, int32_t n_out)
{
    wisp_tensor *results[WISPI_MAX_OUT] = {NULL};
    const wispi_op *op = wispi_op_find(name);
    if (!op)
        wispi_step_fail(s, WISP_E_NOT_FOUND, "apply: there is no operation called %s", name);
    else if (op->attrs_bytes != attrs_bytes || n_out < 0 || n_out > op->n_out)
        wispi_step_fail(s, WISP_E_INVALID,
                        "apply: %s has attributes of %llu bytes and %d results, not %llu and %d",
                        name, (unsigned long long)op->attrs_bytes, op->n_out,
                        (unsigned long long)attrs_bytes, n_out);
    for (int32_t i = 0; i < n_out && i < WISPI_MAX_OUT; i++)
        results[i] = out[i];
    if (op && wispi_step_of(s)->status == WISP_OK)
        wispi_apply(s, op, attrs, in, n_in, results);
    for (int32_t i = 0; i < n_out; i++)
        out[i] = i < WISPI_MAX_OUT && wispi_step_of(s)->status == WISP_OK ? results[i] : NULL;
}

static const wisp_ops table = {
    .struct_size = sizeof(wisp_ops),
    .constant = constant,
    .full = full,
    .scalar_value = scalar_value,
    .state_value = wispi_state_value,
    .parameter_value = parameter_value,
    .shape_of = shape_of,
    .view = view,
    .views = views,
    .batch_part = batch_part,
    .forward = wispi_forward,
    .forward_features = wispi_forward_features,
    .batch_norm_act = batch_norm_act,
    .ema_update = ema_update,
    .normalize_rows_of = wispi_normalize_rows,
    .drop_gradient = wispi_drop_gradient,
    .clip_gradient = wispi_clip_gradient,
    .no_grad_begin = no_grad_begin,
    .no_grad_end = no_grad_end,
    .stop_gradient = wispi_stop_gradient,
    .add = add,
    .sub = sub,
    .mul = mul,
    .div = divide,
    .maximum = maximum,
    .minimum = minimum,
    .scale = scale,
    .affine = affine,
    .clamp = clamp,
    .unary = unary,
    .cast = cast,
    .sum = sum,
    .mean = mean,
    .max = max,
    .matmul = matmul,
    .linear = linear,
    .conv2d = conv2d,
    .max_pool = max_pool,
    .avg_pool = avg_pool,
    .attention = attention,
    .self_attention = self_attention,
    .attention_probabilities = attention_probabilities,
    .layer_norm = layer_norm,
    .l2_normalize = l2_normalize,
    .weight_norm = weight_norm,
    .softmax = softmax,
    .log_softmax = log_softmax,
    .softmax_shifted = softmax_shifted,
    .cross_entropy = cross_entropy,
    .pair_cross_entropy = pair_cross_entropy,
    .reshape = reshape,
    .permute = permute,
    .broadcast_to = broadcast_to,
    .concat = concat,
    .slice = slice,
    .gather_rows = gather_rows,
    .gather_tokens = gather_tokens,
    .resize_bicubic = resize_bicubic,
    .top_k = top_k,
    .drop_path = drop_path,
    .state_assign = wispi_state_assign,
    .state_lerp = wispi_state_lerp,
    .state_push = wispi_state_push,
    .all_gather = all_gather,
    .all_reduce_sum = all_reduce_sum,
    .all_reduce_mean = all_reduce_mean,
    .world_size = world_size,
    .metric = metric,
    .apply = apply,
    .uniform = uniform,
    .act_linear = wispi_act_linear,
    .conv_norm = wispi_conv_norm,
    .settle = wispi_settle,
    .world_rank = world_rank,
    .own_statistics_begin = own_statistics_begin,
    .own_statistics_end = own_statistics_end,
};

const wisp_ops *wispi_ops_table(void)
{
    return &table;
}
