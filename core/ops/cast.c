/* cast.c - another data type for the same values.
 *
 * To an integer type: towards zero, limited to what the type holds; a NaN becomes 0. */
#include "ops/rule.h"

#include <math.h>

static const char *const in_names[] = {"x"};
static const char *const out_names[] = {"y"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"cast", in_names, in, n_in, err};
    const wisp_cast_attrs *t = attrs;
    WISP_TRY(wispi_rule_present(&rule, 0));
    if (wisp_dtype_bytes(t->dtype) == 0)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.dtype %d is not a data type",
                               t->dtype);
    out[0] = wispi_desc_as(in[0], t->dtype);
    return WISP_OK;
}

static double limited(double v, double low, double high)
{
    return v != v ? 0 : v < low ? low : v > high ? high : trunc(v);
}

static double converted(int32_t dtype, double v)
{
    switch (dtype) {
    case WISP_U8:
        return limited(v, 0, 255);
    case WISP_I32:
        return limited(v, -2147483648.0, 2147483647.0);
    case WISP_I64: /* the largest double below 2^63 */
        return limited(v, -9223372036854775808.0, 9223372036854774784.0);
    default:
        return v; /* rounded when it is stored */
    }
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_cast_attrs *t = attrs;
    (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = converted(t->dtype, in[0].v[i]);
}

static const wispi_op cast;

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_cast_attrs back = {wispi_tensor_desc(grad->in[0])->dtype, 0};
    wispi_grad_by(grad, 0, &cast, &back, &grad->dout[0], 1);
    return WISP_OK;
}

#define TO(dtype)                                                                                  \
    &(const wisp_cast_attrs)                                                                       \
    {                                                                                              \
        dtype, 0                                                                                   \
    }
#define CAST_CASE(text, to, from, rank, x_low, x_high, ...)                                        \
    {                                                                                              \
        .name = text, .attrs = TO(to), .n_in = 1, .n_out = 1, .in = {{from, rank, {__VA_ARGS__}}}, \
        .low = {x_low}, .high = {                                                                  \
            x_high                                                                                 \
        }                                                                                          \
    }

static const wispi_op_case cases[] = {
    CAST_CASE("to-f32", WISP_F32, WISP_F32, 2, -1, 1, 3, 67),
    {.name = "to-bf16-rounds",
     .attrs = TO(WISP_BF16),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 67}}},
     .low = {-1},
     .high = {1},
     .skip_grad = 1,
     .no_bf16 = 1},
    CAST_CASE("u8-to-f32", WISP_F32, WISP_U8, 4, 0, 256, 2, 3, 5, 3),
    CAST_CASE("i64-to-f32", WISP_F32, WISP_I64, 1, -1000, 1000, 131),
    {.name = "to-u8-limits",
     .attrs = TO(WISP_U8),
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 1, {131}}},
     .low = {-100},
     .high = {400},
     .skip_grad = 1},
    CAST_CASE("i32-to-i64", WISP_I64, WISP_I32, 1, -1000, 1000, 7),
};

static const wispi_op cast = {
    .name = "cast",
    .attrs_bytes = sizeof(wisp_cast_attrs),
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

static const wispi_op *const family[] = {&cast};
const wispi_op_family wispi_op_cast = {family, sizeof family / sizeof *family};
