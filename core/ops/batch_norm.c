/* batch_norm.c - normalisation of each channel over all other dimensions, in separate steps so that
 * statistics may be shared between ranks: channel_stats, (collective), running_update, batch_norm.
 *
 *   y[r,c] = act((x[r,c] - mean[c]) / sqrt(var[c] + eps) * gamma[c] + beta[c] + residual[r,c])
 *
 * Rows r are all dimensions but the last. batch_norm's `count` says what mean and var are: 0, given
 * constants (evaluation); more, statistics of this very x (and of the other ranks') over so many
 * elements per channel. In that case the gradient to x accounts for what mean and var contribute,
 * so that they themselves never receive one. */
#include <math.h>
#include <string.h>

#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"
#include "tensor/ranks.h"

/* --- shapes --- */

/* x: T(...,C) with C of 1 or more. */
static wisp_status check_map(const wispi_rule *rule, int32_t i)
{
    WISP_TRY(wispi_rule_min_rank(rule, i, 1));
    WISP_TRY(wispi_rule_float(rule, i));
    return wispi_rule_not_empty(rule, i, rule->in[i]->rank - 1);
}

static wisp_desc channels_of(const wisp_desc *x)
{
    return wisp_desc1(WISP_F32, wispi_last(x));
}

static wisp_status check_attrs(const wispi_rule *rule, const wisp_batch_norm_attrs *a,
                               const wisp_desc *x)
{
    if (!(a->eps >= 0) || !isfinite(a->eps))
        return wispi_rule_fail(rule, WISP_E_INVALID, "eps is %g, must be 0 or more", a->eps);
    if (a->activation < WISP_ACT_NONE || a->activation > WISP_ACT_RELU6)
        return wispi_rule_fail(rule, WISP_E_INVALID, "there is no activation %d", a->activation);
    if (a->count < 0 || (a->count > 0 && a->count < wispi_leading_count(x, 1)))
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "count is %lld, must be 0 or at least the elements of a channel",
                               (long long)a->count);
    return WISP_OK;
}

static const char *const stats_in[] = {"x"};
static const char *const stats_out[] = {"mean", "var"};

static wisp_status stats_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    (void)attrs;
    const wispi_rule rule = {"channel_stats", stats_in, in, n_in, err};
    WISP_TRY(check_map(&rule, 0));
    if (wispi_leading_count(in[0], 1) < 1)
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "nothing has no mean");
    out[0] = out[1] = channels_of(in[0]);
    return WISP_OK;
}

static const char *const norm_in[] = {"x", "mean", "var", "gamma", "beta", "residual"};
static const char *const norm_out[] = {"y"};

static wisp_status norm_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"batch_norm", norm_in, in, n_in, err};
    WISP_TRY(check_map(&rule, 0));
    const wisp_desc c = channels_of(in[0]);
    WISP_TRY(check_attrs(&rule, attrs, in[0]));
    WISP_TRY(wispi_rule_f32(&rule, 1, &c));
    WISP_TRY(wispi_rule_f32(&rule, 2, &c));
    WISP_TRY(wispi_rule_optional_f32(&rule, 3, &c));
    WISP_TRY(wispi_rule_optional_f32(&rule, 4, &c));
    if (wispi_rule_in(&rule, 5))
        WISP_TRY(wispi_rule_like(&rule, 5, 0));
    out[0] = *in[0];
    return WISP_OK;
}

/* dy, x, y?, mean, var: what both gradient operations begin with. */
static wisp_status check_grad(const wispi_rule *rule, const wisp_batch_norm_attrs *a)
{
    WISP_TRY(check_map(rule, 1));
    WISP_TRY(check_attrs(rule, a, rule->in[1]));
    WISP_TRY(wispi_rule_like(rule, 0, 1));
    if (wispi_rule_in(rule, 2) || a->activation != WISP_ACT_NONE)
        WISP_TRY(wispi_rule_like(rule, 2, 1));
    const wisp_desc c = channels_of(rule->in[1]);
    WISP_TRY(wispi_rule_f32(rule, 3, &c));
    return wispi_rule_f32(rule, 4, &c);
}

static const char *const grad_stats_in[] = {"dy", "x", "y", "mean", "var"};
static const char *const grad_stats_out[] = {"dbeta", "dgamma"};

