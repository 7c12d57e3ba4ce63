/* binary.c - functions of two values, with numpy broadcasting.
 *
 * Both operands have one type; a 0-d f32 operand (a value of a schedule, a statistic) goes with
 * any. Gradients are composed: the shape of y first, then a sum over what was broadcast. The step
 * function of max and min is the gradient of relu at the difference, because
 * max(a, b) = b + relu(a - b) and min(a, b) = b - relu(b - a); where both are equal, b takes all.
 */
#include "ops/broadcasting.h"

extern const wispi_op_family wispi_op_unary;

static const char *const in_names[] = {"a", "b"};
static const char *const out_names[] = {"y"};

static int is_f32_scalar(const wisp_desc *d)
{
    return d->rank == 0 && d->dtype == WISP_F32;
}

static wisp_status join_shapes(const wispi_rule *rule, const wisp_desc *a, const wisp_desc *b,
                               wisp_desc *y)
{
    *y = wispi_desc_leading(a, 0, a->dtype);
    y->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t d = 1; d <= y->rank; d++) {
        const int64_t na = d <= a->rank ? a->shape[a->rank - d] : 1;
        const int64_t nb = d <= b->rank ? b->shape[b->rank - d] : 1;
        if (na != nb && na != 1 && nb != 1)
            return wispi_rule_fail(rule, WISP_E_SHAPE,
                                   "sizes %lld and %lld do not broadcast against each other",
                                   (long long)na, (long long)nb);
        y->shape[y->rank - d] = na == 1 ? nb : na;
    }
    return wispi_rule_countable(rule, y);
}

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"binary", in_names, in, n_in, err};
    const wisp_binary_attrs *t = attrs;
    wisp_desc y;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_float(&rule, 1));
    if (t->kind < WISP_BINARY_ADD || t->kind > WISP_BINARY_MIN)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.kind %d is not a WISP_BINARY_ value",
                               t->kind);
    if (!is_f32_scalar(in[0]) && !is_f32_scalar(in[1]))
        WISP_TRY(wispi_rule_same_dtype(&rule, 1, 0));
    WISP_TRY(join_shapes(&rule, in[0], in[1], &y));
    y.dtype = is_f32_scalar(in[0]) ? in[1]->dtype : in[0]->dtype;
    out[0] = y;
    return WISP_OK;
}

static double value(int32_t kind, double a, double b)
{
    switch (kind) {
    case WISP_BINARY_ADD:
        return a + b;
    case WISP_BINARY_SUB:
        return a - b;
    case WISP_BINARY_MUL:
        return a * b;
    case WISP_BINARY_DIV:
        return a / b;
    case WISP_BINARY_MAX: /* a NaN on either side stays one */
        return a > b || a != a ? a : b;
    default: /* WISP_BINARY_MIN */
        return a < b || a != a ? a : b;
    }
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_binary_attrs *t = attrs;
    (void)n_in;
    for (int64_t i = 0; i < out[0].count; i++) {
        const double a = in[0].v[wispi_broadcast_offset(out[0].desc, in[0].desc, i)];
        const double b = in[1].v[wispi_broadcast_offset(out[0].desc, in[1].desc, i)];
        out[0].v[i] = value(t->kind, a, b);
    }
}

static const wispi_op binary;

static wisp_tensor *combine(wisp_step *step, int32_t kind, wisp_tensor *a, wisp_tensor *b)
{
    const wisp_binary_attrs attrs = {kind, 0};
    wisp_tensor *in[2] = {a, b};
    return wispi_apply1(step, &binary, &attrs, in, 2);
}

static wisp_tensor *negative(wisp_step *step, wisp_tensor *x)
{
    const wisp_unary_attrs attrs = {-1, 0, WISP_UNARY_AFFINE, 0};
    return wispi_apply1(step, wispi_op_unary.ops[0], &attrs, &x, 1);
}

/* dy where `difference` is positive, 0 elsewhere. */
static wisp_tensor *where_positive(wisp_step *step, wisp_tensor *dy, wisp_tensor *difference)
{
    const wisp_unary_attrs attrs = {0, 0, WISP_UNARY_RELU, 0};
    wisp_tensor *in[3] = {dy, difference, difference};
    return wispi_apply1(step, wispi_op_unary.ops[1], &attrs, in, 3);
}

/* Hands over g, which has the shape of y, for input i: summed over what was broadcast. */
static void give(wispi_grad *grad, int32_t i, wisp_tensor *g)
{
    if (wispi_grad_wants(grad, i))
        wispi_grad_give(grad, i,
                        wispi_sum_broadcast(grad->step, g, wispi_tensor_desc(grad->in[i])));
}

