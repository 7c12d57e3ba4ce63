/* concat.c - tensors one after another along an axis; each gets its slice of the gradient. */
#include "ops/broadcasting.h"

extern const wispi_op_family wispi_op_slice;

static const char *const in_names[] = {"x0", "x1", "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                       "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15"};
static const char *const out_names[] = {"y"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"concat", in_names, in, n_in, err};
    const wisp_axis_attrs *t = attrs;
    WISP_TRY(wispi_rule_axis(&rule, 0, t->axis));
    wisp_desc y = *in[0];
    for (int32_t i = 1; i < n_in; i++) {
        WISP_TRY(wispi_rule_same_dtype(&rule, i, 0));
        wisp_desc fits = *in[0];
        if (in[i]->rank == fits.rank)
            fits.shape[t->axis] = in[i]->shape[t->axis];
        if (!wispi_same_shape(in[i], &fits))
            return wispi_rule_fail(&rule, WISP_E_SHAPE, "%s and x0 may differ along axis %d alone",
                                   in_names[i], t->axis);
        if (fits.shape[t->axis] > INT64_MAX - y.shape[t->axis])
            return wispi_rule_fail(&rule, WISP_E_SHAPE, "the result has too many elements");
        y.shape[t->axis] += fits.shape[t->axis];
    }
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_axis_attrs *t = attrs;
    const wispi_axis y = wispi_axis_of(out[0].desc, t->axis); /* (outer, size, inner) */
    int64_t start = 0;
    for (int32_t i = 0; i < n_in; i++) {
        const wispi_axis x = wispi_axis_of(in[i].desc, t->axis);
        const int64_t row = x.size * x.inner;
        for (int64_t o = 0; o < x.outer; o++)
            for (int64_t r = 0; r < row; r++)
                out[0].v[(o * y.size + start) * y.inner + r] = in[i].v[o * row + r];
        start += x.size;
    }
}

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_axis_attrs *t = grad->attrs;
    int64_t start = 0;
    for (int32_t i = 0; i < grad->n_in; i++) {
        const int64_t length = wispi_tensor_desc(grad->in[i])->shape[t->axis];
        const wisp_axis_attrs part = {start, length, t->axis, 0};
        if (wispi_grad_wants(grad, i))
            wispi_grad_by(grad, i, wispi_op_slice.ops[0], &part, &grad->dout[0], 1);
        start += length;
    }
    return WISP_OK;
}

#define ALONG(axis)                                                                                \
    &(const wisp_axis_attrs)                                                                       \
    {                                                                                              \
        0, 0, axis, 0                                                                              \
    }

static const wispi_op_case cases[] = {
    {.name = "rows",
     .attrs = ALONG(0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 7}}, {WISP_F32, 2, {5, 7}}},
     .low = {-1, -1},
     .high = {1, 1}},
    {.name = "class-token",
     .attrs = ALONG(1),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 1, 17}}, {WISP_F32, 3, {2, 9, 17}}},
     .low = {-1, -1},
     .high = {1, 1}},
    {.name = "columns-of-three",
     .attrs = ALONG(3),
     .n_in = 3,
     .n_out = 1,
     .in = {{WISP_F32, 4, {2, 3, 5, 1}}, {WISP_F32, 4, {2, 3, 5, 7}}, {WISP_F32, 4, {2, 3, 5, 4}}},
     .low = {-1, -1, -1},
     .high = {1, 1, 1}},
    {.name = "one",
     .attrs = ALONG(0),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 1, {131}}},
     .low = {-1},
     .high = {1}},
    {.name = "labels",
     .attrs = ALONG(0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_I64, 1, {3}}, {WISP_I64, 1, {4}}},
     .low = {-9, -9},
     .high = {9, 9}},
    {.name = "wide",
     .attrs = ALONG(1),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {3, 1, 64}}, {WISP_F32, 3, {3, 9, 64}}},
     .low = {-1, -1},
     .high = {1, 1}},
    {.name = "many-odd-rows",
     .attrs = ALONG(1),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {300, 97}}, {WISP_F32, 2, {300, 130}}},
     .low = {-1, -1},
     .high = {1, 1},
     .skip_grad = 1},
    {.name = "with-an-empty-one",
     .attrs = ALONG(0),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {0, 7}}, {WISP_F32, 2, {5, 7}}},
     .low = {-1, -1},
     .high = {1, 1}},
};

static const wispi_op concat = {
    .name = "concat",
    .attrs_bytes = sizeof(wisp_axis_attrs),
    .min_in = 1,
    .max_in = WISPI_MAX_IN,
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&concat};
const wispi_op_family wispi_op_concat = {family, sizeof family / sizeof *family};
