/* layer_norm.c - normalisation of each row over its channels.
 *
 *   y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gamma[c] + beta[c],  rstd = 1 / sqrt(var + eps)
 *
 * mean and rstd are results too, kept for the backward pass; they have no gradient of their own. */
#include <math.h>

#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

static const char *const norm_in[] = {"x", "gamma", "beta"};
static const char *const norm_out[] = {"y", "mean", "rstd"};

static wisp_status norm_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wisp_layer_norm_attrs *a = attrs;
    const wispi_rule rule = {"layer_norm", norm_in, in, n_in, err};
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_not_empty(&rule, 0, in[0]->rank - 1));
    const wisp_desc c = wisp_desc1(WISP_F32, wispi_last(in[0]));
    WISP_TRY(wispi_rule_optional_f32(&rule, 1, &c));
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, &c));
    if (!(a->eps >= 0) || !isfinite(a->eps))
        return wispi_rule_fail(&rule, WISP_E_INVALID, "eps is %g, must be 0 or more", a->eps);
    out[0] = *in[0];
    out[1] = out[2] = wispi_desc_leading(in[0], in[0]->rank - 1, WISP_F32);
    return WISP_OK;
}

static const char *const grad_in[] = {"dy", "x", "gamma", "mean", "rstd"};
static const char *const grad_out[] = {"dx", "dgamma", "dbeta"};

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wisp_layer_norm_attrs *a = attrs;
    const wispi_rule rule = {"layer_norm_grad", grad_in, in, n_in, err};
    WISP_TRY(wispi_rule_min_rank(&rule, 1, 1));
    WISP_TRY(wispi_rule_float(&rule, 1));
    WISP_TRY(wispi_rule_not_empty(&rule, 1, in[1]->rank - 1));
    WISP_TRY(wispi_rule_like(&rule, 0, 1));
    const wisp_desc c = wisp_desc1(WISP_F32, wispi_last(in[1]));
    const wisp_desc rows = wispi_desc_leading(in[1], in[1]->rank - 1, WISP_F32);
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, &c));
    WISP_TRY(wispi_rule_f32(&rule, 3, &rows));
    WISP_TRY(wispi_rule_f32(&rule, 4, &rows));
    out[0] = *in[1];
    out[1] = out[2] = a->want_affine ? c : (wisp_desc){0, 0, {0}};
    return WISP_OK;
}

/* x (R,C), gamma, beta (C) -> y (R,C), mean (R), rstd (R) */
static void norm_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_layer_norm_attrs *a = attrs;
    const double *gamma = wispi_values(in, n_in, 1), *beta = wispi_values(in, n_in, 2);
    const int64_t n_c = wispi_last(in[0].desc), n_r = wispi_leading_count(in[0].desc, 1);
    for (int64_t r = 0; r < n_r; r++) {
        const double *x = in[0].v + r * n_c;
        double *y = out[0].v + r * n_c;
        double mean = 0, var = 0;
        for (int64_t c = 0; c < n_c; c++)
            mean += x[c] / (double)n_c;
        for (int64_t c = 0; c < n_c; c++)
            var += (x[c] - mean) * (x[c] - mean) / (double)n_c;
        const double rstd = 1 / sqrt(var + a->eps);
        for (int64_t c = 0; c < n_c; c++)
            y[c] = (x[c] - mean) * rstd * (gamma ? gamma[c] : 1) + (beta ? beta[c] : 0);
        out[1].v[r] = mean;
        out[2].v[r] = rstd;
    }
}

/* dy, x (R,C), gamma (C), mean, rstd (R) -> dx (R,C), dgamma, dbeta (C). With g = dy * gamma:
 * dx = rstd * (g - mean of g over c - xhat * mean of g * xhat over c). */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs;
    (void)n_in;
    const double *gamma = in[2].v;
    const int64_t n_c = wispi_last(in[1].desc), n_r = wispi_leading_count(in[1].desc, 1);
    for (int64_t r = 0; r < n_r; r++) {
        const double *dy = in[0].v + r * n_c, *x = in[1].v + r * n_c;
        const double mean = in[3].v[r], rstd = in[4].v[r];
        double mean_g = 0, mean_g_xhat = 0;
        for (int64_t c = 0; c < n_c; c++) {
            const double xhat = (x[c] - mean) * rstd, g = dy[c] * (gamma ? gamma[c] : 1);
            mean_g += g / (double)n_c;
            mean_g_xhat += g * xhat / (double)n_c;
            if (out[1].v)
                out[1].v[c] += dy[c] * xhat;
            if (out[2].v)
                out[2].v[c] += dy[c];
        }
        for (int64_t c = 0; c < n_c; c++) {
            const double xhat = (x[c] - mean) * rstd, g = dy[c] * (gamma ? gamma[c] : 1);
            out[0].v[r * n_c + c] = rstd * (g - mean_g - xhat * mean_g_xhat);
        }
    }
}

/* --- cases --- */

