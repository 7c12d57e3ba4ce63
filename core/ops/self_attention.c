/* self_attention.c - attention of tokens among themselves, straight from the joint projection.
 *
 * qkv is (B,T,3*C): in each token first all of q, then k, then v, head after head inside each. The
 * loops are in attention_rows.h; q, k and v are read where they lie. */
#include "ops/attention_rows.h"
#include "ops/sample.h"

static const char *const self_in[] = {"qkv"};
static const char *const self_out[] = {"y", "lse"};

static wisp_status check_qkv(const wispi_rule *rule, const wisp_attention_attrs *attrs, int32_t i)
{
    WISP_TRY(wispi_rule_rank(rule, i, 3));
    WISP_TRY(wispi_rule_float(rule, i));
    WISP_TRY(wispi_rule_not_empty(rule, i, 1));
    const int64_t channels = rule->in[i]->shape[2];
    if (channels % 3)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "%lld channels do not divide into queries, keys and values",
                               (long long)channels);
    return wispi_attention_heads(rule, attrs, channels / 3);
}

static wisp_desc y_of(const wisp_desc *qkv)
{
    return wisp_desc3(qkv->dtype, qkv->shape[0], qkv->shape[1], qkv->shape[2] / 3);
}

static wisp_desc lse_of(const wisp_attention_attrs *attrs, const wisp_desc *qkv)
{
    return wisp_desc3(WISP_F32, qkv->shape[0], attrs->heads, qkv->shape[1]);
}

static wisp_status self_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"self_attention", self_in, in, n_in, err};
    WISP_TRY(check_qkv(&rule, attrs, 0));
    out[0] = y_of(in[0]);
    out[1] = lse_of(attrs, in[0]);
    return WISP_OK;
}

static const char *const grad_in[] = {"dy", "qkv", "y", "lse"};
static const char *const grad_out[] = {"dqkv"};

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"self_attention_grad", grad_in, in, n_in, err};
    WISP_TRY(check_qkv(&rule, attrs, 1));
    const wisp_desc y = y_of(in[1]), lse = lse_of(attrs, in[1]);
    WISP_TRY(wispi_rule_same_dtype(&rule, 0, 1));
    WISP_TRY(wispi_rule_shape(&rule, 0, &y));
    WISP_TRY(wispi_rule_same_dtype(&rule, 2, 1));
    WISP_TRY(wispi_rule_shape(&rule, 2, &y));
    WISP_TRY(wispi_rule_f32(&rule, 3, &lse));
    out[0] = *in[1];
    return WISP_OK;
}

static wispi_attention rows_of(const wisp_attention_attrs *attrs, const wispi_ref *qkv)
{
    const int64_t channels = qkv->desc->shape[2] / 3;
    const wispi_attention a = {.batch = qkv->desc->shape[0],
                               .n_queries = qkv->desc->shape[1],
                               .n_keys = qkv->desc->shape[1],
                               .heads = attrs->heads,
                               .width = channels / attrs->heads,
                               .stride = 3 * channels,
                               .scale = attrs->scale,
                               .q = qkv->v,
                               .k = qkv->v + channels,
                               .v = qkv->v + 2 * channels};
    return a;
}

static void self_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[0]);
    wispi_attend(&a, out[0].v, out[1].v);
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[1]), d = rows_of(attrs, &out[0]);
    wispi_attend_grad(&a, in[0].v, in[2].v, in[3].v, &d);
}

/* q k^T and p v. */
static double self_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    return 2 * (double)wisp_desc_count(&out[0]) * (double)in[0]->shape[1];
}

/* q k^T again, dp, dv, dq, dk. */
static double grad_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    (void)out;
    return 5 * (double)wisp_desc_count(in[0]) * (double)in[0]->shape[1];
}

/* --- cases --- */

#define HEADS(n, factor)                                                                           \
    &(const wisp_attention_attrs)                                                                  \
    {                                                                                              \
        .heads = n, .scale = factor                                                                \
    }

