/* unary.c - functions of one value, applied to every element.
 *
 * The gradient looks at x for relu, relu6, gelu, log, square, abs, clamp, and at y for tanh,
 * sigmoid, exp, sqrt. Comparisons are written so that a NaN stays one. */
#include "ops/rule.h"

#include <math.h>

static const char *const unary_names[] = {"x"};
static const char *const unary_out_names[] = {"y"};
static const char *const grad_names[] = {"dy", "x", "y"};
static const char *const grad_out_names[] = {"dx"};

static const double root_half = 0.70710678118654752440;    /* 1 / sqrt(2) */
static const double root_half_pi = 0.39894228040143267794; /* 1 / sqrt(2 pi) */

static wisp_status judge_attrs(const wispi_rule *rule, const wisp_unary_attrs *t)
{
    if (t->kind < WISP_UNARY_RELU || t->kind > WISP_UNARY_CLAMP)
        return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.kind %d is not a WISP_UNARY_ value",
                               t->kind);
    if (t->kind == WISP_UNARY_CLAMP && !(t->a <= t->b))
        return wispi_rule_fail(rule, WISP_E_INVALID, "cannot clamp into [%g, %g]", t->a, t->b);
    return WISP_OK;
}

static wisp_status unary_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"unary", unary_names, in, n_in, err};
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(judge_attrs(&rule, attrs));
    out[0] = *in[0];
    return WISP_OK;
}

static double value(const wisp_unary_attrs *t, double x)
{
    switch (t->kind) {
    case WISP_UNARY_RELU:
        return x < 0 ? 0 : x;
    case WISP_UNARY_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case WISP_UNARY_GELU:
        return 0.5 * x * (1 + erf(x * root_half));
    case WISP_UNARY_TANH:
        return tanh(x);
    case WISP_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    case WISP_UNARY_EXP:
        return exp(x);
    case WISP_UNARY_LOG:
        return log(x);
    case WISP_UNARY_SQRT:
        return sqrt(x);
    case WISP_UNARY_SQUARE:
        return x * x;
    case WISP_UNARY_ABS:
        return fabs(x);
    case WISP_UNARY_AFFINE:
        return t->a * x + t->b;
    default: /* WISP_UNARY_CLAMP */
        return x < t->a ? t->a : x > t->b ? t->b : x;
    }
}

static double slope(const wisp_unary_attrs *t, double x, double y)
{
    switch (t->kind) {
    case WISP_UNARY_RELU:
        return x > 0;
    case WISP_UNARY_RELU6:
        return x > 0 && x < 6;
    case WISP_UNARY_GELU:
        return 0.5 * (1 + erf(x * root_half)) + x * root_half_pi * exp(-0.5 * x * x);
    case WISP_UNARY_TANH:
        return 1 - y * y;
    case WISP_UNARY_SIGMOID:
        return y * (1 - y);
    case WISP_UNARY_EXP:
        return y;
    case WISP_UNARY_LOG:
        return 1 / x;
    case WISP_UNARY_SQRT:
        return 0.5 / y;
    case WISP_UNARY_SQUARE:
        return 2 * x;
    case WISP_UNARY_ABS:
        return (x > 0) - (x < 0);
    case WISP_UNARY_AFFINE:
        return t->a;
    default: /* WISP_UNARY_CLAMP */
        return x > t->a && x < t->b;
    }
}

static void unary_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = value(attrs, in[0].v[i]);
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"unary_grad", grad_names, in, n_in, err};
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_like(&rule, 1, 0));
    WISP_TRY(wispi_rule_like(&rule, 2, 0));
    WISP_TRY(judge_attrs(&rule, attrs));
    out[0] = *in[0];
    return WISP_OK;
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double *dy = in[0].v, *x = in[1].v, *y = in[2].v;
    (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = dy[i] * slope(attrs, x[i], y[i]);
}

static const wispi_op unary_grad;

static wisp_status unary_gradient(wispi_grad *grad)
{
    wisp_tensor *in[3] = {grad->dout[0], grad->in[0], grad->out[0]};
    wispi_grad_by(grad, 0, &unary_grad, grad->attrs, in, 3);
    return WISP_OK;
}

#define KIND(k, a, b)                                                                              \
    &(const wisp_unary_attrs)                                                                      \
    {                                                                                              \
        a, b, WISP_UNARY_##k, 0                                                                    \
    }
#define UNARY_CASE(text, attributes, x_low, x_high, ...)                                           \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 1, .n_out = 1, .in = {__VA_ARGS__},             \
        .low = {x_low}, .high = {                                                                  \
            x_high                                                                                 \
        }                                                                                          \
    }

