/* fill.c - one value everywhere. */
#include "ops/rule.h"

static const char *const in_names[] = {"none"};
static const char *const out_names[] = {"y"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"fill", in_names, in, n_in, err};
    const wisp_fill_attrs *t = attrs;
    if (wisp_dtype_bytes(t->desc.dtype) == 0)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.desc.dtype %d is not a data type",
                               t->desc.dtype);
    WISP_TRY(wispi_rule_countable(&rule, &t->desc));
    out[0] = wispi_desc_leading(&t->desc, t->desc.rank, t->desc.dtype);
    return WISP_OK;
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_fill_attrs *t = attrs;
    (void)in, (void)n_in;
    for (int64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = t->value;
}

#define WITH(value, dtype, rank, ...)                                                              \
    &(const wisp_fill_attrs)                                                                       \
    {                                                                                              \
        {dtype, rank, {__VA_ARGS__}}, value                                                        \
    }

static const wispi_op_case cases[] = {
    {.name = "scalar", .attrs = WITH(0.25, WISP_F32, 0, 0), .n_out = 1},
    {.name = "odd", .attrs = WITH(-1.5, WISP_F32, 3, 3, 5, 7), .n_out = 1},
    {.name = "bf16", .attrs = WITH(0.5, WISP_BF16, 1, 131), .n_out = 1},
    {.name = "i64", .attrs = WITH(-7, WISP_I64, 1, 5), .n_out = 1},
    {.name = "i32", .attrs = WITH(9, WISP_I32, 1, 5), .n_out = 1},
    {.name = "u8", .attrs = WITH(255, WISP_U8, 1, 67), .n_out = 1},
};

static const wispi_op fill = {
    .name = "fill",
    .attrs_bytes = sizeof(wisp_fill_attrs),
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&fill};
const wispi_op_family wispi_op_fill = {family, sizeof family / sizeof *family};
