/* weight_norm.c - a weight as direction and length per row: w[o] = g[o] v[o] / norm[o],
 * norm[o] = |v[o]|. */
#include "ops/rule.h"

#include <math.h>

static const char *const forward_names[] = {"v", "g"};
static const char *const forward_out_names[] = {"w", "norm"};
static const char *const grad_names[] = {"dw", "v", "g", "norm"};
static const char *const grad_out_names[] = {"dv", "dg"};

/* Judges v at argument i and g at argument i + 1. */
static wisp_status judge(const wispi_rule *rule, int32_t i)
{
    WISP_TRY(wispi_rule_rank(rule, i, 2));
    WISP_TRY(wispi_rule_dtype(rule, i, WISP_F32));
    WISP_TRY(wispi_rule_not_empty(rule, i, 0));
    const wisp_desc g = wisp_desc2(WISP_F32, rule->in[i]->shape[0], 1);
    return wispi_rule_f32(rule, i + 1, &g);
}

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"weight_norm", forward_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(judge(&rule, 0));
    out[0] = *in[0];
    out[1] = wisp_desc1(WISP_F32, in[0]->shape[0]);
    return WISP_OK;
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const int64_t O = in[0].desc->shape[0], I = in[0].desc->shape[1];
    (void)attrs, (void)n_in;
    for (int64_t o = 0; o < O; o++) {
        const double *v = in[0].v + o * I, g = in[1].v[o];
        double sum = 0;
        for (int64_t i = 0; i < I; i++)
            sum += v[i] * v[i];
        out[1].v[o] = sqrt(sum);
        for (int64_t i = 0; i < I; i++)
            out[0].v[o * I + i] = g * v[i] / sqrt(sum);
    }
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"weight_norm_grad", grad_names, in, n_in, err};
    const wisp_weight_norm_attrs *t = attrs;
    WISP_TRY(judge(&rule, 1));
    WISP_TRY(wispi_rule_f32(&rule, 0, in[1]));
    const wisp_desc norm = wisp_desc1(WISP_F32, in[1]->shape[0]);
    WISP_TRY(wispi_rule_f32(&rule, 3, &norm));
    out[0] = *in[1];
    out[1] = *in[2];
    if (!t->want_gain)
        out[1].dtype = 0;
    return WISP_OK;
}

/* dot = dw . v;  dg = dot / norm;  dv = g / norm (dw - v dot / norm^2) */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_weight_norm_attrs *t = attrs;
    const int64_t O = in[1].desc->shape[0], I = in[1].desc->shape[1];
    (void)n_in;
    for (int64_t o = 0; o < O; o++) {
        const double *dw = in[0].v + o * I, *v = in[1].v + o * I;
        const double g = in[2].v[o], norm = in[3].v[o];
        double dot = 0;
        for (int64_t i = 0; i < I; i++)
            dot += dw[i] * v[i];
        for (int64_t i = 0; i < I; i++)
            out[0].v[o * I + i] = g / norm * (dw[i] - v[i] * dot / (norm * norm));
        if (t->want_gain)
            out[1].v[o] = dot / norm;
    }
}

static const wispi_op weight_norm;
static const wispi_op weight_norm_grad;

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_weight_norm_attrs attrs = {wispi_grad_wants(grad, 1), 0};
    wisp_tensor *in[4] = {grad->dout[0], grad->in[0], grad->in[1], grad->out[1]};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    if (!wispi_grad_possible(grad, &weight_norm))
        return WISP_OK;
    out[0] = wispi_grad_target(grad, 0);
    out[1] = attrs.want_gain ? wispi_grad_target(grad, 1) : NULL;
    wispi_apply(grad->step, &weight_norm_grad, &attrs, in, 4, out);
    wispi_grad_give(grad, 0, out[0]);
    if (attrs.want_gain)
        wispi_grad_give(grad, 1, out[1]);
    return WISP_OK;
}

#define FORWARD_CASE(text, o, i)                                                                   \
    {                                                                                              \
        .name = text, .n_in = 2, .n_out = 2, .in = {{WISP_F32, 2, {o, i}}, {WISP_F32, 2, {o, 1}}}, \
        .low = {-1, 0.5}, .high = {                                                                \
            1,                                                                                     \
            2                                                                                      \
        }                                                                                          \
    }
#define GRAD_CASE(text, gain, o, i)                                                                \
    {                                                                                              \
        .name = text, .attrs = &(const wisp_weight_norm_attrs){gain, 0}, .n_in = 4, .n_out = 2,    \
        .in = {{WISP_F32, 2, {o, i}},                                                              \
               {WISP_F32, 2, {o, i}},                                                              \
               {WISP_F32, 2, {o, 1}},                                                              \
               {WISP_F32, 1, {o}}},                                                                \
        .low = {-1, -1, 0.5, 1}, .high = {                                                         \
            1,                                                                                     \
            1,                                                                                     \
            2,                                                                                     \
            3                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case forward_cases[] = {
    FORWARD_CASE("odd", 5, 67),
    FORWARD_CASE("wide", 67, 256),
    FORWARD_CASE("one-column", 7, 1),
};

static const wispi_op_case grad_cases[] = {
    GRAD_CASE("odd", 1, 5, 67),
    GRAD_CASE("wide-fixed-gain", 0, 67, 256),
    GRAD_CASE("one-column", 1, 7, 1),
};

static const wispi_op weight_norm = {
    .name = "weight_norm",
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .parameter_in = 3,
    .side_out = 2,
    .in_names = forward_names,
    .out_names = forward_out_names,
    .infer = forward_infer,
    .reference = forward_reference,
    .gradient = gradient,
    .cases = forward_cases,
    .n_cases = sizeof forward_cases / sizeof *forward_cases,
};

static const wispi_op weight_norm_grad = {
    .name = "weight_norm_grad",
    .attrs_bytes = sizeof(wisp_weight_norm_attrs),
    .min_in = 4,
    .max_in = 4,
    .n_out = 2,
    .parameter_in = 15,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&weight_norm, &weight_norm_grad};
const wispi_op_family wispi_op_weight_norm = {family, sizeof family / sizeof *family};
