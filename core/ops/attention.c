/* attention.c - softmax(scale * q k^T) v for each head, from three tensors.
 *
 * The loops are in attention_rows.h. Probabilities are never stored: the backward pass makes them
 * again from lse. */
#include "ops/attention_rows.h"
#include "ops/sample.h"

static const char *const attention_in[] = {"q", "k", "v"};
static const char *const attention_out[] = {"y", "lse"};

/* q (B,Tq,C), k and v (B,Tk,C) as arguments `first` to `first` + 2. */
static wisp_status check_qkv(const wispi_rule *rule, const wisp_attention_attrs *attrs,
                             int32_t first)
{
    const int32_t k = first + 1, v = first + 2;
    WISP_TRY(wispi_rule_rank(rule, first, 3));
    WISP_TRY(wispi_rule_rank(rule, k, 3));
    WISP_TRY(wispi_rule_float(rule, first));
    WISP_TRY(wispi_rule_same_dtype(rule, k, first));
    WISP_TRY(wispi_rule_not_empty(rule, first, 1));
    WISP_TRY(wispi_rule_not_empty(rule, k, 1));
    const int64_t *sq = rule->in[first]->shape, *sk = rule->in[k]->shape;
    if (sq[0] != sk[0])
        return wispi_rule_fail(rule, WISP_E_SHAPE, "batches %lld and %lld differ", (long long)sq[0],
                               (long long)sk[0]);
    if (sq[2] != sk[2])
        return wispi_rule_fail(rule, WISP_E_SHAPE, "channels %lld and %lld differ",
                               (long long)sq[2], (long long)sk[2]);
    WISP_TRY(wispi_rule_like(rule, v, k));
    return wispi_attention_heads(rule, attrs, sq[2]);
}

static wisp_desc lse_of(const wisp_attention_attrs *attrs, const wisp_desc *q)
{
    return wisp_desc3(WISP_F32, q->shape[0], attrs->heads, q->shape[1]);
}

static wisp_status attention_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                   wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"attention", attention_in, in, n_in, err};
    WISP_TRY(check_qkv(&rule, attrs, 0));
    const wisp_desc lse = lse_of(attrs, in[0]);
    WISP_TRY(wispi_rule_countable(&rule, &lse));
    out[0] = *in[0];
    out[1] = lse;
    return WISP_OK;
}

static const char *const grad_in[] = {"dy", "q", "k", "v", "y", "lse"};
static const char *const grad_out[] = {"dq", "dk", "dv"};

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"attention_grad", grad_in, in, n_in, err};
    WISP_TRY(check_qkv(&rule, attrs, 1));
    WISP_TRY(wispi_rule_like(&rule, 0, 1));
    WISP_TRY(wispi_rule_like(&rule, 4, 1));
    const wisp_desc lse = lse_of(attrs, in[1]);
    WISP_TRY(wispi_rule_f32(&rule, 5, &lse));
    out[0] = *in[1];
    out[1] = *in[2];
    out[2] = *in[3];
    return WISP_OK;
}

static wispi_attention rows_of(const wisp_attention_attrs *attrs, const wispi_ref *q,
                               const wispi_ref *k, const wispi_ref *v)
{
    const int64_t channels = q->desc->shape[2];
    const wispi_attention a = {.batch = q->desc->shape[0],
                               .n_queries = q->desc->shape[1],
                               .n_keys = k->desc->shape[1],
                               .heads = attrs->heads,
                               .width = channels / attrs->heads,
                               .stride = channels,
                               .scale = attrs->scale,
                               .q = q->v,
                               .k = k->v,
                               .v = v->v};
    return a;
}

static void attention_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                wispi_ref *out)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[0], &in[1], &in[2]);
    wispi_attend(&a, out[0].v, out[1].v);
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[1], &in[2], &in[3]);
    const wispi_attention d = rows_of(attrs, &out[0], &out[1], &out[2]);
    wispi_attend_grad(&a, in[0].v, in[4].v, in[5].v, &d);
}

/* q k^T and p v. */
static double attention_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    (void)out;
    return 2 * (double)wisp_desc_count(in[0]) * (double)in[1]->shape[1];
}

/* q k^T again, dp, dv, dq, dk. */
static double grad_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    (void)out;
    return 5 * (double)wisp_desc_count(in[1]) * (double)in[2]->shape[1];
}

/* --- cases --- */

#define HEADS(n, factor)                                                                           \
    &(const wisp_attention_attrs)                                                                  \
    {                                                                                              \
        .heads = n, .scale = factor                                                                \
    }