static void give_extreme(wispi_grad *grad, int32_t kind)
{
    wisp_tensor *a = grad->in[0], *b = grad->in[1], *dy = grad->dout[0];
    wisp_tensor *difference = kind == WISP_BINARY_MAX ? combine(grad->step, WISP_BINARY_SUB, a, b)
                                                      : combine(grad->step, WISP_BINARY_SUB, b, a);
    wisp_tensor *to_a = where_positive(grad->step, dy, difference);
    give(grad, 0, to_a);
    if (wispi_grad_wants(grad, 1))
        give(grad, 1, combine(grad->step, WISP_BINARY_SUB, dy, to_a));
}

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_binary_attrs *t = grad->attrs;
    wisp_step *step = grad->step;
    wisp_tensor *a = grad->in[0], *b = grad->in[1], *y = grad->out[0], *dy = grad->dout[0];
    const int want_a = wispi_grad_wants(grad, 0), want_b = wispi_grad_wants(grad, 1);
    switch (t->kind) {
    case WISP_BINARY_ADD:
        give(grad, 0, dy);
        give(grad, 1, dy);
        break;
    case WISP_BINARY_SUB:
        give(grad, 0, dy);
        give(grad, 1, want_b ? negative(step, dy) : NULL);
        break;
    case WISP_BINARY_MUL:
        give(grad, 0, want_a ? combine(step, WISP_BINARY_MUL, dy, b) : NULL);
        give(grad, 1, want_b ? combine(step, WISP_BINARY_MUL, dy, a) : NULL);
        break;
    case WISP_BINARY_DIV: { /* y = a / b: da = dy / b, db = -y dy / b */
        wisp_tensor *da = combine(step, WISP_BINARY_DIV, dy, b);
        give(grad, 0, da);
        give(grad, 1, want_b ? negative(step, combine(step, WISP_BINARY_MUL, y, da)) : NULL);
        break;
    }
    default: /* WISP_BINARY_MAX, WISP_BINARY_MIN */
        give_extreme(grad, t->kind);
    }
    return WISP_OK;
}

#define KIND(k)                                                                                    \
    &(const wisp_binary_attrs)                                                                     \
    {                                                                                              \
        WISP_BINARY_##k, 0                                                                         \
    }
#define BINARY_CASE(text, attributes, b_low, b_high, ...)                                          \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 2, .n_out = 1, .in = {__VA_ARGS__},             \
        .low = {-1, b_low}, .high = {                                                              \
            1,                                                                                     \
            b_high                                                                                 \
        }                                                                                          \
    }

static const wispi_op_case cases[] = {
    BINARY_CASE("add", KIND(ADD), -1, 1, {WISP_F32, 3, {3, 5, 7}}, {WISP_F32, 3, {3, 5, 7}}),
    BINARY_CASE("add-bias", KIND(ADD), -1, 1, {WISP_F32, 4, {2, 3, 5, 17}}, {WISP_F32, 1, {17}}),
    BINARY_CASE("add-position", KIND(ADD), -1, 1, {WISP_F32, 3, {3, 5, 7}},
                {WISP_F32, 3, {1, 5, 7}}),
    BINARY_CASE("sub-both-ways", KIND(SUB), -1, 1, {WISP_F32, 2, {7, 1}}, {WISP_F32, 2, {1, 5}}),
    BINARY_CASE("sub", KIND(SUB), -1, 1, {WISP_F32, 2, {3, 67}}, {WISP_F32, 2, {3, 67}}),
    BINARY_CASE("mul", KIND(MUL), -1, 1, {WISP_F32, 2, {3, 67}}, {WISP_F32, 2, {3, 67}}),
    BINARY_CASE("mul-column", KIND(MUL), -1, 1, {WISP_F32, 2, {13, 7}}, {WISP_F32, 2, {13, 1}}),
    {.name = "mul-schedule",
     .attrs = KIND(MUL),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 5}}, {WISP_F32, 0, {0}}},
     .low = {-1, 0.5},
     .high = {1, 2},
     .no_bf16 = 2},
    {.name = "schedule-sub",
     .attrs = KIND(SUB),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 0, {0}}, {WISP_F32, 2, {3, 5}}},
     .low = {0.5, -1},
     .high = {2, 1},
     .no_bf16 = 1},
    BINARY_CASE("mul-0d", KIND(MUL), -1, 1, {WISP_F32, 0, {0}}, {WISP_F32, 0, {0}}),
    BINARY_CASE("div", KIND(DIV), 0.5, 2, {WISP_F32, 3, {3, 5, 7}}, {WISP_F32, 3, {3, 1, 7}}),
    BINARY_CASE("max", KIND(MAX), -1, 1, {WISP_F32, 2, {5, 33}}, {WISP_F32, 2, {5, 33}}),
    BINARY_CASE("min", KIND(MIN), -1, 1, {WISP_F32, 2, {5, 33}}, {WISP_F32, 1, {33}}),
    BINARY_CASE("empty", KIND(ADD), -1, 1, {WISP_F32, 2, {0, 5}}, {WISP_F32, 1, {5}}),
};

static const wispi_op binary = {
    .name = "binary",
    .attrs_bytes = sizeof(wisp_binary_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&binary};
const wispi_op_family wispi_op_binary = {family, sizeof family / sizeof *family};
