/* linear.c - the fully connected layer over the last dimension.
 *
 *   y[r,o] = bias[o] + sum over i of act(x[r,i]) * w[o,i]
 *
 * act is the identity or GELU: so the layer after a GELU keeps what GELU saw, and its result needs
 * no memory of its own. Rows r are all leading dimensions of x. Weights are parameters in f32, or
 * already of the type of x (a weight that was computed, such as a normalised one). */
#include <math.h>

#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

extern const wispi_op_family wispi_op_cast;

static const double root_half = 0.70710678118654752440;    /* 1 / sqrt(2) */
static const double root_half_pi = 0.39894228040143267794; /* 1 / sqrt(2 pi) */

static const char *const linear_in[] = {"x", "w", "bias"};
static const char *const linear_out[] = {"y"};

/* w: a matrix without empty sides, f32 or of the type of the activations (argument 0). */
static wisp_status check_weight(const wispi_rule *rule)
{
    WISP_TRY(wispi_rule_rank(rule, 1, 2));
    WISP_TRY(wispi_rule_not_empty(rule, 1, 0));
    if (rule->in[1]->dtype != WISP_F32 && rule->in[1]->dtype != rule->in[0]->dtype)
        return wispi_rule_fail(rule, WISP_E_DTYPE, "w must be f32 or of the type of %s",
                               rule->names[0]);
    return WISP_OK;
}

static wisp_status check_activation(const wispi_rule *rule, const wisp_linear_attrs *a)
{
    if (a->activation == 0 || a->activation == WISP_UNARY_GELU)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.activation %d is not 0 or WISP_UNARY_GELU",
                           a->activation);
}

static wisp_status linear_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"linear", linear_in, in, n_in, err};
    WISP_TRY(check_activation(&rule, attrs));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(check_weight(&rule));
    if (wispi_last(in[0]) != in[1]->shape[1])
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "inner sizes %lld and %lld differ",
                               (long long)wispi_last(in[0]), (long long)in[1]->shape[1]);
    const wisp_desc bias = wisp_desc1(WISP_F32, in[1]->shape[0]);
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, &bias));
    wisp_desc y = *in[0];
    y.shape[y.rank - 1] = in[1]->shape[0];
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static const char *const grad_input_in[] = {"dy", "w", "x"};
static const char *const grad_input_out[] = {"dx"};

static wisp_status grad_input_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wisp_linear_attrs *a = attrs;
    const wispi_rule rule = {"linear_grad_input", grad_input_in, in, n_in, err};
    WISP_TRY(check_activation(&rule, a));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(check_weight(&rule));
    if (wispi_last(in[0]) != in[1]->shape[0])
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "inner sizes %lld and %lld differ",
                               (long long)wispi_last(in[0]), (long long)in[1]->shape[0]);
    wisp_desc dx = *in[0];
    dx.shape[dx.rank - 1] = in[1]->shape[1];
    WISP_TRY(wispi_rule_countable(&rule, &dx));
    if (a->activation) {
        WISP_TRY(wispi_rule_same_dtype(&rule, 2, 0));
        WISP_TRY(wispi_rule_shape(&rule, 2, &dx));
    }
    out[0] = dx;
    return WISP_OK;
}

static const char *const grad_weight_in[] = {"x", "dy"};
static const char *const grad_weight_out[] = {"dw", "dbias"};

static wisp_status grad_weight_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                     wisp_desc *out, wisp_error *err)
{
    const wisp_linear_attrs *a = attrs;
    const wispi_rule rule = {"linear_grad_weight", grad_weight_in, in, n_in, err};
    WISP_TRY(check_activation(&rule, a));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_same_dtype(&rule, 1, 0));
    WISP_TRY(wispi_rule_rank(&rule, 1, in[0]->rank));
    for (int32_t d = 0; d + 1 < in[0]->rank; d++)
        if (in[0]->shape[d] != in[1]->shape[d])
            return wispi_rule_fail(&rule, WISP_E_SHAPE, "dimensions %d differ", d);
    WISP_TRY(wispi_rule_not_empty(&rule, 0, in[0]->rank - 1));
    WISP_TRY(wispi_rule_not_empty(&rule, 1, in[1]->rank - 1));
    const wisp_desc dw = wisp_desc2(WISP_F32, wispi_last(in[1]), wispi_last(in[0]));
    WISP_TRY(wispi_rule_countable(&rule, &dw));
    out[0] = dw;
    out[1] = a->want_bias ? wisp_desc1(WISP_F32, wispi_last(in[1])) : (wisp_desc){0, 0, {0}};
    return WISP_OK;
}

