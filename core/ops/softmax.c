/* softmax.c - probabilities, or their logarithms, over the last dimension.
 *
 * z = (x - shift) * attrs.scale * scale; `shift` is a centre, `scale` an inverse temperature that a
 * schedule moves. Neither has a gradient. softmax_grad gives dx in dy's type; the rule casts it
 * where the result was asked for in f32. */
#include "ops/rule.h"

#include <math.h>

extern const wispi_op_family wispi_op_cast;

static const char *const softmax_names[] = {"x", "shift", "scale"};
static const char *const softmax_out_names[] = {"y"};
static const char *const grad_names[] = {"dy", "y", "scale"};
static const char *const grad_out_names[] = {"dx"};

static wisp_status softmax_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"softmax", softmax_names, in, n_in, err};
    const wisp_softmax_attrs *t = attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_not_empty(&rule, 0, in[0]->rank - 1));
    WISP_TRY(wispi_rule_factor(&rule, "scale", t->scale));
    const wisp_desc row = wisp_desc1(WISP_F32, in[0]->shape[in[0]->rank - 1]);
    WISP_TRY(wispi_rule_optional_f32(&rule, 1, &row));
    if (wispi_rule_in(&rule, 2))
        WISP_TRY(wispi_rule_scalar(&rule, 2));
    out[0] = wispi_desc_as(in[0], t->out_f32 ? WISP_F32 : in[0]->dtype);
    return WISP_OK;
}

static void softmax_row(const double *x, const double *shift, double scale, int log_wanted,
                        int64_t k_count, double *y)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < k_count; k++) {
        y[k] = (x[k] - (shift ? shift[k] : 0)) * scale;
        max = y[k] > max ? y[k] : max;
    }
    for (int64_t k = 0; k < k_count; k++)
        sum += exp(y[k] - max);
    for (int64_t k = 0; k < k_count; k++)
        y[k] = log_wanted ? y[k] - max - log(sum) : exp(y[k] - max) / sum;
}

static void softmax_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_softmax_attrs *t = attrs;
    const int64_t K = in[0].desc->shape[in[0].desc->rank - 1];
    const double *shift = n_in > 1 ? in[1].v : NULL;
    const double scale = t->scale * (n_in > 2 && in[2].v ? in[2].v[0] : 1);
    for (int64_t i = 0; i < in[0].count; i += K)
        softmax_row(in[0].v + i, shift, scale, t->log, K, out[0].v + i);
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"softmax_grad", grad_names, in, n_in, err};
    const wisp_softmax_attrs *t = attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_not_empty(&rule, 0, in[0]->rank - 1));
    WISP_TRY(wispi_rule_like(&rule, 1, 0));
    WISP_TRY(wispi_rule_factor(&rule, "scale", t->scale));
    if (wispi_rule_in(&rule, 2))
        WISP_TRY(wispi_rule_scalar(&rule, 2));
    out[0] = *in[0];
    return WISP_OK;
}

/* y = softmax(z):      dz[k] = y[k] (dy[k] - sum_j dy[j] y[j])
 * y = log softmax(z):  dz[k] = dy[k] - exp(y[k]) sum_j dy[j] */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_softmax_attrs *t = attrs;
    const int64_t K = in[0].desc->shape[in[0].desc->rank - 1];
    const double scale = t->scale * (n_in > 2 && in[2].v ? in[2].v[0] : 1);
    for (int64_t i = 0; i < in[0].count; i += K) {
        const double *dy = in[0].v + i, *y = in[1].v + i;
        double sum = 0;
        for (int64_t k = 0; k < K; k++)
            sum += t->log ? dy[k] : dy[k] * y[k];
        for (int64_t k = 0; k < K; k++)
            out[0].v[i + k] = scale * (t->log ? dy[k] - exp(y[k]) * sum : y[k] * (dy[k] - sum));
    }
}

static const wispi_op softmax;
static const wispi_op softmax_grad;

static wisp_status softmax_gradient(wispi_grad *grad)
{
    const wisp_cast_attrs back = {wispi_tensor_desc(grad->in[0])->dtype, 0};
    wisp_tensor *in[3] = {grad->dout[0], grad->out[0], grad->n_in > 2 ? grad->in[2] : NULL};
    if (!wispi_grad_possible(grad, &softmax))
        return WISP_OK;
    if (wispi_tensor_desc(grad->out[0])->dtype == back.dtype) {
        wispi_grad_by(grad, 0, &softmax_grad, grad->attrs, in, 3);
        return WISP_OK;
    }
    wisp_tensor *dx = wispi_apply1(grad->step, &softmax_grad, grad->attrs, in, 3);
    wispi_grad_by(grad, 0, wispi_op_cast.ops[0], &back, &dx, 1);
    return WISP_OK;
}

#define WITH(scale, log, out_f32)                                                                  \
    &(const wisp_softmax_attrs)                                                                    \
    {                                                                                              \
        scale, log, out_f32                                                                        \
    }

static const wispi_op_case softmax_cases[] = {
    {.name = "odd",
     .attrs = WITH(1, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 3, 67}}},
     .low = {-3},
     .high = {3}},
    {.name = "log",
     .attrs = WITH(10, 1, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 131}}},
     .low = {-1},
     .high = {1}},
    {.name = "centred-into-f32",
     .attrs = WITH(1, 0, 1),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 1025}}, {WISP_F32, 1, {1025}}, {WISP_F32, 0, {0}}},
     .low = {-1, -0.5, 10},
     .high = {1, 0.5, 25}},
    {.name = "scale-only",
     .attrs = WITH(-2, 1, 1),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 17}}, {0}, {WISP_F32, 0, {0}}},
     .low = {-1, 0, 0.5},
     .high = {1, 0, 2}},
    {.name = "large-values",
     .attrs = WITH(1, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 7}}},
     .low = {9000},
     .high = {9004}},
    {.name = "one-class",
     .attrs = WITH(1, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 1, {1}}},
     .low = {-1},
     .high = {1}},
};

static const wispi_op_case grad_cases[] = {
    {.name = "odd",
     .attrs = WITH(10, 0, 0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 3, 67}}, {WISP_F32, 3, {2, 3, 67}}},
     .low = {-1, 0},
     .high = {1, 0.03}},
    {.name = "log",
     .attrs = WITH(1, 1, 0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 131}}, {WISP_F32, 2, {5, 131}}},
     .low = {-1, -8},
     .high = {1, -2}},
    {.name = "scale-in-f32",
     .attrs = WITH(1, 0, 1),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 1025}}, {WISP_F32, 2, {3, 1025}}, {WISP_F32, 0, {0}}},
     .low = {-1, 0, 10},
     .high = {1, 0.002, 25},
     .no_bf16 = 3},
};

static const wispi_op softmax = {
    .name = "softmax",
    .attrs_bytes = sizeof(wisp_softmax_attrs),
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 6,
    .constant_in = 6,
    .in_names = softmax_names,
    .out_names = softmax_out_names,
    .infer = softmax_infer,
    .reference = softmax_reference,
    .gradient = softmax_gradient,
    .cases = softmax_cases,
    .n_cases = sizeof softmax_cases / sizeof *softmax_cases,
};

static const wispi_op softmax_grad = {
    .name = "softmax_grad",
    .attrs_bytes = sizeof(wisp_softmax_attrs),
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 4,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&softmax, &softmax_grad};
const wispi_op_family wispi_op_softmax = {family, sizeof family / sizeof *family};
