/* reduce.c - sums, means and maxima over dimensions, and the stretching that undoes them.
 *
 * A maximum's gradient goes to the first of equal maxima. */
#include "ops/broadcasting.h"

#include <math.h>

extern const wispi_op_family wispi_op_unary;

static const char *const reduce_names[] = {"x"};
static const char *const reduce_out_names[] = {"y"};
static const char *const grad_names[] = {"dy", "x"};
static const char *const grad_out_names[] = {"dx"};

/* The shape that is left; with `keep`, reduced dimensions stay as 1. */
static wisp_desc reduced(const wisp_desc *x, uint32_t axes, int32_t keep)
{
    wisp_desc y = wisp_desc0(x->dtype);
    for (int32_t d = 0; d < x->rank; d++) {
        if (!(axes >> d & 1))
            y.shape[y.rank++] = x->shape[d];
        else if (keep)
            y.shape[y.rank++] = 1;
    }
    return y;
}

/* Judges argument i as the x of a reduction. */
static wisp_status judge(const wispi_rule *rule, int32_t i, const wisp_reduce_attrs *t,
                         wisp_desc *y)
{
    WISP_TRY(wispi_rule_float(rule, i));
    const wisp_desc *x = rule->in[i];
    if (t->kind < WISP_REDUCE_SUM || t->kind > WISP_REDUCE_MAX)
        return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.kind %d is not a WISP_REDUCE_ value",
                               t->kind);
    if (t->axes >> x->rank || (t->axes == 0 && x->rank > 0))
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "attrs.axes 0x%x must name some of the %d dimensions",
                               (unsigned)t->axes, x->rank);
    if (t->kind != WISP_REDUCE_SUM && wispi_axes_count(x, t->axes) == 0)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "no mean or maximum over no elements");
    *y = reduced(x, t->axes, t->keep);
    if (y->rank == 0)
        y->dtype = WISP_F32;
    return WISP_OK;
}

static wisp_status reduce_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"reduce", reduce_names, in, n_in, err};
    wisp_desc y;
    WISP_TRY(judge(&rule, 0, attrs, &y));
    out[0] = y;
    return WISP_OK;
}

static void reduce_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_reduce_attrs *t = attrs;
    const wisp_desc *shape = in[0].desc;
    const int64_t n = wispi_axes_count(shape, t->axes);
    (void)n_in;
    for (int64_t o = 0; o < out[0].count; o++) {
        const double *x = in[0].v + wispi_axes_offset(shape, ~t->axes, o);
        double sum = 0, max = -INFINITY;
        for (int64_t r = 0; r < n; r++) {
            const double v = x[wispi_axes_offset(shape, t->axes, r)];
            sum += v;
            max = v > max || v != v ? v : max; /* a NaN stays one */
        }
        out[0].v[o] = t->kind == WISP_REDUCE_SUM    ? sum
                      : t->kind == WISP_REDUCE_MEAN ? sum / (double)n
                                                    : max;
    }
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"reduce_max_grad", grad_names, in, n_in, err};
    wisp_desc y;
    WISP_TRY(judge(&rule, 1, attrs, &y));
    WISP_TRY(wispi_rule_dtype(&rule, 0, y.dtype));
    WISP_TRY(wispi_rule_shape(&rule, 0, &y));
    out[0] = *in[1];
    return WISP_OK;
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_reduce_attrs *t = attrs;
    const wisp_desc *shape = in[1].desc;
    const int64_t n = wispi_axes_count(shape, t->axes);
    (void)n_in;
    for (int64_t o = 0; o < in[0].count; o++) {
        const int64_t base = wispi_axes_offset(shape, ~t->axes, o);
        int64_t first = base;
        for (int64_t r = 0; r < n; r++) {
            const int64_t i = base + wispi_axes_offset(shape, t->axes, r);
            if (in[1].v[i] > in[1].v[first])
                first = i;
        }
        out[0].v[first] = in[0].v[o];
    }
}

static const wispi_op reduce_max_grad;
static const wispi_op broadcast;

static wisp_status reduce_gradient(wispi_grad *grad)
{
    const wisp_reduce_attrs *t = grad->attrs;
    const wisp_desc *x = wispi_tensor_desc(grad->in[0]);
    if (t->kind == WISP_REDUCE_MAX) {
        wisp_tensor *in[2] = {grad->dout[0], grad->in[0]};
        wispi_grad_by(grad, 0, &reduce_max_grad, t, in, 2);
        return WISP_OK;
    }
    const double n = (double)wispi_axes_count(x, t->axes);
    wisp_broadcast_attrs attrs = {t->kind == WISP_REDUCE_MEAN ? 1 / n : 1, {0}, x->rank, x->dtype};
    for (int32_t d = 0; d < x->rank; d++)
        attrs.shape[d] = x->shape[d];
    wisp_desc kept = reduced(x, t->axes, 1);
    kept.dtype = wispi_tensor_desc(grad->dout[0])->dtype;
    wisp_tensor *dy = wispi_reshape(grad->step, grad->dout[0], &kept);
    wispi_grad_by(grad, 0, &broadcast, &attrs, &dy, 1);
    return WISP_OK;
}

static wisp_status broadcast_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                   wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"broadcast", reduce_names, in, n_in, err};
    const wisp_broadcast_attrs *t = attrs;
    wisp_desc y;
    char text[128];
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_factor(&rule, "scale", t->scale));
    if (t->dtype != 0 && t->dtype != WISP_F32 && t->dtype != WISP_BF16)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.dtype %d is neither f32 nor bf16",
                               t->dtype);
    y = wisp_desc0(t->dtype ? t->dtype : in[0]->dtype);
    y.rank = t->rank;
    for (int32_t d = 0; d < t->rank && d < WISP_MAX_RANK; d++)
        y.shape[d] = t->shape[d];
    WISP_TRY(wispi_rule_countable(&rule, &y));
    if (!wispi_broadcasts(in[0], &y))
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "x does not broadcast to %s",
                               wispi_shape_text(&y, text, sizeof text));
    out[0] = y;
    return WISP_OK;
}