#define NORM(...)                                                                                  \
    &(const wisp_layer_norm_attrs)                                                                 \
    {                                                                                              \
        .eps = 1e-6, __VA_ARGS__                                                                   \
    }

static const wispi_op_case norm_cases[] = {
    {.name = "tokens",
     .attrs = NORM(.want_affine = 0),
     .n_in = 3,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 5, 48), WISPI_F32_OF(48), WISPI_F32_OF(48)},
     WISPI_UNIT_VALUES},
    {.name = "odd",
     .attrs = NORM(.want_affine = 0),
     .n_in = 3,
     .n_out = 3,
     .in = {WISPI_F32_OF(7, 13), WISPI_F32_OF(13), WISPI_F32_OF(13)},
     WISPI_UNIT_VALUES},
    {.name = "not_affine",
     .attrs = NORM(.want_affine = 0),
     .n_in = 1,
     .n_out = 3,
     .in = {WISPI_F32_OF(3, 17)},
     WISPI_UNIT_VALUES},
    {.name = "only_beta",
     .attrs = NORM(.want_affine = 0),
     .n_in = 3,
     .n_out = 3,
     .in = {WISPI_F32_OF(3, 2, 2, 5), WISPI_ABSENT, WISPI_F32_OF(5)},
     WISPI_UNIT_VALUES},
    {.name = "one_row",
     .attrs = NORM(.want_affine = 0),
     .n_in = 2,
     .n_out = 3,
     .in = {WISPI_F32_OF(19), WISPI_F32_OF(19)},
     .low = {-1, -1}, /* one mean only: it must not be 0 by chance */
     .high = {3, 1}},
};

/* dy, x, gamma, mean, rstd */
#define GRAD_VALUES .low = {-1, -1, 0.5, -1, 0.5}, .high = {1, 1, 2, 1, 2}

static const wispi_op_case grad_cases[] = {
    {.name = "tokens",
     .attrs = NORM(.want_affine = 1),
     .n_in = 5,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 5, 48), WISPI_F32_OF(2, 5, 48), WISPI_F32_OF(48), WISPI_F32_OF(2, 5),
            WISPI_F32_OF(2, 5)},
     GRAD_VALUES},
    {.name = "odd",
     .attrs = NORM(.want_affine = 1),
     .n_in = 5,
     .n_out = 3,
     .in = {WISPI_F32_OF(7, 13), WISPI_F32_OF(7, 13), WISPI_F32_OF(13), WISPI_F32_OF(7),
            WISPI_F32_OF(7)},
     GRAD_VALUES},
    {.name = "not_affine",
     .attrs = NORM(.want_affine = 0),
     .n_in = 5,
     .n_out = 3,
     .in = {WISPI_F32_OF(3, 17), WISPI_F32_OF(3, 17), WISPI_ABSENT, WISPI_F32_OF(3),
            WISPI_F32_OF(3)},
     GRAD_VALUES},
};

static const wispi_op grad_op = {
    .name = "layer_norm_grad",
    .attrs_bytes = sizeof(wisp_layer_norm_attrs),
    .min_in = 5,
    .max_in = 5,
    .n_out = 3,
    .parameter_in = 1u << 2 | 1u << 3 | 1u << 4,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
};

static const wispi_op norm_op;

static wisp_status norm_gradient(wispi_grad *grad)
{
    wisp_layer_norm_attrs attrs = *(const wisp_layer_norm_attrs *)grad->attrs;
    if (!wispi_grad_possible(grad, &norm_op) || !grad->dout[0])
        return WISP_OK;
    wisp_tensor *in[] = {grad->dout[0], grad->in[0], grad->n_in > 1 ? grad->in[1] : NULL,
                         grad->out[1], grad->out[2]};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    attrs.want_affine = wispi_grad_wants(grad, 1) || wispi_grad_wants(grad, 2);
    for (int32_t i = 1; i < 3; i++)
        if (wispi_grad_wants(grad, i))
            out[i] = wispi_grad_target(grad, i);
    wispi_apply(grad->step, &grad_op, &attrs, in, 5, out);
    for (int32_t i = 0; i < 3; i++)
        wispi_grad_give(grad, i, out[i]);
    return WISP_OK;
}

static const wispi_op norm_op = {
    .name = "layer_norm",
    .attrs_bytes = sizeof(wisp_layer_norm_attrs),
    .min_in = 1,
    .max_in = 3,
    .n_out = 3,
    .parameter_in = 1u << 1 | 1u << 2,
    .in_names = norm_in,
    .out_names = norm_out,
    .infer = norm_infer,
    .reference = norm_reference,
    .gradient = norm_gradient,
    .side_out = 1u << 1 | 1u << 2,
    .cases = norm_cases,
    .n_cases = WISPI_COUNT_OF(norm_cases),
};

static const wispi_op *const ops[] = {&norm_op, &grad_op};
const wispi_op_family wispi_op_layer_norm = {ops, WISPI_COUNT_OF(ops)};