static wisp_status grad_stats_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"batch_norm_grad_stats", grad_stats_in, in, n_in, err};
    WISP_TRY(check_grad(&rule, attrs));
    out[0] = out[1] = channels_of(in[1]);
    return WISP_OK;
}

static const char *const grad_input_in[] = {"dy",  "x",     "y",     "mean",
                                            "var", "gamma", "dbeta", "dgamma"};
static const char *const grad_input_out[] = {"dx", "dresidual"};

static wisp_status grad_input_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wisp_batch_norm_attrs *a = attrs;
    const wispi_rule rule = {"batch_norm_grad_input", grad_input_in, in, n_in, err};
    WISP_TRY(check_grad(&rule, a));
    const wisp_desc c = channels_of(in[1]);
    WISP_TRY(wispi_rule_optional_f32(&rule, 5, &c));
    WISP_TRY(wispi_rule_f32(&rule, 6, &c));
    WISP_TRY(wispi_rule_f32(&rule, 7, &c));
    out[0] = *in[1];
    out[1] = a->want_residual ? *in[1] : (wisp_desc){0, 0, {0}};
    return WISP_OK;
}

static const char *const running_in[] = {"mean", "var", "running_mean", "running_var"};
static const char *const running_out[] = {"running_mean", "running_var"};

static wisp_status running_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wisp_running_attrs *a = attrs;
    const wispi_rule rule = {"running_update", running_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 1));
    for (int32_t i = 0; i < 4; i++)
        WISP_TRY(wispi_rule_f32(&rule, i, in[0]));
    if (!(a->momentum >= 0 && a->momentum <= 1))
        return wispi_rule_fail(&rule, WISP_E_INVALID, "momentum is %g, must be in [0, 1]",
                               a->momentum);
    if (a->count < 2)
        return wispi_rule_fail(&rule, WISP_E_SHAPE,
                               "count is %lld: fewer than 2 values in a channel have no variance; "
                               "train with a larger batch or map",
                               (long long)a->count);
    out[0] = out[1] = *in[0];
    return WISP_OK;
}

/* --- reference kernels --- */

/* x (R,C) -> mean (C), var (C), the biased variance; two passes, since E[x^2] - E[x]^2 loses digits
 * when the mean is large. */
static void stats_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs;
    (void)n_in;
    const double *x = in[0].v;
    double *mean = out[0].v, *var = out[1].v;
    const int64_t n_c = wispi_last(in[0].desc), n_r = wispi_leading_count(in[0].desc, 1);
    for (int64_t r = 0; r < n_r; r++)
        for (int64_t c = 0; c < n_c; c++)
            mean[c] += x[r * n_c + c] / (double)n_r;
    for (int64_t r = 0; r < n_r; r++)
        for (int64_t c = 0; c < n_c; c++)
            var[c] += (x[r * n_c + c] - mean[c]) * (x[r * n_c + c] - mean[c]) / (double)n_r;
}

static double activate(int32_t activation, double v)
{
    if (activation != WISP_ACT_NONE && v < 0)
        return 0;
    if (activation == WISP_ACT_RELU6 && v > 6)
        return 6;
    return v;
}

/* The gradient behind the activation, judged by the result y alone. */
static double masked(int32_t activation, double dy, double y)
{
    if (activation != WISP_ACT_NONE && !(y > 0))
        return 0;
    if (activation == WISP_ACT_RELU6 && !(y < 6))
        return 0;
    return dy;
}

/* x (R,C), mean, var, gamma, beta (C), residual (R,C) -> y (R,C) */
static void norm_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_batch_norm_attrs *a = attrs;
    const double *x = in[0].v, *mean = in[1].v, *var = in[2].v;
    const double *gamma = wispi_values(in, n_in, 3), *beta = wispi_values(in, n_in, 4);
    const double *residual = wispi_values(in, n_in, 5);
    const int64_t n_c = wispi_last(in[0].desc);
    for (int64_t i = 0; i < in[0].count; i++) {
        const int64_t c = i % n_c;
        const double xhat = (x[i] - mean[c]) / sqrt(var[c] + a->eps);
        const double v = xhat * (gamma ? gamma[c] : 1) + (beta ? beta[c] : 0);
        out[0].v[i] = activate(a->activation, v + (residual ? residual[i] : 0));
    }
}

