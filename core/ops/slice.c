/* slice.c - a range along one axis. */
#include "ops/broadcasting.h"

static const char *const slice_names[] = {"x"};
static const char *const slice_out_names[] = {"y"};
static const char *const grad_names[] = {"dy"};
static const char *const grad_out_names[] = {"dx"};

/* [start, start + length) lies in [0, size) */
static wisp_status judge_range(const wispi_rule *rule, int64_t start, int64_t length, int64_t size)
{
    if (start >= 0 && length >= 0 && length <= size && start <= size - length)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_SHAPE, "%lld elements from %lld on are not among %lld",
                           (long long)length, (long long)start, (long long)size);
}

static wisp_status slice_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"slice", slice_names, in, n_in, err};
    const wisp_axis_attrs *t = attrs;
    WISP_TRY(wispi_rule_axis(&rule, 0, t->axis));
    WISP_TRY(judge_range(&rule, t->start, t->length, in[0]->shape[t->axis]));
    out[0] = *in[0];
    out[0].shape[t->axis] = t->length;
    return WISP_OK;
}

static void slice_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_axis_attrs *t = attrs;
    const wispi_axis x = wispi_axis_of(in[0].desc, t->axis); /* (outer, size, inner) */
    const int64_t row = t->length * x.inner;
    (void)n_in;
    for (int64_t o = 0; o < x.outer; o++)
        for (int64_t r = 0; r < row; r++)
            out[0].v[o * row + r] = in[0].v[(o * x.size + t->start) * x.inner + r];
}

/* attrs.length is the length of x along the axis. */
static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"slice_grad", grad_names, in, n_in, err};
    const wisp_axis_attrs *t = attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_axis(&rule, 0, t->axis));
    WISP_TRY(judge_range(&rule, t->start, in[0]->shape[t->axis], t->length));
    wisp_desc dx = *in[0];
    dx.shape[t->axis] = t->length;
    WISP_TRY(wispi_rule_countable(&rule, &dx));
    out[0] = dx;
    return WISP_OK;
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_axis_attrs *t = attrs;
    const wispi_axis dy = wispi_axis_of(in[0].desc, t->axis); /* (outer, size, inner) */
    const int64_t row = dy.size * dy.inner;
    (void)n_in;
    for (int64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = 0;
    for (int64_t o = 0; o < dy.outer; o++)
        for (int64_t r = 0; r < row; r++)
            out[0].v[(o * t->length + t->start) * dy.inner + r] = in[0].v[o * row + r];
}

static const wispi_op slice_grad;

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_axis_attrs *t = grad->attrs;
    const int64_t size = wispi_tensor_desc(grad->in[0])->shape[t->axis];
    const wisp_axis_attrs back = {t->start, size, t->axis, 0};
    wispi_grad_by(grad, 0, &slice_grad, &back, &grad->dout[0], 1);
    return WISP_OK;
}

#define RANGE(axis, start, length)                                                                 \
    &(const wisp_axis_attrs)                                                                       \
    {                                                                                              \
        start, length, axis, 0                                                                     \
    }
#define SLICE_CASE(text, attributes, dtype, rank, ...)                                             \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 1, .n_out = 1,                                  \
        .in = {{dtype, rank, {__VA_ARGS__}}}, .low = {-9}, .high = {                               \
            9                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case slice_cases[] = {
    SLICE_CASE("rows", RANGE(0, 2, 3), WISP_F32, 2, 7, 17),
    SLICE_CASE("class-token", RANGE(1, 0, 1), WISP_F32, 3, 3, 10, 17),
    SLICE_CASE("columns", RANGE(3, 4, 7), WISP_F32, 4, 2, 3, 5, 13),
    SLICE_CASE("whole", RANGE(0, 0, 131), WISP_F32, 1, 131),
    SLICE_CASE("wide", RANGE(1, 2, 5), WISP_F32, 3, 3, 9, 64),
    SLICE_CASE("labels", RANGE(0, 3, 2), WISP_I64, 1, 5),
    SLICE_CASE("nothing", RANGE(0, 5, 0), WISP_F32, 2, 5, 7),
};

static const wispi_op_case grad_cases[] = {
    SLICE_CASE("rows", RANGE(0, 2, 7), WISP_F32, 2, 3, 17),
    SLICE_CASE("class-token", RANGE(1, 0, 10), WISP_F32, 3, 3, 1, 17),
    SLICE_CASE("columns", RANGE(3, 4, 13), WISP_F32, 4, 2, 3, 5, 7),
    SLICE_CASE("wide", RANGE(1, 2, 9), WISP_F32, 3, 3, 5, 64),
};

static const wispi_op slice = {
    .name = "slice",
    .attrs_bytes = sizeof(wisp_axis_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = slice_names,
    .out_names = slice_out_names,
    .infer = slice_infer,
    .reference = slice_reference,
    .gradient = gradient,
    .cases = slice_cases,
    .n_cases = sizeof slice_cases / sizeof *slice_cases,
};

static const wispi_op slice_grad = {
    .name = "slice_grad",
    .attrs_bytes = sizeof(wisp_axis_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&slice, &slice_grad};
const wispi_op_family wispi_op_slice = {family, sizeof family / sizeof *family};