static void broadcast_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                wispi_ref *out)
{
    const wisp_broadcast_attrs *t = attrs;
    (void)n_in;
    for (int64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = t->scale * in[0].v[wispi_broadcast_offset(out[0].desc, in[0].desc, i)];
}

static wisp_status broadcast_gradient(wispi_grad *grad)
{
    const wisp_broadcast_attrs *t = grad->attrs;
    const wisp_unary_attrs scale = {t->scale, 0, WISP_UNARY_AFFINE, 0};
    wisp_tensor *g = grad->dout[0];
    if (t->scale != 1)
        g = wispi_apply1(grad->step, wispi_op_unary.ops[0], &scale, &g, 1);
    wispi_grad_give(grad, 0, wispi_sum_broadcast(grad->step, g, wispi_tensor_desc(grad->in[0])));
    return WISP_OK;
}

#define OVER(kind, axes, keep)                                                                     \
    &(const wisp_reduce_attrs)                                                                     \
    {                                                                                              \
        WISP_REDUCE_##kind, axes, keep, 0                                                          \
    }
#define REDUCE_CASE(text, attributes, ...)                                                         \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 1, .n_out = 1, .in = {__VA_ARGS__},             \
        .low = {-1}, .high = {                                                                     \
            3 /* sums that do not cancel */                                                        \
        }                                                                                          \
    }

static const wispi_op_case reduce_cases[] = {
    REDUCE_CASE("sum-rows", OVER(SUM, 1, 0), {WISP_F32, 2, {13, 7}}),
    REDUCE_CASE("sum-columns", OVER(SUM, 2, 1), {WISP_F32, 2, {13, 67}}),
    REDUCE_CASE("sum-all", OVER(SUM, 7, 0), {WISP_F32, 3, {3, 5, 7}}),
    REDUCE_CASE("sum-0d", OVER(SUM, 0, 0), {WISP_F32, 0, {0}}),
    REDUCE_CASE("mean-map", OVER(MEAN, 6, 0), {WISP_F32, 4, {2, 3, 5, 17}}),
    REDUCE_CASE("mean-outer-and-inner", OVER(MEAN, 5, 1), {WISP_F32, 3, {3, 5, 7}}),
    REDUCE_CASE("mean-all", OVER(MEAN, 3, 0), {WISP_F32, 2, {5, 131}}),
    REDUCE_CASE("max-columns", OVER(MAX, 2, 0), {WISP_F32, 2, {5, 67}}),
    REDUCE_CASE("max-all", OVER(MAX, 3, 1), {WISP_F32, 2, {5, 7}}),
    REDUCE_CASE("sum-of-none", OVER(SUM, 1, 0), {WISP_F32, 2, {0, 7}}),
};

static const wispi_op_case grad_cases[] = {
    {.name = "columns",
     .attrs = OVER(MAX, 2, 0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 1, {5}}, {WISP_F32, 2, {5, 67}}},
     .low = {-1, -1},
     .high = {1, 1}},
    {.name = "all",
     .attrs = OVER(MAX, 3, 0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 0, {0}}, {WISP_F32, 2, {5, 7}}},
     .low = {0.5, -1},
     .high = {1, 1},
     .no_bf16 = 1},
    {.name = "ties",
     .attrs = OVER(MAX, 5, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {1, 5, 1}}, {WISP_F32, 3, {3, 5, 7}}},
     .low = {-1, 0.5},
     .high = {1, 0.5}},
};

#define TO(scale, rank, ...)                                                                       \
    &(const wisp_broadcast_attrs)                                                                  \
    {                                                                                              \
        scale, {__VA_ARGS__}, rank, 0                                                              \
    }

static const wispi_op_case broadcast_cases[] = {
    REDUCE_CASE("row", TO(1, 2, 13, 7), {WISP_F32, 1, {7}}),
    REDUCE_CASE("column-scaled", TO(0.125, 2, 13, 67), {WISP_F32, 2, {13, 1}}),
    REDUCE_CASE("map", TO(0.0625, 4, 2, 3, 5, 17), {WISP_F32, 4, {2, 1, 1, 17}}),
    REDUCE_CASE("scalar", TO(-2, 3, 3, 5, 7), {WISP_F32, 0, {0}}),
    REDUCE_CASE("same", TO(3, 2, 5, 7), {WISP_F32, 2, {5, 7}}),
};

static const wispi_op reduce = {
    .name = "reduce",
    .attrs_bytes = sizeof(wisp_reduce_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = reduce_names,
    .out_names = reduce_out_names,
    .infer = reduce_infer,
    .reference = reduce_reference,
    .gradient = reduce_gradient,
    .cases = reduce_cases,
    .n_cases = sizeof reduce_cases / sizeof *reduce_cases,
};

static const wispi_op reduce_max_grad = {
    .name = "reduce_max_grad",
    .attrs_bytes = sizeof(wisp_reduce_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op broadcast = {
    .name = "broadcast",
    .attrs_bytes = sizeof(wisp_broadcast_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = reduce_names,
    .out_names = reduce_out_names,
    .infer = broadcast_infer,
    .reference = broadcast_reference,
    .gradient = broadcast_gradient,
    .cases = broadcast_cases,
    .n_cases = sizeof broadcast_cases / sizeof *broadcast_cases,
};

static const wispi_op *const family[] = {&reduce, &reduce_max_grad, &broadcast};
const wispi_op_family wispi_op_reduce = {family, sizeof family / sizeof *family};
