/* l2_normalize.c - rows of length 1: y = x / max(norm, eps), norm = |x| over the last dimension. */
#include "ops/rule.h"

#include <math.h>

static const char *const forward_names[] = {"x"};
static const char *const forward_out_names[] = {"y", "norm"};
static const char *const grad_names[] = {"dy", "y", "norm"};
static const char *const grad_out_names[] = {"dx"};

static wisp_status judge(const wispi_rule *rule, const wisp_l2_normalize_attrs *t)
{
    WISP_TRY(wispi_rule_float(rule, 0));
    WISP_TRY(wispi_rule_min_rank(rule, 0, 1));
    WISP_TRY(wispi_rule_not_empty(rule, 0, rule->in[0]->rank - 1));
    if (t->eps > 0 && t->eps - t->eps == 0)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.eps must be above 0, not %g", t->eps);
}

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"l2_normalize", forward_names, in, n_in, err};
    WISP_TRY(judge(&rule, attrs));
    out[0] = *in[0];
    out[1] = wispi_desc_leading(in[0], in[0]->rank - 1, WISP_F32);
    return WISP_OK;
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_l2_normalize_attrs *t = attrs;
    const int64_t C = in[0].desc->shape[in[0].desc->rank - 1];
    (void)n_in;
    for (int64_t n = 0; n < in[0].count / C; n++) {
        const double *x = in[0].v + n * C;
        double sum = 0;
        for (int64_t c = 0; c < C; c++)
            sum += x[c] * x[c];
        out[1].v[n] = sqrt(sum);
        for (int64_t c = 0; c < C; c++)
            out[0].v[n * C + c] = x[c] / fmax(sqrt(sum), t->eps);
    }
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"l2_normalize_grad", grad_names, in, n_in, err};
    WISP_TRY(judge(&rule, attrs));
    WISP_TRY(wispi_rule_like(&rule, 1, 0));
    const wisp_desc norm = wispi_desc_leading(in[0], in[0]->rank - 1, WISP_F32);
    WISP_TRY(wispi_rule_f32(&rule, 2, &norm));
    out[0] = *in[0];
    return WISP_OK;
}

/* dx = (dy - y (dy . y)) / norm; below eps, where the divisor is constant, dx = dy / eps. */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_l2_normalize_attrs *t = attrs;
    const int64_t C = in[0].desc->shape[in[0].desc->rank - 1];
    (void)n_in;
    for (int64_t n = 0; n < in[0].count / C; n++) {
        const double *dy = in[0].v + n * C, *y = in[1].v + n * C, norm = in[2].v[n];
        double dot = 0;
        for (int64_t c = 0; c < C; c++)
            dot += dy[c] * y[c];
        for (int64_t c = 0; c < C; c++)
            out[0].v[n * C + c] = norm < t->eps ? dy[c] / t->eps : (dy[c] - y[c] * dot) / norm;
    }
}

static const wispi_op l2_normalize;
static const wispi_op l2_normalize_grad;

static wisp_status gradient(wispi_grad *grad)
{
    wisp_tensor *in[3] = {grad->dout[0], grad->out[0], grad->out[1]};
    if (wispi_grad_possible(grad, &l2_normalize))
        wispi_grad_by(grad, 0, &l2_normalize_grad, grad->attrs, in, 3);
    return WISP_OK;
}

#define EPS(eps)                                                                                   \
    &(const wisp_l2_normalize_attrs)                                                               \
    {                                                                                              \
        eps                                                                                        \
    }
#define FORWARD_CASE(text, eps, rank, low_x, high_x, ...)                                          \
    {                                                                                              \
        .name = text, .attrs = EPS(eps), .n_in = 1, .n_out = 2,                                    \
        .in = {{WISP_F32, rank, {__VA_ARGS__}}}, .low = {low_x}, .high = {                         \
            high_x                                                                                 \
        }                                                                                          \
    }

static const wispi_op_case forward_cases[] = {
    FORWARD_CASE("odd", 1e-12, 2, -1, 1, 5, 67),
    FORWARD_CASE("tokens", 1e-12, 3, -1, 1, 2, 3, 17),
    FORWARD_CASE("vector", 1e-12, 1, -1, 1, 131),
    {.name = "zeros-have-no-slope",
     .attrs = EPS(1e-12),
     .n_in = 1,
     .n_out = 2,
     .in = {{WISP_F32, 2, {3, 7}}},
     .skip_grad = 1},
    FORWARD_CASE("below-eps", 100, 2, -1, 1, 3, 7),
};

static const wispi_op_case grad_cases[] = {
    {.name = "odd",
     .attrs = EPS(1e-12),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 67}}, {WISP_F32, 2, {5, 67}}, {WISP_F32, 1, {5}}},
     .low = {-1, -0.2, 0.5},
     .high = {1, 0.2, 4}},
    {.name = "vector",
     .attrs = EPS(1e-12),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 1, {131}}, {WISP_F32, 1, {131}}, {WISP_F32, 0, {0}}},
     .low = {-1, -0.2, 0.5},
     .high = {1, 0.2, 4}},
    {.name = "some-below-eps",
     .attrs = EPS(1),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 7, 3}}, {WISP_F32, 3, {2, 7, 3}}, {WISP_F32, 2, {2, 7}}},
     .low = {-1, -0.5, 0.5},
     .high = {1, 0.5, 1.5}},
};

static const wispi_op l2_normalize = {
    .name = "l2_normalize",
    .attrs_bytes = sizeof(wisp_l2_normalize_attrs),
    .min_in = 1,
    .max_in = 1,
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

static const wispi_op l2_normalize_grad = {
    .name = "l2_normalize_grad",
    .attrs_bytes = sizeof(wisp_l2_normalize_attrs),
    .min_in = 3,
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

static const wispi_op *const family[] = {&l2_normalize, &l2_normalize_grad};
const wispi_op_family wispi_op_l2_normalize = {family, sizeof family / sizeof *family};
