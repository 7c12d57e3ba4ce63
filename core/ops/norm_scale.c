/* norm_scale.c - batch normalisation as one multiply-add a channel, for whoever reads the map.
 *
 *   scale[c] = gamma[c] / sqrt(var[c] + eps), shift[c] = beta[c] - mean[c] * scale[c]
 *
 * Unlike batch_norm's, its gradient reaches mean and var, and conv_norm's takes it on to the map.
 */
#include <math.h>

#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

static wisp_status check_eps(const wispi_rule *rule, const wisp_norm_scale_attrs *a)
{
    if (a->eps >= 0 && isfinite(a->eps))
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "eps is %g, must be 0 or more", a->eps);
}

static const char *const scale_in[] = {"mean", "var", "gamma", "beta"};
static const char *const scale_out[] = {"scale", "shift"};

static wisp_status scale_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"norm_scale", scale_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_f32(&rule, 0, in[0]));
    WISP_TRY(wispi_rule_f32(&rule, 1, in[0]));
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, in[0]));
    WISP_TRY(wispi_rule_optional_f32(&rule, 3, in[0]));
    WISP_TRY(check_eps(&rule, attrs));
    out[0] = out[1] = *in[0];
    return WISP_OK;
}

static const char *const grad_in[] = {"dscale", "dshift", "mean", "var", "gamma"};
static const char *const grad_out[] = {"dmean", "dvar", "dgamma", "dbeta"};

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"norm_scale_grad", grad_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 1));
    for (int32_t i = 0; i < 4; i++)
        WISP_TRY(wispi_rule_f32(&rule, i, in[0]));
    WISP_TRY(wispi_rule_optional_f32(&rule, 4, in[0]));
    WISP_TRY(check_eps(&rule, attrs));
    for (int32_t i = 0; i < 4; i++)
        out[i] = *in[0];
    return WISP_OK;
}

static void scale_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_norm_scale_attrs *a = attrs;
    const double *mean = in[0].v, *var = in[1].v;
    const double *gamma = wispi_values(in, n_in, 2), *beta = wispi_values(in, n_in, 3);
    for (int64_t c = 0; c < in[0].count; c++) {
        out[0].v[c] = (gamma ? gamma[c] : 1) / sqrt(var[c] + a->eps);
        out[1].v[c] = (beta ? beta[c] : 0) - mean[c] * out[0].v[c];
    }
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_norm_scale_attrs *a = attrs;
    const double *dscale = in[0].v, *dshift = in[1].v, *mean = in[2].v, *var = in[3].v;
    const double *gamma = wispi_values(in, n_in, 4);
    for (int64_t c = 0; c < in[0].count; c++) {
        const double rstd = 1 / sqrt(var[c] + a->eps), factor = gamma ? gamma[c] : 1;
        const double total = dscale[c] - mean[c] * dshift[c];
        out[0].v[c] = -dshift[c] * factor * rstd;
        out[1].v[c] = -0.5 * total * factor * rstd * rstd * rstd;
        out[2].v[c] = total * rstd;
        out[3].v[c] = dshift[c];
    }
}

/* --- cases --- */

#define EPS                                                                                        \
    &(const wisp_norm_scale_attrs)                                                                 \
    {                                                                                              \
        1e-5                                                                                       \
    }

static const wispi_op_case scale_cases[] = {
    {.name = "affine",
     .attrs = EPS,
     .n_in = 4,
     .n_out = 2,
     .in = {WISPI_F32_OF(37), WISPI_F32_OF(37), WISPI_F32_OF(37), WISPI_F32_OF(37)},
     .low = {-1, 0.2, -2, -1},
     .high = {1, 2, 2, 1}},
    {.name = "not_affine",
     .attrs = EPS,
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(5), WISPI_F32_OF(5)},
     .low = {-1, 0.2},
     .high = {1, 2}},
    {.name = "only_beta",
     .attrs = EPS,
     .n_in = 4,
     .n_out = 2,
     .in = {WISPI_F32_OF(1), WISPI_F32_OF(1), WISPI_ABSENT, WISPI_F32_OF(1)},
     .low = {-1, 0.2, 0, -1},
     .high = {1, 2, 0, 1}},
};

static const wispi_op_case grad_cases[] = {
    {.name = "affine",
     .attrs = EPS,
     .n_in = 5,
     .n_out = 4,
     .in = {WISPI_F32_OF(37), WISPI_F32_OF(37), WISPI_F32_OF(37), WISPI_F32_OF(37),
            WISPI_F32_OF(37)},
     .low = {-1, -1, -1, 0.2, -2},
     .high = {1, 1, 1, 2, 2}},
    {.name = "not_affine",
     .attrs = EPS,
     .n_in = 4,
     .n_out = 4,
     .in = {WISPI_F32_OF(3), WISPI_F32_OF(3), WISPI_F32_OF(3), WISPI_F32_OF(3)},
     .low = {-1, -1, -1, 0.2},
     .high = {1, 1, 1, 2}},
};

static const wispi_op grad_op = {
    .name = "norm_scale_grad",
    .attrs_bytes = sizeof(wisp_norm_scale_attrs),
    .min_in = 4,
    .max_in = 5,
    .n_out = 4,
    .parameter_in = 31,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
};

static wisp_status scale_gradient(wispi_grad *grad)
{
    if (!grad->dout[0] && !grad->dout[1])
        return WISP_OK;
    wisp_tensor *gamma = grad->n_in > 2 ? grad->in[2] : NULL;
    wisp_tensor *in[] = {wispi_grad_or_zeros(grad, 0), wispi_grad_or_zeros(grad, 1), grad->in[0],
                         grad->in[1], gamma};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    for (int32_t i = 2; i < 4; i++)
        if (wispi_grad_wants(grad, i))
            out[i] = wispi_grad_target(grad, i);
    wispi_apply(grad->step, &grad_op, grad->attrs, in, 5, out);
    for (int32_t i = 0; i < 4; i++)
        wispi_grad_give(grad, i, out[i]);
    return WISP_OK;
}

static const wispi_op scale_op = {
    .name = "norm_scale",
    .attrs_bytes = sizeof(wisp_norm_scale_attrs),
    .min_in = 2,
    .max_in = 4,
    .n_out = 2,
    .parameter_in = 15,
    .in_names = scale_in,
    .out_names = scale_out,
    .infer = scale_infer,
    .reference = scale_reference,
    .gradient = scale_gradient,
    .cases = scale_cases,
    .n_cases = WISPI_COUNT_OF(scale_cases),
};

static const wispi_op *const ops[] = {&scale_op, &grad_op};
const wispi_op_family wispi_op_norm_scale = {ops, WISPI_COUNT_OF(ops)};
