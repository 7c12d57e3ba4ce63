/* rule.h - the questions that shape rules ask of their arguments, and the sentences they answer
 * with.
 *
 * A rule begins with `const wispi_rule rule = {"matmul", in_names, in, n_in, err};` and then asks.
 * Each question is answered WISP_OK or with a status whose message names the operation, every
 * argument with its shape, and what does not fit:
 * "matmul: a is (128,64), b is (32,10): inner sizes 64 and 32 differ". */
#ifndef WISPI_OPS_RULE_H
#define WISPI_OPS_RULE_H

#include "tensor/op.h"

typedef struct wispi_rule {
    const char *op;
    const char *const *names; /* of the inputs */
    const wisp_desc *const *in;
    int32_t n_in;
    wisp_error *err;
} wispi_rule;

/* The description of argument i; NULL when it is absent. */
static inline const wisp_desc *wispi_rule_in(const wispi_rule *rule, int32_t i)
{
    return i < rule->n_in ? rule->in[i] : NULL;
}

/* Fails with the shapes of all arguments (and their types, when the code is E_DTYPE) in front of
 * the reason. */
static inline wisp_status wispi_rule_fail(const wispi_rule *rule, wisp_status code,
                                          const char *format, ...) WISP_PRINTF(3, 4);
static inline wisp_status wispi_rule_fail(const wispi_rule *rule, wisp_status code,
                                          const char *format, ...)
{
    char text[900] = "";
    char reason[400];
    size_t used = 0;
    for (int32_t i = 0; i < rule->n_in; i++) {
        char shape[128];
        if (!rule->in[i])
            continue;
        const int n = snprintf(text + used, sizeof text - used, "%s%s is %s%s", used ? ", " : "",
                               rule->names[i],
                               code == WISP_E_DTYPE ? wisp_dtype_name(rule->in[i]->dtype) : "",
                               wispi_shape_text(rule->in[i], shape, sizeof shape));
        if (n < 0 || (size_t)n >= sizeof text - used)
            break;
        used += (size_t)n;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return wisp_fail(rule->err, code, "%s: %s%s%s", rule->op, text, used ? ": " : "", reason);
}

/* Argument i is there. */
static inline wisp_status wispi_rule_present(const wispi_rule *rule, int32_t i)
{
    if (wispi_rule_in(rule, i))
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "%s is missing", rule->names[i]);
}

/* Argument i is there and has exactly this rank. */
static inline wisp_status wispi_rule_rank(const wispi_rule *rule, int32_t i, int32_t rank)
{
    WISP_TRY(wispi_rule_present(rule, i));
    if (rule->in[i]->rank == rank)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_SHAPE, "%s needs %d dimensions, not %d", rule->names[i],
                           rank, rule->in[i]->rank);
}

/* Argument i is there and has this rank or a higher one. */
static inline wisp_status wispi_rule_min_rank(const wispi_rule *rule, int32_t i, int32_t rank)
{
    WISP_TRY(wispi_rule_present(rule, i));
    if (rule->in[i]->rank >= rank)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_SHAPE, "%s needs %d dimensions or more, not %d",
                           rule->names[i], rank, rule->in[i]->rank);
}

/* Argument i is there and has this data type. */
static inline wisp_status wispi_rule_dtype(const wispi_rule *rule, int32_t i, int32_t dtype)
{
    WISP_TRY(wispi_rule_present(rule, i));
    if (rule->in[i]->dtype == dtype)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_DTYPE, "%s must be %s", rule->names[i],
                           wisp_dtype_name(dtype));
}

/* Argument i is there and is T: f32 or bf16. */
static inline wisp_status wispi_rule_float(const wispi_rule *rule, int32_t i)
{
    WISP_TRY(wispi_rule_present(rule, i));
    if (rule->in[i]->dtype == WISP_F32 || rule->in[i]->dtype == WISP_BF16)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_DTYPE, "%s must be f32 or bf16", rule->names[i]);
}

/* Argument i is there and has the data type of argument j. */
static inline wisp_status wispi_rule_same_dtype(const wispi_rule *rule, int32_t i, int32_t j)
{
    WISP_TRY(wispi_rule_present(rule, i));
    WISP_TRY(wispi_rule_present(rule, j));
    if (rule->in[i]->dtype == rule->in[j]->dtype)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_DTYPE, "%s and %s must have one data type", rule->names[i],
                           rule->names[j]);
}

static inline int wispi_same_shape(const wisp_desc *a, const wisp_desc *b)
{
    if (a->rank != b->rank)
        return 0;
    for (int32_t d = 0; d < a->rank; d++)
        if (a->shape[d] != b->shape[d])
            return 0;
    return 1;
}

/* Argument i is there and has this shape; the data type is not looked at. */
static inline wisp_status wispi_rule_shape(const wispi_rule *rule, int32_t i,
                                           const wisp_desc *shape)
{
    char text[128];
    WISP_TRY(wispi_rule_present(rule, i));
    if (wispi_same_shape(rule->in[i], shape))
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_SHAPE, "%s must be %s", rule->names[i],
                           wispi_shape_text(shape, text, sizeof text));
}

/* Argument i has shape and data type of argument j: two tensors of one kind. */
static inline wisp_status wispi_rule_like(const wispi_rule *rule, int32_t i, int32_t j)
{
    WISP_TRY(wispi_rule_same_dtype(rule, i, j));
    return wispi_rule_shape(rule, i, rule->in[j]);
}

