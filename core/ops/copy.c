/* copy.c - the same bytes elsewhere, and sums in place. */
#include "ops/rule.h"

static const char *const copy_names[] = {"x"};
static const char *const accumulate_names[] = {"x", "y"};
static const char *const out_names[] = {"y"};

static wisp_status copy_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"copy", copy_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(wispi_rule_present(&rule, 0));
    out[0] = *in[0];
    return WISP_OK;
}

static void copy_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs, (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = in[0].v[i];
}

static wisp_status copy_gradient(wispi_grad *grad)
{
    wispi_grad_give(grad, 0, grad->dout[0]);
    return WISP_OK;
}

static wisp_status accumulate_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"accumulate", accumulate_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(wispi_rule_float(&rule, 1));
    if (wispi_rule_in(&rule, 0) && in[0]->dtype != WISP_F32)
        WISP_TRY(wispi_rule_same_dtype(&rule, 0, 1));
    WISP_TRY(wispi_rule_shape(&rule, 0, in[1]));
    out[0] = *in[1];
    return WISP_OK;
}

static void accumulate_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    (void)attrs, (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = in[1].v[i] + in[0].v[i];
}

static const wispi_op_case copy_cases[] = {
    {.name = "odd",
     .n_in = 1,
     .n_out = 1,
     .in = {{WISP_F32, 2, {3, 67}}},
     .low = {-1},
     .high = {1}},
    {.name = "scalar", .n_in = 1, .n_out = 1, .in = {{WISP_F32, 0, {0}}}, .low = {-1}, .high = {1}},
    {.name = "i64", .n_in = 1, .n_out = 1, .in = {{WISP_I64, 1, {5}}}, .low = {-9}, .high = {9}},
    {.name = "u8", .n_in = 1, .n_out = 1, .in = {{WISP_U8, 2, {3, 7}}}, .low = {0}, .high = {256}},
};

#define ACCUMULATE_CASE(text, f32_x, ...)                                                          \
    {                                                                                              \
        .name = text, .n_in = 2, .n_out = 1,                                                       \
        .in = {{WISP_F32, __VA_ARGS__}, {WISP_F32, __VA_ARGS__}}, .low = {-1, -1}, .high = {1, 1}, \
        .inout = 1, .inout_from = {1}, .no_bf16 = f32_x                                            \
    }

static const wispi_op_case accumulate_cases[] = {
    ACCUMULATE_CASE("odd", 0, 2, {3, 67}),
    ACCUMULATE_CASE("scalar", 0, 0, {0}),
    ACCUMULATE_CASE("f32-into-any", 1, 1, {131}),
};

static const wispi_op copy = {
    .name = "copy",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = copy_names,
    .out_names = out_names,
    .infer = copy_infer,
    .reference = copy_reference,
    .gradient = copy_gradient,
    .cases = copy_cases,
    .n_cases = sizeof copy_cases / sizeof *copy_cases,
};

static const wispi_op accumulate = {
    .name = "accumulate",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = accumulate_names,
    .out_names = out_names,
    .infer = accumulate_infer,
    .reference = accumulate_reference,
    .cases = accumulate_cases,
    .n_cases = sizeof accumulate_cases / sizeof *accumulate_cases,
};

static const wispi_op *const family[] = {&copy, &accumulate};
const wispi_op_family wispi_op_copy = {family, sizeof family / sizeof *family};
