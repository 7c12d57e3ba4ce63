/* cross_entropy.c - the mean cross-entropy of logits against class labels.
 *
 * z = logits * attrs.scale, lse[n] = log sum_k exp(z[n,k]), loss = mean_n (lse[n] - z[n, label]).
 * A label outside 0..K-1 makes the loss and its row of the gradient NaN: nothing is read out of
 * bounds, and the step is seen to be broken. */
#include "ops/log_sum_exp.h"
#include "ops/rule.h"

#include <math.h>

static const char *const forward_names[] = {"logits", "labels"};
static const char *const forward_out_names[] = {"loss", "lse"};
static const char *const grad_names[] = {"dloss", "logits", "labels", "lse"};
static const char *const grad_out_names[] = {"dlogits"};

/* Judges `logits` at argument i and `labels` at argument i + 1. */
static wisp_status judge(const wispi_rule *rule, int32_t i, const wisp_cross_entropy_attrs *t)
{
    WISP_TRY(wispi_rule_float(rule, i));
    WISP_TRY(wispi_rule_rank(rule, i, 2));
    WISP_TRY(wispi_rule_not_empty(rule, i, 0));
    WISP_TRY(wispi_rule_dtype(rule, i + 1, WISP_I64));
    const wisp_desc rows = wisp_desc1(WISP_I64, rule->in[i]->shape[0]);
    WISP_TRY(wispi_rule_shape(rule, i + 1, &rows));
    return wispi_rule_factor(rule, "scale", t->scale);
}

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"cross_entropy", forward_names, in, n_in, err};
    WISP_TRY(judge(&rule, 0, attrs));
    out[0] = wisp_desc0(WISP_F32);
    out[1] = wisp_desc1(WISP_F32, in[0]->shape[0]);
    return WISP_OK;
}

static int is_class(double label, int64_t K)
{
    return label >= 0 && label < (double)K;
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_cross_entropy_attrs *t = attrs;
    const int64_t N = in[0].desc->shape[0], K = in[0].desc->shape[1];
    const double *label = in[1].v;
    double *loss = out[0].v, *lse = out[1].v, sum = 0;
    (void)n_in;
    for (int64_t n = 0; n < N; n++) {
        const double *x = in[0].v + n * K; /* (K) */
        lse[n] = wispi_log_sum_exp(x, t->scale, K);
        sum += is_class(label[n], K) ? lse[n] - x[(int64_t)label[n]] * t->scale : NAN;
    }
    loss[0] = sum / (double)N;
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"cross_entropy_grad", grad_names, in, n_in, err};
    WISP_TRY(wispi_rule_scalar(&rule, 0));
    WISP_TRY(judge(&rule, 1, attrs));
    const wisp_desc rows = wisp_desc1(WISP_F32, in[1]->shape[0]);
    WISP_TRY(wispi_rule_f32(&rule, 3, &rows));
    out[0] = *in[1];
    return WISP_OK;
}

/* dlogits[n,k] = dloss scale / N (exp(z[n,k] - lse[n]) - (k == label[n])) */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_cross_entropy_attrs *t = attrs;
    const int64_t N = in[1].desc->shape[0], K = in[1].desc->shape[1];
    const double *label = in[2].v, *lse = in[3].v;
    const double factor = in[0].v[0] * t->scale / (double)N;
    (void)n_in;
    for (int64_t n = 0; n < N; n++) {
        const double *x = in[1].v + n * K; /* (K) */
        double *dx = out[0].v + n * K;     /* (K) */
        for (int64_t k = 0; k < K; k++)
            dx[k] = is_class(label[n], K) ? factor * exp(x[k] * t->scale - lse[n]) : NAN;
        if (is_class(label[n], K))
            dx[(int64_t)label[n]] -= factor;
    }
}

static const wispi_op cross_entropy;
static const wispi_op cross_entropy_grad;

static wisp_status gradient(wispi_grad *grad)
{
    wisp_tensor *in[4] = {grad->dout[0], grad->in[0], grad->in[1], grad->out[1]};
    if (wispi_grad_possible(grad, &cross_entropy))
        wispi_grad_by(grad, 0, &cross_entropy_grad, grad->attrs, in, 4);
    return WISP_OK;
}

#define SCALE(scale)                                                                               \
    &(const wisp_cross_entropy_attrs)                                                              \
    {                                                                                              \
        scale                                                                                      \
    }
#define FORWARD_CASE(text, scale, n, k, low_x, high_x)                                             \
    {                                                                                              \
        .name = text, .attrs = SCALE(scale), .n_in = 2, .n_out = 2,                                \
        .in = {{WISP_F32, 2, {n, k}}, {WISP_I64, 1, {n}}}, .low = {low_x, 0}, .high = {            \
            high_x,                                                                                \
            k                                                                                      \
        }                                                                                          \
    }
#define GRAD_CASE(text, scale, n, k)                                                               \
    {                                                                                              \
        .name = text, .attrs = SCALE(scale), .n_in = 4, .n_out = 1,                                \
        .in = {{WISP_F32, 0, {0}}, {WISP_F32, 2, {n, k}}, {WISP_I64, 1, {n}}, {WISP_F32, 1, {n}}}, \
        .low = {0.5, -1, 0, 2}, .high = {                                                          \
            2,                                                                                     \
            1,                                                                                     \
            k,                                                                                     \
            6                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case forward_cases[] = {
    FORWARD_CASE("odd", 1, 5, 67, -3, 3),
    FORWARD_CASE("temperature", 5, 7, 1025, -1, 1),
    FORWARD_CASE("large-values", 1, 3, 10, 90, 96),
    FORWARD_CASE("one-row-one-class", 1, 1, 1, -1, 1),
};

static const wispi_op_case grad_cases[] = {
    GRAD_CASE("odd", 1, 5, 67),
    GRAD_CASE("temperature", 5, 7, 1025),
    GRAD_CASE("one-row", 0.5, 1, 10),
};

static const wispi_op cross_entropy = {
    .name = "cross_entropy",
    .attrs_bytes = sizeof(wisp_cross_entropy_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .side_out = 2,
    .in_names = forward_names,
    .out_names = forward_out_names,
    .infer = forward_infer,
    .reference = forward_reference,
    .gradient = gradient,
    .cases = forward_cases,
    .n_cases = sizeof forward_cases / sizeof *forward_cases,
};

static const wispi_op cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .attrs_bytes = sizeof(wisp_cross_entropy_attrs),
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .parameter_in = 9,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&cross_entropy, &cross_entropy_grad};
const wispi_op_family wispi_op_cross_entropy = {family, sizeof family / sizeof *family};