static const wispi_op_case unary_cases[] = {
    UNARY_CASE("relu", KIND(RELU, 0, 0), -1, 1, {WISP_F32, 4, {2, 3, 5, 7}}),
    UNARY_CASE("relu6", KIND(RELU6, 0, 0), -3, 9, {WISP_F32, 2, {3, 67}}),
    UNARY_CASE("gelu", KIND(GELU, 0, 0), -4, 4, {WISP_F32, 3, {2, 5, 17}}),
    UNARY_CASE("tanh", KIND(TANH, 0, 0), -3, 3, {WISP_F32, 1, {131}}),
    UNARY_CASE("sigmoid", KIND(SIGMOID, 0, 0), -5, 5, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("exp", KIND(EXP, 0, 0), -4, 3, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("log", KIND(LOG, 0, 0), 0.125, 8, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("sqrt", KIND(SQRT, 0, 0), 0.125, 8, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("square", KIND(SQUARE, 0, 0), -2, 2, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("abs", KIND(ABS, 0, 0), -2, 2, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("affine", KIND(AFFINE, -0.75, 0.5), -2, 2, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("affine-0d", KIND(AFFINE, 3, 0), -2, 2, {WISP_F32, 0, {0}}),
    UNARY_CASE("clamp", KIND(CLAMP, -0.5, 1), -2, 2, {WISP_F32, 2, {3, 33}}),
    UNARY_CASE("empty", KIND(RELU, 0, 0), -1, 1, {WISP_F32, 2, {0, 5}}),
};

#define GRAD_CASE(text, attributes, x_low, x_high)                                                 \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 3, .n_out = 1,                                  \
        .in = {{WISP_F32, 2, {3, 67}}, {WISP_F32, 2, {3, 67}}, {WISP_F32, 2, {3, 67}}},            \
        .low = {-1, x_low, 0.25}, .high = {                                                        \
            1,                                                                                     \
            x_high,                                                                                \
            0.75                                                                                   \
        }                                                                                          \
    }

static const double borders[] = {-1, -0.5, 0, 0.5, 1, 6, 7};

#define BORDER_CASE(text, attributes)                                                              \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 3, .n_out = 1,                                  \
        .in = {{WISP_F32, 1, {7}}, {WISP_F32, 1, {7}}, {WISP_F32, 1, {7}}}, .low = {-1, 0, 0.25},  \
        .high = {1, 0, 0.75}, .values = {                                                          \
            NULL,                                                                                  \
            borders                                                                                \
        }                                                                                          \
    }

static const wispi_op_case grad_cases[] = {
    BORDER_CASE("relu-borders", KIND(RELU, 0, 0)),
    BORDER_CASE("relu6-borders", KIND(RELU6, 0, 0)),
    BORDER_CASE("abs-borders", KIND(ABS, 0, 0)),
    BORDER_CASE("clamp-borders", KIND(CLAMP, -0.5, 1)),
    GRAD_CASE("relu", KIND(RELU, 0, 0), -1, 1),
    GRAD_CASE("relu6", KIND(RELU6, 0, 0), -3, 9),
    GRAD_CASE("gelu", KIND(GELU, 0, 0), -4, 4),
    GRAD_CASE("tanh", KIND(TANH, 0, 0), -1, 1),
    GRAD_CASE("sigmoid", KIND(SIGMOID, 0, 0), -1, 1),
    GRAD_CASE("exp", KIND(EXP, 0, 0), -1, 1),
    GRAD_CASE("log", KIND(LOG, 0, 0), 0.125, 8),
    GRAD_CASE("sqrt", KIND(SQRT, 0, 0), 0.125, 8),
    GRAD_CASE("square", KIND(SQUARE, 0, 0), -2, 2),
    GRAD_CASE("abs", KIND(ABS, 0, 0), -2, 2),
    GRAD_CASE("affine", KIND(AFFINE, -0.75, 0.5), -2, 2),
    GRAD_CASE("clamp", KIND(CLAMP, -0.5, 1), -2, 2),
};

static const wispi_op unary = {
    .name = "unary",
    .attrs_bytes = sizeof(wisp_unary_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = unary_names,
    .out_names = unary_out_names,
    .infer = unary_infer,
    .reference = unary_reference,
    .gradient = unary_gradient,
    .cases = unary_cases,
    .n_cases = sizeof unary_cases / sizeof *unary_cases,
};

static const wispi_op unary_grad = {
    .name = "unary_grad",
    .attrs_bytes = sizeof(wisp_unary_attrs),
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&unary, &unary_grad};
const wispi_op_family wispi_op_unary = {family, sizeof family / sizeof *family};