/* dy, x, y (R,C), mean, var (C) -> dbeta = sum of dy, dgamma = sum of dy * xhat, both (C) */
static void grad_stats_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    (void)n_in;
    const wisp_batch_norm_attrs *a = attrs;
    const double *dy = in[0].v, *x = in[1].v, *y = in[2].v, *mean = in[3].v, *var = in[4].v;
    const int64_t n_c = wispi_last(in[1].desc);
    for (int64_t i = 0; i < in[1].count; i++) {
        const int64_t c = i % n_c;
        const double g = masked(a->activation, dy[i], y ? y[i] : 0);
        out[0].v[c] += g;
        out[1].v[c] += g * (x[i] - mean[c]) / sqrt(var[c] + a->eps);
    }
}

/* dx = gamma / sqrt(var + eps) * (dy - dbeta / count - xhat * dgamma / count); the last two are
 * what reaches x through var and mean, and are absent when those are constants. */
static void grad_input_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    (void)n_in;
    const wisp_batch_norm_attrs *a = attrs;
    const double *dy = in[0].v, *x = in[1].v, *y = in[2].v, *mean = in[3].v, *var = in[4].v;
    const double *gamma = in[5].v, *dbeta = in[6].v, *dgamma = in[7].v;
    const int64_t n_c = wispi_last(in[1].desc);
    for (int64_t i = 0; i < in[1].count; i++) {
        const int64_t c = i % n_c;
        const double rstd = 1 / sqrt(var[c] + a->eps);
        const double xhat = (x[i] - mean[c]) * rstd;
        const double g = masked(a->activation, dy[i], y ? y[i] : 0);
        double centred = g;
        if (a->count > 0)
            centred -= (dbeta[c] + xhat * dgamma[c]) / (double)a->count;
        out[0].v[i] = (gamma ? gamma[c] : 1) * rstd * centred;
        if (out[1].v)
            out[1].v[i] = g;
    }
}

/* running (C) = (1 - momentum) * running + momentum * new, the variance made unbiased first */
static void running_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wisp_running_attrs *a = attrs;
    const double m = a->momentum, unbiased = (double)a->count / (double)(a->count - 1);
    for (int64_t c = 0; c < in[0].count; c++) {
        out[0].v[c] = (1 - m) * out[0].v[c] + m * in[0].v[c];
        out[1].v[c] = (1 - m) * out[1].v[c] + m * in[1].v[c] * unbiased;
    }
}

/* --- cases --- */

static const wispi_op_case stats_cases[] = {
    {.name = "map",
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 5, 7, 13)},
     .low = {-1},
     .high = {3},
     .skip_grad = 1},
    {.name = "rows",
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(17, 19)},
     .low = {-1},
     .high = {1},
     .skip_grad = 1},
    {.name = "large_mean",
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(64, 33)},
     .low = {30},
     .high = {32},
     .skip_grad = 1},
    {.name = "one_element",
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 1)},
     .low = {-1},
     .high = {1},
     .skip_grad = 1},
};

#define NORM(...)                                                                                  \
    &(const wisp_batch_norm_attrs)                                                                 \
    {                                                                                              \
        .eps = 1e-5, __VA_ARGS__                                                                   \
    }
/* x, mean, var, gamma, beta, residual: wide enough that relu6 meets both of its ends. */
#define NORM_VALUES .low = {-2, -1, 0.2, 1, -1, -2}, .high = {2, 1, 1, 3, 3, 4}

/* What the arguments mean and var are in a case: statistics of x when there is a count, else the
 * drawn values. Either way they are not free, and differences must not move them by themselves. */
static void arrange_statistics(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    const wisp_batch_norm_attrs *a = attrs;
    wispi_ref out[2] = {in[1], in[2]};
    if (a->count == 0)
        return;
    memset(out[0].v, 0, sizeof(double) * (size_t)out[0].count);
    memset(out[1].v, 0, sizeof(double) * (size_t)out[1].count);
    stats_reference(NULL, in, n_in, out);
}

#define NORM_CASE NORM_VALUES, .arrange = arrange_statistics, .arranged = 1u << 1 | 1u << 2