static const wispi_op_case attention_cases[] = {
    {.name = "odd",
     .attrs = HEADS(2, 0.4),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 14), WISPI_F32_OF(2, 7, 14), WISPI_F32_OF(2, 7, 14)},
     WISPI_UNIT_VALUES},
    {.name = "square",
     .attrs = HEADS(3, 0.25),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 48)},
     WISPI_UNIT_VALUES},
    {.name = "one_query",
     .attrs = HEADS(1, 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 1, 5), WISPI_F32_OF(3, 11, 5), WISPI_F32_OF(3, 11, 5)},
     WISPI_UNIT_VALUES},
    {.name = "one_key",
     .attrs = HEADS(2, 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 2), WISPI_F32_OF(2, 1, 2), WISPI_F32_OF(2, 1, 2)},
     WISPI_UNIT_VALUES},
    {.name = "large_scores", /* exp of a score alone would overflow in single precision */
     .attrs = HEADS(1, 30),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 4, 8), WISPI_F32_OF(1, 6, 8), WISPI_F32_OF(1, 6, 8)},
     WISPI_UNIT_VALUES,
     .no_bf16 = 7},
};

/* y and lse as the forward kernel gives them. */
static void arrange_results(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[1], &in[2], &in[3]);
    for (int64_t i = 0; i < in[4].count; i++)
        in[4].v[i] = 0;
    wispi_attend(&a, in[4].v, in[5].v);
}

#define GRAD_CASE WISPI_UNIT_VALUES, .arrange = arrange_results, .arranged = 1u << 4 | 1u << 5

static const wispi_op_case grad_cases[] = {
    {.name = "odd",
     .attrs = HEADS(2, 0.4),
     .n_in = 6,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 5, 14), WISPI_F32_OF(2, 5, 14), WISPI_F32_OF(2, 7, 14),
            WISPI_F32_OF(2, 7, 14), WISPI_F32_OF(2, 5, 14), WISPI_F32_OF(2, 2, 5)},
     GRAD_CASE},
    {.name = "square",
     .attrs = HEADS(3, 0.25),
     .n_in = 6,
     .n_out = 3,
     .in = {WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 48),
            WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 3, 17)},
     GRAD_CASE},
    {.name = "one_query",
     .attrs = HEADS(1, 1),
     .n_in = 6,
     .n_out = 3,
     .in = {WISPI_F32_OF(3, 1, 5), WISPI_F32_OF(3, 1, 5), WISPI_F32_OF(3, 11, 5),
            WISPI_F32_OF(3, 11, 5), WISPI_F32_OF(3, 1, 5), WISPI_F32_OF(3, 1, 1)},
     GRAD_CASE},
};

static const wispi_op grad_op = {
    .name = "attention_grad",
    .attrs_bytes = sizeof(wisp_attention_attrs),
    .min_in = 6,
    .max_in = 6,
    .n_out = 3,
    .parameter_in = 1u << 5,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .macs = grad_macs,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
    .tolerance_bf16 = 1.5e-2, /* rows of dS, which cancel, are rounded before the products */
};

static const wispi_op attention_op;

static wisp_status attention_gradient(wispi_grad *grad)
{
    wisp_tensor *const *qkv = grad->in;
    if (!wispi_grad_possible(grad, &attention_op) || !grad->dout[0])
        return WISP_OK;
    wisp_tensor *in[] = {grad->dout[0], qkv[0], qkv[1], qkv[2], grad->out[0], grad->out[1]};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    wispi_apply(grad->step, &grad_op, grad->attrs, in, 6, out);
    for (int32_t i = 0; i < 3; i++)
        wispi_grad_give(grad, i, out[i]);
    return WISP_OK;
}

static const wispi_op attention_op = {
    .name = "attention",
    .attrs_bytes = sizeof(wisp_attention_attrs),
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .in_names = attention_in,
    .out_names = attention_out,
    .infer = attention_infer,
    .reference = attention_reference,
    .gradient = attention_gradient,
    .side_out = 1u << 1,
    .macs = attention_macs,
    .cases = attention_cases,
    .n_cases = WISPI_COUNT_OF(attention_cases),
    .tolerance_bf16 = 8e-3, /* probabilities are rounded, then sums of them */
};

static const wispi_op *const ops[] = {&attention_op, &grad_op};
const wispi_op_family wispi_op_attention = {ops, WISPI_COUNT_OF(ops)};