static const wispi_op_case self_cases[] = {
    {.name = "odd",
     .attrs = HEADS(2, 0.4),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 42)},
     WISPI_UNIT_VALUES},
    {.name = "tiny_vit",
     .attrs = HEADS(3, 0.25),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 17, 144)},
     WISPI_UNIT_VALUES},
    {.name = "many_tokens", /* too many values for finite differences */
     .attrs = HEADS(2, 0.3),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 69, 246)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "tiny_values",
     .attrs = HEADS(2, 0.3),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 69, 246)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(1)},
    {.name = "one_token",
     .attrs = HEADS(1, 1),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 1, 9)},
     WISPI_UNIT_VALUES},
    {.name = "width_one",
     .attrs = HEADS(5, 2),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 7, 15)},
     WISPI_UNIT_VALUES},
};

/* y and lse as the forward kernel gives them. */
static void arrange_results(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)n_in;
    const wispi_attention a = rows_of(attrs, &in[1]);
    for (int64_t i = 0; i < in[2].count; i++)
        in[2].v[i] = 0;
    wispi_attend(&a, in[2].v, in[3].v);
}

static void arrange_tiny_results(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    wispi_arrange_tiny(attrs, in, 2);
    arrange_results(attrs, in, n_in);
}

#define GRAD_CASE WISPI_UNIT_VALUES, .arrange = arrange_results, .arranged = 1u << 2 | 1u << 3

static const wispi_op_case grad_cases[] = {
    {.name = "odd",
     .attrs = HEADS(2, 0.4),
     .n_in = 4,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 14), WISPI_F32_OF(2, 5, 42), WISPI_F32_OF(2, 5, 14),
            WISPI_F32_OF(2, 2, 5)},
     GRAD_CASE},
    {.name = "tiny_vit",
     .attrs = HEADS(3, 0.25),
     .n_in = 4,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 17, 48), WISPI_F32_OF(1, 17, 144), WISPI_F32_OF(1, 17, 48),
            WISPI_F32_OF(1, 3, 17)},
     GRAD_CASE},
    {.name = "many_tokens",
     .attrs = HEADS(2, 0.3),
     .n_in = 4,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 69, 82), WISPI_F32_OF(3, 69, 246), WISPI_F32_OF(3, 69, 82),
            WISPI_F32_OF(3, 2, 69)},
     .skip_grad = 1,
     GRAD_CASE},
    {.name = "tiny_values",
     .attrs = HEADS(2, 0.3),
     .n_in = 4,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 69, 82), WISPI_F32_OF(3, 69, 246), WISPI_F32_OF(3, 69, 82),
            WISPI_F32_OF(3, 2, 69)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES,
     .arrange = arrange_tiny_results,
     .arranged = 15},
    {.name = "one_token",
     .attrs = HEADS(1, 1),
     .n_in = 4,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 1, 3), WISPI_F32_OF(3, 1, 9), WISPI_F32_OF(3, 1, 3),
            WISPI_F32_OF(3, 1, 1)},
     GRAD_CASE},
};

static const wispi_op grad_op = {
    .name = "self_attention_grad",
    .attrs_bytes = sizeof(wisp_attention_attrs),
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .parameter_in = 1u << 3,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .macs = grad_macs,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
    .tolerance_bf16 = 1.5e-2, /* rows of dS, which cancel, are rounded before the products */
};

static const wispi_op self_op;

static wisp_status self_gradient(wispi_grad *grad)
{
    if (!wispi_grad_possible(grad, &self_op) || !grad->dout[0] || !wispi_grad_wants(grad, 0))
        return WISP_OK;
    wisp_tensor *in[] = {grad->dout[0], grad->in[0], grad->out[0], grad->out[1]};
    wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_op, grad->attrs, in, 4));
    return WISP_OK;
}

static const wispi_op self_op = {
    .name = "self_attention",
    .attrs_bytes = sizeof(wisp_attention_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .in_names = self_in,
    .out_names = self_out,
    .infer = self_infer,
    .reference = self_reference,
    .gradient = self_gradient,
    .side_out = 1u << 1,
    .macs = self_macs,
    .cases = self_cases,
    .n_cases = WISPI_COUNT_OF(self_cases),
    .tolerance_bf16 = 8e-3, /* probabilities are rounded, then sums of them */
};

static const wispi_op *const ops[] = {&self_op, &grad_op};
const wispi_op_family wispi_op_self_attention = {ops, WISPI_COUNT_OF(ops)};