static double activated(const wisp_linear_attrs *a, double x)
{
    return a->activation ? 0.5 * x * (1 + erf(x * root_half)) : x;
}

static double slope(const wisp_linear_attrs *a, double x)
{
    const double density = root_half_pi * exp(-0.5 * x * x);
    return a->activation ? 0.5 * (1 + erf(x * root_half)) + x * density : 1;
}

/* x (R,I), w (O,I), bias (O) -> y (R,O) */
static void linear_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double *x = in[0].v, *w = in[1].v, *bias = wispi_values(in, n_in, 2);
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    const int64_t n_o = in[1].desc->shape[0], n_i = in[1].desc->shape[1];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_o; o++) {
            double sum = bias ? bias[o] : 0;
            for (int64_t i = 0; i < n_i; i++)
                sum += activated(attrs, x[r * n_i + i]) * w[o * n_i + i];
            out[0].v[r * n_o + o] = sum;
        }
}

/* dy (R,O), w (O,I), x (R,I) -> dx (R,I) */
static void grad_input_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    const double *dy = in[0].v, *w = in[1].v, *x = wispi_values(in, n_in, 2);
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    const int64_t n_o = in[1].desc->shape[0], n_i = in[1].desc->shape[1];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_o; o++)
            for (int64_t i = 0; i < n_i; i++)
                out[0].v[r * n_i + i] += dy[r * n_o + o] * w[o * n_i + i];
    for (int64_t i = 0; x && i < rows * n_i; i++)
        out[0].v[i] *= slope(attrs, x[i]);
}

/* x (R,I), dy (R,O) -> dw (O,I), dbias (O) */
static void grad_weight_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                  wispi_ref *out)
{
    (void)n_in;
    const double *x = in[0].v, *dy = in[1].v;
    const int64_t rows = wispi_leading_count(in[0].desc, 1);
    const int64_t n_o = wispi_last(in[1].desc), n_i = wispi_last(in[0].desc);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_o; o++) {
            for (int64_t i = 0; i < n_i; i++)
                out[0].v[o * n_i + i] += dy[r * n_o + o] * activated(attrs, x[r * n_i + i]);
            if (out[1].v)
                out[1].v[o] += dy[r * n_o + o];
        }
}

/* rows * O * I for all three: each row of argument 0 meets the whole matrix. */
static double linear_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    (void)out;
    return (double)wispi_leading_count(in[0], 1) * (double)wisp_desc_count(in[1]);
}

static double grad_weight_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    return (double)wispi_leading_count(in[0], 1) * (double)wisp_desc_count(&out[0]);
}

/* --- cases --- */

#define GELU                                                                                       \
    &(const wisp_linear_attrs)                                                                     \
    {                                                                                              \
        .activation = WISP_UNARY_GELU                                                              \
    }
#define GELU_BIAS                                                                                  \
    &(const wisp_linear_attrs)                                                                     \
    {                                                                                              \
        .want_bias = 1, .activation = WISP_UNARY_GELU                                              \
    }
#define MANY_ROWS .skip_grad = 1 /* too many values for finite differences */

#define TINY_VALUES MANY_ROWS, WISPI_TINY_VALUES(2)

