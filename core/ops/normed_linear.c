/* normed_linear.c - the fully connected layer whose weight is given as direction and length, for
 * few rows: w[o] = g[o] v[o] / norm[o] is never written down.
 *
 *   y[r,o] = g[o] / norm[o] * sum over i of x[r,i] * v[o,i],  norm[o] = |v[o]|
 *
 * The gradient of v is  g / norm (dw - v (dw . v) / norm^2)  with  dw[o] = sum over r of
 * dy[r,o] x[r];  g / norm (dw . v) is the sum over r of dy[r,o] y[r,o]. The gains are constants
 * here. */
#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

#include <math.h>

/* Arguments i, i + 1 and, where `normed`, i + 2: v, g, norm. */
static wisp_status check_weight(const wispi_rule *rule, int32_t i, int normed)
{
    WISP_TRY(wispi_rule_rank(rule, i, 2));
    WISP_TRY(wispi_rule_dtype(rule, i, WISP_F32));
    WISP_TRY(wispi_rule_not_empty(rule, i, 0));
    const wisp_desc g = wisp_desc2(WISP_F32, rule->in[i]->shape[0], 1);
    const wisp_desc norm = wisp_desc1(WISP_F32, rule->in[i]->shape[0]);
    WISP_TRY(wispi_rule_f32(rule, i + 1, &g));
    return normed ? wispi_rule_f32(rule, i + 2, &norm) : WISP_OK;
}

/* Argument i: activations whose last dimension has `size` values. */
static wisp_status check_rows(const wispi_rule *rule, int32_t i, int64_t size)
{
    WISP_TRY(wispi_rule_min_rank(rule, i, 1));
    WISP_TRY(wispi_rule_float(rule, i));
    if (wispi_last(rule->in[i]) != size)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "rows of %s have %lld values, not %lld",
                               rule->names[i], (long long)wispi_last(rule->in[i]), (long long)size);
    return WISP_OK;
}

static const char *const forward_in[] = {"x", "v", "g"};
static const char *const forward_out[] = {"y", "norm"};

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"normed_linear", forward_in, in, n_in, err};
    (void)attrs;
    WISP_TRY(check_weight(&rule, 1, 0));
    WISP_TRY(wispi_rule_present(&rule, 0));
    WISP_TRY(check_rows(&rule, 0, in[1]->shape[1]));
    out[0] = *in[0];
    out[0].shape[in[0]->rank - 1] = in[1]->shape[0];
    out[1] = wisp_desc1(WISP_F32, in[1]->shape[0]);
    return wispi_rule_countable(&rule, &out[0]);
}

static const char *const grad_input_in[] = {"dy", "v", "g", "norm"};
static const char *const grad_input_out[] = {"dx"};

static wisp_status grad_input_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"normed_linear_grad_input", grad_input_in, in, n_in, err};
    (void)attrs;
    WISP_TRY(check_weight(&rule, 1, 1));
    WISP_TRY(wispi_rule_present(&rule, 0));
    WISP_TRY(check_rows(&rule, 0, in[1]->shape[0]));
    out[0] = *in[0];
    out[0].shape[in[0]->rank - 1] = in[1]->shape[1];
    return wispi_rule_countable(&rule, &out[0]);
}

static const char *const grad_weight_in[] = {"x", "dy", "y", "v", "g", "norm"};
static const char *const grad_weight_out[] = {"dv"};

static wisp_status grad_weight_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                     wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"normed_linear_grad_weight", grad_weight_in, in, n_in, err};
    (void)attrs;
    WISP_TRY(check_weight(&rule, 3, 1));
    WISP_TRY(wispi_rule_present(&rule, 0));
    WISP_TRY(check_rows(&rule, 0, in[3]->shape[1]));
    wisp_desc y = *in[0];
    y.shape[y.rank - 1] = in[3]->shape[0];
    WISP_TRY(wispi_rule_shape(&rule, 1, &y));
    WISP_TRY(wispi_rule_same_dtype(&rule, 1, 0));
    WISP_TRY(wispi_rule_shape(&rule, 2, &y));
    WISP_TRY(wispi_rule_same_dtype(&rule, 2, 0));
    out[0] = *in[3];
    return WISP_OK;
}

