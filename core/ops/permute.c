/* permute.c - dimensions in another order: dimension i of y is dimension order[i] of x. */
#include "ops/rule.h"

static const char *const in_names[] = {"x"};
static const char *const out_names[] = {"y"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"permute", in_names, in, n_in, err};
    const wisp_permute_attrs *t = attrs;
    uint32_t seen = 0;
    WISP_TRY(wispi_rule_present(&rule, 0));
    wisp_desc y = *in[0];
    for (int32_t d = 0; d < y.rank; d++) {
        if (t->order[d] < 0 || t->order[d] >= y.rank || (seen >> t->order[d] & 1))
            return wispi_rule_fail(&rule, WISP_E_INVALID,
                                   "attrs.order must name each of 0..%d once; entry %d is %d",
                                   y.rank - 1, d, t->order[d]);
        seen |= 1u << t->order[d];
        y.shape[d] = in[0]->shape[t->order[d]];
    }
    out[0] = y;
    return WISP_OK;
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_permute_attrs *t = attrs;
    const wisp_desc *x = in[0].desc, *y = out[0].desc;
    int64_t stride[WISP_MAX_RANK + 1] = {0}; /* of x */
    (void)n_in;
    for (int32_t d = x->rank - 1; d >= 0; d--)
        stride[d] = d == x->rank - 1 ? 1 : stride[d + 1] * x->shape[d + 1];
    for (int64_t i = 0; i < out[0].count; i++) {
        int64_t rest = i, from = 0;
        for (int32_t d = y->rank - 1; d >= 0; d--) {
            from += rest % y->shape[d] * stride[t->order[d]];
            rest /= y->shape[d];
        }
        out[0].v[i] = in[0].v[from];
    }
}

static const wispi_op permute;

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_permute_attrs *t = grad->attrs;
    wisp_permute_attrs back = {{0}};
    for (int32_t d = 0; d < wispi_tensor_desc(grad->in[0])->rank; d++)
        back.order[t->order[d]] = d;
    wispi_grad_by(grad, 0, &permute, &back, &grad->dout[0], 1);
    return WISP_OK;
}

#define ORDER(...)                                                                                 \
    &(const wisp_permute_attrs)                                                                    \
    {                                                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define PERMUTE_CASE(text, attributes, dtype, rank, ...)                                           \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 1, .n_out = 1,                                  \
        .in = {{dtype, rank, {__VA_ARGS__}}}, .low = {-9}, .high = {                               \
            9                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case cases[] = {
    PERMUTE_CASE("transpose", ORDER(1, 0), WISP_F32, 2, 13, 67),
    PERMUTE_CASE("heads", ORDER(0, 2, 1, 3), WISP_F32, 4, 2, 5, 3, 17),
    PERMUTE_CASE("wide-heads", ORDER(0, 2, 1, 3), WISP_F32, 4, 2, 5, 3, 16),
    PERMUTE_CASE("planes", ORDER(0, 2, 3, 1), WISP_F32, 4, 2, 9, 40, 33),
    PERMUTE_CASE("pixels", ORDER(0, 3, 1, 2), WISP_F32, 4, 2, 5, 7, 70),
    PERMUTE_CASE("two-batches", ORDER(1, 3, 0, 2), WISP_F32, 4, 3, 2, 45, 37),
    PERMUTE_CASE("wide-labels", ORDER(1, 0), WISP_I64, 2, 20, 40),
    PERMUTE_CASE("cycle", ORDER(2, 0, 1), WISP_F32, 3, 3, 5, 7),
    PERMUTE_CASE("six", ORDER(5, 3, 1, 0, 2, 4), WISP_F32, 6, 2, 3, 1, 5, 2, 3),
    PERMUTE_CASE("same", ORDER(0, 1), WISP_F32, 2, 5, 7),
    PERMUTE_CASE("scalar", ORDER(0), WISP_F32, 0, 0),
    PERMUTE_CASE("labels", ORDER(1, 0), WISP_I64, 2, 3, 5),
};

static const wispi_op permute = {
    .name = "permute",
    .attrs_bytes = sizeof(wisp_permute_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&permute};
const wispi_op_family wispi_op_permute = {family, sizeof family / sizeof *family};