static const wispi_op_case norm_cases[] = {
    {.name = "map",
     .attrs = NORM(.activation = WISP_ACT_NONE),
     .n_in = 5,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 13), WISPI_F32_OF(13), WISPI_F32_OF(13), WISPI_F32_OF(13),
            WISPI_F32_OF(13)},
     NORM_CASE},
    {.name = "relu",
     .attrs = NORM(.activation = WISP_ACT_RELU),
     .n_in = 5,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 17), WISPI_F32_OF(17), WISPI_F32_OF(17), WISPI_F32_OF(17),
            WISPI_F32_OF(17)},
     NORM_CASE},
    {.name = "relu6",
     .attrs = NORM(.activation = WISP_ACT_RELU6),
     .n_in = 5,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 2, 2, 19), WISPI_F32_OF(19), WISPI_F32_OF(19), WISPI_F32_OF(19),
            WISPI_F32_OF(19)},
     NORM_CASE},
    {.name = "residual",
     .attrs = NORM(.activation = WISP_ACT_NONE),
     .n_in = 6,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 1, 3, 7), WISPI_F32_OF(7), WISPI_F32_OF(7), WISPI_F32_OF(7),
            WISPI_F32_OF(7), WISPI_F32_OF(5, 1, 3, 7)},
     NORM_CASE},
    {.name = "residual_relu",
     .attrs = NORM(.activation = WISP_ACT_RELU),
     .n_in = 6,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 4, 4, 32), WISPI_F32_OF(32), WISPI_F32_OF(32), WISPI_F32_OF(32),
            WISPI_F32_OF(32), WISPI_F32_OF(2, 4, 4, 32)},
     NORM_CASE},
    {.name = "not_affine_rows",
     .attrs = NORM(.activation = WISP_ACT_NONE),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 11), WISPI_F32_OF(11), WISPI_F32_OF(11)},
     NORM_CASE},
    {.name = "only_beta",
     .attrs = NORM(.activation = WISP_ACT_RELU),
     .n_in = 5,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 1), WISPI_F32_OF(1), WISPI_F32_OF(1), WISPI_ABSENT, WISPI_F32_OF(1)},
     NORM_CASE},
    {.name = "training",
     .attrs = NORM(.count = 30, .activation = WISP_ACT_NONE),
     .n_in = 5,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 13), WISPI_F32_OF(13), WISPI_F32_OF(13), WISPI_F32_OF(13),
            WISPI_F32_OF(13)},
     NORM_CASE},
    {.name = "training_relu",
     .attrs = NORM(.count = 34, .activation = WISP_ACT_RELU),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(34, 5), WISPI_F32_OF(5), WISPI_F32_OF(5)},
     NORM_CASE},
    {.name = "training_residual_relu6",
     .attrs = NORM(.count = 12, .activation = WISP_ACT_RELU6),
     .n_in = 6,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 2, 2, 19), WISPI_F32_OF(19), WISPI_F32_OF(19), WISPI_F32_OF(19),
            WISPI_F32_OF(19), WISPI_F32_OF(3, 2, 2, 19)},
     NORM_CASE},
};

/* dy, x, y, mean, var, gamma, dbeta, dgamma */
#define GRAD_VALUES .low = {-1, -2, -2, -1, 0.2, 1, -9, -9}, .high = {1, 2, 8, 1, 1, 3, 9, 9}

static const wispi_op_case grad_stats_cases[] = {
    {.name = "map",
     .attrs = NORM(.activation = WISP_ACT_NONE),
     .n_in = 5,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 5, 13), WISPI_F32_OF(2, 3, 5, 13), WISPI_ABSENT, WISPI_F32_OF(13),
            WISPI_F32_OF(13)},
     GRAD_VALUES},
    {.name = "relu",
     .attrs = NORM(.activation = WISP_ACT_RELU),
     .n_in = 5,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 4, 4, 32), WISPI_F32_OF(2, 4, 4, 32), WISPI_F32_OF(2, 4, 4, 32),
            WISPI_F32_OF(32), WISPI_F32_OF(32)},
     GRAD_VALUES},
    {.name = "relu6_rows",
     .attrs = NORM(.activation = WISP_ACT_RELU6),
     .n_in = 5,
     .n_out = 2,
     .in = {WISPI_F32_OF(17, 19), WISPI_F32_OF(17, 19), WISPI_F32_OF(17, 19), WISPI_F32_OF(19),
            WISPI_F32_OF(19)},
     GRAD_VALUES},
};