/* --- reference --- */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const int64_t n_o = in[1].desc->shape[0], n_i = in[1].desc->shape[1];
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    (void)attrs, (void)n_in;
    for (int64_t o = 0; o < n_o; o++) {
        const double *v = in[1].v + o * n_i;
        const double norm = sqrt(dot(v, v, n_i));
        out[1].v[o] = norm;
        for (int64_t r = 0; r < rows; r++)
            out[0].v[r * n_o + o] = in[2].v[o] / norm * dot(in[0].v + r * n_i, v, n_i);
    }
}

static void grad_input_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    const int64_t n_o = in[1].desc->shape[0], n_i = in[1].desc->shape[1];
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    (void)attrs, (void)n_in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_o; o++) {
            const double d = in[0].v[r * n_o + o] * in[2].v[o] / in[3].v[o];
            for (int64_t i = 0; i < n_i; i++)
                out[0].v[r * n_i + i] += d * in[1].v[o * n_i + i];
        }
}

static void grad_weight_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                  wispi_ref *out)
{
    const int64_t n_o = in[3].desc->shape[0], n_i = in[3].desc->shape[1];
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    (void)attrs, (void)n_in;
    for (int64_t o = 0; o < n_o; o++) {
        const double *v = in[3].v + o * n_i, norm = in[5].v[o], factor = in[4].v[o] / norm;
        double *dv = out[0].v + o * n_i, along = 0;
        for (int64_t r = 0; r < rows; r++) {
            const double d = in[1].v[r * n_o + o];
            along += d * in[2].v[r * n_o + o];
            for (int64_t i = 0; i < n_i; i++)
                dv[i] += factor * d * in[0].v[r * n_i + i];
        }
        for (int64_t i = 0; i < n_i; i++)
            dv[i] -= v[i] * along / (norm * norm);
    }
}

static double macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    return (double)wisp_desc_count(&out[0]) * (double)wispi_last(in[0]);
}

static double grad_weight_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs, (void)out;
    return (double)wisp_desc_count(in[0]) * (double)wispi_last(in[1]);
}

/* --- cases --- */

#define FORWARD_CASE(text, skip, r, o, i)                                                          \
    {                                                                                              \
        .name = text, .n_in = 3, .n_out = 2,                                                       \
        .in = {WISPI_F32_OF(r, i), WISPI_F32_OF(o, i), WISPI_F32_OF(o, 1)}, .skip_grad = skip,     \
        .low = {-1, -1, 0.5}, .high = {                                                            \
            1,                                                                                     \
            1,                                                                                     \
            2                                                                                      \
        }                                                                                          \
    }
#define GRAD_INPUT_CASE(text, r, o, i)                                                             \
    {                                                                                              \
        .name = text, .n_in = 4, .n_out = 1,                                                       \
        .in = {WISPI_F32_OF(r, o), WISPI_F32_OF(o, i), WISPI_F32_OF(o, 1), WISPI_F32_OF(o)},       \
        .low = {-1, -1, 0.5, 1}, .high = {                                                         \
            1,                                                                                     \
            1,                                                                                     \
            2,                                                                                     \
            3                                                                                      \
        }                                                                                          \
    }