/* Argument i is there and is f32 of this shape: a parameter or a statistic. */
static inline wisp_status wispi_rule_f32(const wispi_rule *rule, int32_t i, const wisp_desc *shape)
{
    WISP_TRY(wispi_rule_dtype(rule, i, WISP_F32));
    return wispi_rule_shape(rule, i, shape);
}

/* As wispi_rule_f32, but argument i may be absent. */
static inline wisp_status wispi_rule_optional_f32(const wispi_rule *rule, int32_t i,
                                                  const wisp_desc *shape)
{
    return wispi_rule_in(rule, i) ? wispi_rule_f32(rule, i, shape) : WISP_OK;
}

/* No dimension of argument i from `first` on is 0. A batch of 0 is legal in most operations;
 * anything else of size 0 is a mistake. */
static inline wisp_status wispi_rule_not_empty(const wispi_rule *rule, int32_t i, int32_t first)
{
    WISP_TRY(wispi_rule_present(rule, i));
    for (int32_t d = first; d < rule->in[i]->rank; d++)
        if (rule->in[i]->shape[d] < 1)
            return wispi_rule_fail(rule, WISP_E_SHAPE, "dimension %d of %s is empty", d,
                                   rule->names[i]);
    return WISP_OK;
}

/* product = a * b of two sizes; 0 when that overflows or one is negative. */
static inline int wispi_size_product(int64_t a, int64_t b, int64_t *product)
{
    if (a < 0 || b < 0 || (a > 0 && b > INT64_MAX / a))
        return 0;
    *product = a * b;
    return 1;
}

/* An output about to be made: its rank is allowed, no dimension is negative, and its bytes (8 for
 * an element, as the reference kernels hold it) can be counted. */
static inline wisp_status wispi_rule_countable(const wispi_rule *rule, const wisp_desc *out)
{
    int64_t bytes = 8;
    if (out->rank < 0 || out->rank > WISP_MAX_RANK)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "the result would have %d dimensions, over %d",
                               out->rank, WISP_MAX_RANK);
    for (int32_t d = 0; d < out->rank; d++)
        if (!wispi_size_product(bytes, out->shape[d] > 1 ? out->shape[d] : 1, &bytes))
            return wispi_rule_fail(rule, WISP_E_SHAPE, "the result has too many elements");
    for (int32_t d = 0; d < out->rank; d++)
        if (out->shape[d] < 0)
            return wispi_rule_fail(rule, WISP_E_SHAPE, "the result would have a negative size");
    return WISP_OK;
}

/* The same shape with another data type. */
static inline wisp_desc wispi_desc_as(const wisp_desc *shape, int32_t dtype)
{
    wisp_desc d = *shape;
    d.dtype = dtype;
    return d;
}

/* The first n dimensions of a shape, with this data type. */
static inline wisp_desc wispi_desc_leading(const wisp_desc *shape, int32_t n, int32_t dtype)
{
    wisp_desc d = wisp_desc0(dtype);
    d.rank = n;
    for (int32_t i = 0; i < n; i++)
        d.shape[i] = shape->shape[i];
    return d;
}

/* A gradient rule's first question: is everything that is wanted differentiable? Fails the step
 * when a gradient is wanted for an input that the op calls constant, or has arrived at an output
 * that it calls a by-product. */
static inline int wispi_grad_possible(const wispi_grad *grad, const wispi_op *op)
{
    for (int32_t i = 0; i < grad->n_in; i++)
        if ((op->constant_in >> i & 1) && wispi_grad_wants(grad, i)) {
            wispi_step_fail(grad->step, WISP_E_UNSUPPORTED,
                            "%s has no gradient for %s: stop the gradient of that argument",
                            op->name, op->in_names[i]);
            return 0;
        }
    for (int32_t i = 0; i < grad->n_out; i++)
        if ((op->side_out >> i & 1) && grad->dout[i]) {
            wispi_step_fail(grad->step, WISP_E_UNSUPPORTED,
                            "%s has no gradient through its output %s: stop the gradient there",
                            op->name, op->out_names[i]);
            return 0;
        }
    return 1;
}

extern const wispi_op_family wispi_op_fill;

/* What arrived at output i, or zeros of its shape where nothing did. */
static inline wisp_tensor *wispi_grad_or_zeros(const wispi_grad *grad, int32_t i)
{
    const wisp_fill_attrs zero = {*wispi_tensor_desc(grad->out[i]), 0};
    return grad->dout[i] ? grad->dout[i]
                         : wispi_apply1(grad->step, wispi_op_fill.ops[0], &zero, NULL, 0);
}

/* Appends the one operation that makes the gradient of input i, straight into its own slot where
 * that is allowed, and hands it over. */
static inline void wispi_grad_by(const wispi_grad *grad, int32_t i, const wispi_op *op,
                                 const void *attrs, wisp_tensor *const *in, int32_t n_in)
{
    wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
    out[0] = wispi_grad_target(grad, i);
    wispi_apply(grad->step, op, attrs, in, n_in, out);
    wispi_grad_give(grad, i, out[0]);
}

/* A factor in attrs: finite, and not the 0 of attributes that nobody filled in. */
static inline wisp_status wispi_rule_factor(const wispi_rule *rule, const char *name, double value)
{
    if (value - value == 0 && value != 0)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.%s must be finite and not 0, not %g", name,
                           value);
}

/* Argument i is there and is a 0-d f32 tensor: a value of a schedule. */
static inline wisp_status wispi_rule_scalar(const wispi_rule *rule, int32_t i)
{
    const wisp_desc scalar = wisp_desc0(WISP_F32);
    return wispi_rule_f32(rule, i, &scalar);
}

#endif