static const wispi_op_case grad_input_cases[] = {
    {.name = "map",
     .attrs = NORM(.count = 30, .activation = WISP_ACT_NONE),
     .n_in = 8,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 5, 13), WISPI_F32_OF(2, 3, 5, 13), WISPI_ABSENT, WISPI_F32_OF(13),
            WISPI_F32_OF(13), WISPI_F32_OF(13), WISPI_F32_OF(13), WISPI_F32_OF(13)},
     GRAD_VALUES},
    {.name = "residual_relu",
     .attrs = NORM(.count = 32, .activation = WISP_ACT_RELU, .want_residual = 1),
     .n_in = 8,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 4, 4, 32), WISPI_F32_OF(2, 4, 4, 32), WISPI_F32_OF(2, 4, 4, 32),
            WISPI_F32_OF(32), WISPI_F32_OF(32), WISPI_F32_OF(32), WISPI_F32_OF(32),
            WISPI_F32_OF(32)},
     GRAD_VALUES},
    {.name = "relu6_two_ranks",
     .attrs = NORM(.count = 34, .activation = WISP_ACT_RELU6),
     .n_in = 8,
     .n_out = 2,
     .in = {WISPI_F32_OF(17, 19), WISPI_F32_OF(17, 19), WISPI_F32_OF(17, 19), WISPI_F32_OF(19),
            WISPI_F32_OF(19), WISPI_F32_OF(19), WISPI_F32_OF(19), WISPI_F32_OF(19)},
     GRAD_VALUES},
    {.name = "evaluation",
     .attrs = NORM(.count = 0, .activation = WISP_ACT_RELU, .want_residual = 1),
     .n_in = 8,
     .n_out = 2,
     .in = {WISPI_F32_OF(5, 3, 7), WISPI_F32_OF(5, 3, 7), WISPI_F32_OF(5, 3, 7), WISPI_F32_OF(7),
            WISPI_F32_OF(7), WISPI_F32_OF(7), WISPI_F32_OF(7), WISPI_F32_OF(7)},
     GRAD_VALUES},
    {.name = "not_affine",
     .attrs = NORM(.count = 7, .activation = WISP_ACT_NONE),
     .n_in = 8,
     .n_out = 2,
     .in = {WISPI_F32_OF(7, 11), WISPI_F32_OF(7, 11), WISPI_ABSENT, WISPI_F32_OF(11),
            WISPI_F32_OF(11), WISPI_ABSENT, WISPI_F32_OF(11), WISPI_F32_OF(11)},
     GRAD_VALUES},
};

#define RUNNING_CASE(label, m, n, c)                                                               \
    {                                                                                              \
        .name = label, .attrs = &(const wisp_running_attrs){m, n}, .n_in = 4, .n_out = 2,          \
        .in = {WISPI_F32_OF(c), WISPI_F32_OF(c), WISPI_F32_OF(c), WISPI_F32_OF(c)},                \
        .low = {-1, 0.1, -1, 0.1}, .high = {1, 2, 1, 2}, .inout = 3, .inout_from = {2, 3},         \
        .skip_grad = 1                                                                             \
    }

static const wispi_op_case running_cases[] = {
    RUNNING_CASE("usual", 0.1, 98, 37),
    RUNNING_CASE("two_values", 0.1, 2, 1),
    RUNNING_CASE("replace", 1, 50, 16),
};

/* --- operations --- */

static const wispi_op stats_op = {
    .name = "channel_stats",
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .in_names = stats_in,
    .out_names = stats_out,
    .infer = stats_infer,
    .reference = stats_reference,
    .cases = stats_cases,
    .n_cases = WISPI_COUNT_OF(stats_cases),
};

static const wispi_op grad_stats_op = {
    .name = "batch_norm_grad_stats",
    .attrs_bytes = sizeof(wisp_batch_norm_attrs),
    .min_in = 5,
    .max_in = 5,
    .n_out = 2,
    .parameter_in = 1u << 3 | 1u << 4,
    .in_names = grad_stats_in,
    .out_names = grad_stats_out,
    .infer = grad_stats_infer,
    .reference = grad_stats_reference,
    .cases = grad_stats_cases,
    .n_cases = WISPI_COUNT_OF(grad_stats_cases),
};