#define GRAD_WEIGHT_CASE(text, r, o, i)                                                            \
    {                                                                                              \
        .name = text, .n_in = 6, .n_out = 1,                                                       \
        .in = {WISPI_F32_OF(r, i), WISPI_F32_OF(r, o), WISPI_F32_OF(r, o),                         \
               WISPI_F32_OF(o, i), WISPI_F32_OF(o, 1), WISPI_F32_OF(o)},                           \
        .low = {-1, -1, -1, -1, 0.5, 1}, .high = {                                                 \
            1,                                                                                     \
            1,                                                                                     \
            1,                                                                                     \
            1,                                                                                     \
            2,                                                                                     \
            3                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case forward_cases[] = {
    FORWARD_CASE("odd", 0, 3, 5, 7),
    FORWARD_CASE("one_value", 0, 1, 1, 1),
    FORWARD_CASE("few_rows", 1, 7, 160, 256),
    FORWARD_CASE("long", 1, 2, 96, 1120),
    FORWARD_CASE("more_rows", 1, 31, 160, 288),
    FORWARD_CASE("empty_batch", 0, 0, 4, 6),
};

static const wispi_op_case grad_input_cases[] = {
    GRAD_INPUT_CASE("odd", 3, 5, 7),
    GRAD_INPUT_CASE("few_rows", 7, 160, 256),
    GRAD_INPUT_CASE("more_rows", 31, 288, 160),
    GRAD_INPUT_CASE("empty_batch", 0, 4, 6),
};

static const wispi_op_case grad_weight_cases[] = {
    GRAD_WEIGHT_CASE("odd", 3, 5, 7),
    GRAD_WEIGHT_CASE("few_rows", 7, 160, 256),
    GRAD_WEIGHT_CASE("more_rows", 31, 288, 160),
    GRAD_WEIGHT_CASE("empty_batch", 0, 4, 6),
};

static const wispi_op grad_input_op = {
    .name = "normed_linear_grad_input",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .parameter_in = 14,
    .in_names = grad_input_in,
    .out_names = grad_input_out,
    .infer = grad_input_infer,
    .reference = grad_input_reference,
    .macs = macs,
    .cases = grad_input_cases,
    .n_cases = WISPI_COUNT_OF(grad_input_cases),
};

static const wispi_op grad_weight_op = {
    .name = "normed_linear_grad_weight",
    .min_in = 6,
    .max_in = 6,
    .n_out = 1,
    .parameter_in = 56,
    .in_names = grad_weight_in,
    .out_names = grad_weight_out,
    .infer = grad_weight_infer,
    .reference = grad_weight_reference,
    .macs = grad_weight_macs,
    .cases = grad_weight_cases,
    .n_cases = WISPI_COUNT_OF(grad_weight_cases),
};

static const wispi_op forward_op;

static wisp_status gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0];
    if (!wispi_grad_possible(grad, &forward_op) || !dy)
        return WISP_OK;
    wisp_tensor *v = grad->in[1], *g = grad->in[2], *norm = grad->out[1];
    if (wispi_grad_wants(grad, 0)) {
        wisp_tensor *in[] = {dy, v, g, norm};
        wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_input_op, NULL, in, 4));
    }
    if (wispi_grad_wants(grad, 1)) {
        wisp_tensor *in[] = {grad->in[0], dy, grad->out[0], v, g, norm};
        wisp_tensor *out[WISPI_MAX_OUT] = {wispi_grad_target(grad, 1)};
        wispi_apply(grad->step, &grad_weight_op, NULL, in, 6, out);
        wispi_grad_give(grad, 1, out[0]);
    }
    return WISP_OK;
}

static const wispi_op forward_op = {
    .name = "normed_linear",
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .parameter_in = 6,
    .constant_in = 4,
    .side_out = 2,
    .in_names = forward_in,
    .out_names = forward_out,
    .infer = forward_infer,
    .reference = forward_reference,
    .gradient = gradient,
    .macs = macs,
    .cases = forward_cases,
    .n_cases = WISPI_COUNT_OF(forward_cases),
};

static const wispi_op *const ops[] = {&forward_op, &grad_input_op, &grad_weight_op};

const wispi_op_family wispi_op_normed_linear = {ops, WISPI_COUNT_OF(ops)};