static const wispi_op_case linear_cases[] = {
    {.name = "odd",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 13), WISPI_F32_OF(5, 13), WISPI_F32_OF(5)},
     WISPI_UNIT_VALUES},
    {.name = "no_bias",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(33, 17), WISPI_F32_OF(19, 17)},
     WISPI_UNIT_VALUES},
    {.name = "tokens",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 16), WISPI_F32_OF(48, 16), WISPI_F32_OF(48)},
     WISPI_UNIT_VALUES},
    {.name = "one_row",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(23), WISPI_F32_OF(1, 23), WISPI_F32_OF(1)},
     WISPI_UNIT_VALUES},
    {.name = "one_value",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 1), WISPI_F32_OF(1, 1)},
     WISPI_UNIT_VALUES},
    {.name = "computed_weight", /* not a parameter in f32 */
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_OF(WISP_BF16, 9, 8), WISPI_OF(WISP_BF16, 6, 8), WISPI_F32_OF(6)},
     WISPI_UNIT_VALUES},
    {.name = "few_rows",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 1120), WISPI_F32_OF(96, 1120), WISPI_F32_OF(96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "two_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 192), WISPI_F32_OF(320, 192)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "more_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(31, 160), WISPI_F32_OF(288, 160)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "gelu",
     .attrs = GELU,
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 17), WISPI_F32_OF(9, 17), WISPI_F32_OF(9)},
     .low = {-4, -1, -1},
     .high = {4, 1, 1}},
    {.name = "many_rows",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 67, 45), WISPI_F32_OF(83, 45), WISPI_F32_OF(83)},
     WISPI_UNIT_VALUES,
     MANY_ROWS},
    {.name = "many_rows_gelu",
     .attrs = GELU,
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(131, 83), WISPI_F32_OF(45, 83)},
     .low = {-4, -1},
     .high = {4, 1},
     MANY_ROWS},
    {.name = "many_rows_computed_weight",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_OF(WISP_BF16, 97, 64), WISPI_OF(WISP_BF16, 32, 64)},
     WISPI_UNIT_VALUES,
     MANY_ROWS},
    {.name = "tiny_values",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(131, 83), WISPI_F32_OF(45, 83)},
     TINY_VALUES},
    {.name = "few_rows_tiny_values",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(31, 160), WISPI_F32_OF(288, 160)},
     TINY_VALUES},
    {.name = "empty_batch",
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(0, 6), WISPI_F32_OF(4, 6), WISPI_F32_OF(4)},
     WISPI_UNIT_VALUES},
};

static const wispi_op_case grad_input_cases[] = {
    {.name = "odd",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 5), WISPI_F32_OF(5, 13)},
     WISPI_UNIT_VALUES},
    {.name = "tokens",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 48), WISPI_F32_OF(48, 16)},
     WISPI_UNIT_VALUES},
    {.name = "one_row",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(1), WISPI_F32_OF(1, 23)},
     WISPI_UNIT_VALUES},
    {.name = "few_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 608), WISPI_F32_OF(608, 96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "two_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 320), WISPI_F32_OF(320, 288)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "more_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(31, 288), WISPI_F32_OF(288, 480)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "computed_weight",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_OF(WISP_BF16, 9, 6), WISPI_OF(WISP_BF16, 6, 8)},
     WISPI_UNIT_VALUES},
    {.name = "tiny_values",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(131, 83), WISPI_F32_OF(83, 45)},
     TINY_VALUES},
    {.name = "gelu",
     .attrs = GELU,
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 9), WISPI_F32_OF(9, 17), WISPI_F32_OF(2, 5, 17)},
     .low = {-1, -1, -4},
     .high = {1, 1, 4}},
    {.name = "many_rows",
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 67, 83), WISPI_F32_OF(83, 45)},
     WISPI_UNIT_VALUES,
     MANY_ROWS},
    {.name = "many_rows_gelu",
     .attrs = GELU,
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(131, 45), WISPI_F32_OF(45, 83), WISPI_F32_OF(131, 83)},
     .low = {-1, -1, -4},
     .high = {1, 1, 4},
     MANY_ROWS},
};