static const wispi_op grad_input_op = {
    .name = "batch_norm_grad_input",
    .attrs_bytes = sizeof(wisp_batch_norm_attrs),
    .min_in = 8,
    .max_in = 8,
    .n_out = 2,
    .parameter_in = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7,
    .in_names = grad_input_in,
    .out_names = grad_input_out,
    .infer = grad_input_infer,
    .reference = grad_input_reference,
    .cases = grad_input_cases,
    .n_cases = WISPI_COUNT_OF(grad_input_cases),
};

static const wispi_op running_op = {
    .name = "running_update",
    .attrs_bytes = sizeof(wisp_running_attrs),
    .min_in = 4,
    .max_in = 4,
    .n_out = 2,
    .parameter_in = 15,
    .in_names = running_in,
    .out_names = running_out,
    .infer = running_infer,
    .reference = running_reference,
    .cases = running_cases,
    .n_cases = WISPI_COUNT_OF(running_cases),
};

/* batch_norm_grad_input needs the sums over all ranks that shared their statistics: a count beyond
 * the elements of x tells of them. The sums are new tensors, since the parameters' gradients keep
 * those of this rank. */
static void sum_over_ranks(wisp_step *step, const wisp_batch_norm_attrs *attrs,
                           const wisp_tensor *x, wisp_tensor *sums[2])
{
    if (wispi_step_ranks(step) && attrs->count > wispi_leading_count(wispi_tensor_desc(x), 1))
        wispi_ranks_sum_pair(step, sums);
}

static const wispi_op norm_op;

static wisp_status norm_gradient(wispi_grad *grad)
{
    wisp_batch_norm_attrs attrs = *(const wisp_batch_norm_attrs *)grad->attrs;
    wisp_tensor *dy = grad->dout[0];
    if (!wispi_grad_possible(grad, &norm_op) || !dy)
        return WISP_OK;
    wisp_tensor *x = grad->in[0], *mean = grad->in[1], *var = grad->in[2];
    wisp_tensor *gamma = grad->n_in > 3 ? grad->in[3] : NULL;
    wisp_tensor *y = attrs.activation != WISP_ACT_NONE ? grad->out[0] : NULL;
    wisp_tensor *stats_args[] = {dy, x, y, mean, var};
    wisp_tensor *sums[WISPI_MAX_OUT] = {NULL};
    attrs.want_residual = 0;
    if (wispi_grad_wants(grad, 4))
        sums[0] = wispi_grad_target(grad, 4);
    if (wispi_grad_wants(grad, 3))
        sums[1] = wispi_grad_target(grad, 3);
    wispi_apply(grad->step, &grad_stats_op, &attrs, stats_args, 5, sums);
    wispi_grad_give(grad, 4, sums[0]);
    wispi_grad_give(grad, 3, sums[1]);

    const int wants_residual = wispi_grad_wants(grad, 5);
    if (wants_residual && !y)
        wispi_grad_give(grad, 5, dy);
    if (!wispi_grad_wants(grad, 0) && !(wants_residual && y))
        return WISP_OK;
    sum_over_ranks(grad->step, &attrs, x, sums);
    attrs.want_residual = wants_residual && y;
    wisp_tensor *args[] = {dy, x, y, mean, var, gamma, sums[0], sums[1]};
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    wispi_apply(grad->step, &grad_input_op, &attrs, args, 8, out);
    wispi_grad_give(grad, 0, out[0]);
    wispi_grad_give(grad, 5, out[1]);
    return WISP_OK;
}

static const wispi_op norm_op = {
    .name = "batch_norm",
    .attrs_bytes = sizeof(wisp_batch_norm_attrs),
    .min_in = 3,
    .max_in = 6,
    .n_out = 1,
    .parameter_in = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4,
    .in_names = norm_in,
    .out_names = norm_out,
    .infer = norm_infer,
    .reference = norm_reference,
    .gradient = norm_gradient,
    .constant_in = 1u << 1 | 1u << 2,
    .cases = norm_cases,
    .n_cases = WISPI_COUNT_OF(norm_cases),
};

static const wispi_op *const ops[] = {&norm_op, &stats_op, &grad_stats_op, &grad_input_op,
                                      &running_op};
const wispi_op_family wispi_op_batch_norm = {ops, WISPI_COUNT_OF(ops)};