static const wispi_op_case grad_weight_cases[] = {
    {.name = "odd",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(7, 13), WISPI_F32_OF(7, 5)},
     WISPI_UNIT_VALUES},
    {.name = "tokens",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 16), WISPI_F32_OF(2, 5, 48)},
     WISPI_UNIT_VALUES},
    {.name = "no_bias",
     .attrs = &(const wisp_linear_attrs){.want_bias = 0},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(33, 17), WISPI_F32_OF(33, 19)},
     WISPI_UNIT_VALUES},
    {.name = "few_rows",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(7, 352), WISPI_F32_OF(7, 96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "more_rows",
     .attrs = &(const wisp_linear_attrs){.want_bias = 0},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(31, 288), WISPI_F32_OF(31, 320)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "tiny_values",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(131, 83), WISPI_F32_OF(131, 45)},
     TINY_VALUES},
    {.name = "empty_batch",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(0, 6), WISPI_F32_OF(0, 4)},
     WISPI_UNIT_VALUES},
    {.name = "gelu",
     .attrs = GELU_BIAS,
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 17), WISPI_F32_OF(2, 5, 9)},
     .low = {-4, -1},
     .high = {4, 1}},
    {.name = "many_rows",
     .attrs = &(const wisp_linear_attrs){.want_bias = 1},
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(7, 191, 45), WISPI_F32_OF(7, 191, 83)},
     WISPI_UNIT_VALUES,
     MANY_ROWS},
    {.name = "many_rows_gelu",
     .attrs = GELU,
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(131, 83), WISPI_F32_OF(131, 45)},
     .low = {-4, -1},
     .high = {4, 1},
     MANY_ROWS},
};

static const wispi_op grad_input_op = {
    .name = "linear_grad_input",
    .attrs_bytes = sizeof(wisp_linear_attrs),
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 1u << 1,
    .in_names = grad_input_in,
    .out_names = grad_input_out,
    .infer = grad_input_infer,
    .reference = grad_input_reference,
    .macs = linear_macs,
    .cases = grad_input_cases,
    .n_cases = WISPI_COUNT_OF(grad_input_cases),
};

static const wispi_op grad_weight_op = {
    .name = "linear_grad_weight",
    .attrs_bytes = sizeof(wisp_linear_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .in_names = grad_weight_in,
    .out_names = grad_weight_out,
    .infer = grad_weight_infer,
    .reference = grad_weight_reference,
    .macs = grad_weight_macs,
    .cases = grad_weight_cases,
    .n_cases = WISPI_COUNT_OF(grad_weight_cases),
};

/* A computed weight in bf16 wants its gradient in bf16; dw is made in f32. */
static wisp_tensor *as_type_of(wisp_step *step, wisp_tensor *value, const wisp_tensor *like)
{
    const int32_t dtype = wispi_tensor_desc(like)->dtype;
    if (!value || dtype == WISP_F32)
        return value;
    const wisp_cast_attrs attrs = {dtype, 0};
    return wispi_apply1(step, wispi_op_cast.ops[0], &attrs, &value, 1);
}

static wisp_status linear_gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0];
    if (!dy)
        return WISP_OK;
    wisp_linear_attrs attrs = *(const wisp_linear_attrs *)grad->attrs;
    if (wispi_grad_wants(grad, 0)) {
        wisp_tensor *in[] = {dy, grad->in[1], grad->in[0]};
        const int32_t n_in = attrs.activation ? 3 : 2;
        wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_input_op, &attrs, in, n_in));
    }
    attrs.want_bias = wispi_grad_wants(grad, 2);
    if (wispi_grad_wants(grad, 1) || attrs.want_bias) {
        wisp_tensor *in[] = {grad->in[0], dy};
        wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
        if (wispi_grad_wants(grad, 1) && wispi_tensor_desc(grad->in[1])->dtype == WISP_F32)
            out[0] = wispi_grad_target(grad, 1);
        if (attrs.want_bias)
            out[1] = wispi_grad_target(grad, 2);
        wispi_apply(grad->step, &grad_weight_op, &attrs, in, 2, out);
        if (wispi_grad_wants(grad, 1))
            wispi_grad_give(grad, 1, as_type_of(grad->step, out[0], grad->in[1]));
        wispi_grad_give(grad, 2, out[1]);
    }
    return WISP_OK;
}

static const wispi_op linear_op = {
    .name = "linear",
    .attrs_bytes = sizeof(wisp_linear_attrs),
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 1u << 1 | 1u << 2,
    .in_names = linear_in,
    .out_names = linear_out,
    .infer = linear_infer,
    .reference = linear_reference,
    .gradient = linear_gradient,
    .macs = linear_macs,
    .cases = linear_cases,
    .n_cases = WISPI_COUNT_OF(linear_cases),
};

static const wispi_op *const ops[] = {&linear_op, &grad_input_op, &grad_weight_op};
const wispi_op_family wispi_op_linear = {ops, WISPI_COUNT_OF(ops)};
