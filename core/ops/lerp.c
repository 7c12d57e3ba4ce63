/* lerp.c - a running average in place: buffer = m * buffer + (1 - m) * x. State, so no gradient. */
#include "ops/rule.h"

static const char *const in_names[] = {"buffer", "x", "m"};
static const char *const out_names[] = {"buffer"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"lerp", in_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_float(&rule, 1));
    WISP_TRY(wispi_rule_shape(&rule, 1, in[0]));
    WISP_TRY(wispi_rule_scalar(&rule, 2));
    out[0] = *in[0];
    return WISP_OK;
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double m = in[2].v[0];
    (void)attrs, (void)n_in;
    for (int64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = m * in[0].v[i] + (1 - m) * in[1].v[i];
}

#define LERP_CASE(text, m_low, m_high, f32, rank, ...)                                             \
    {                                                                                              \
        .name = text, .n_in = 3, .n_out = 1,                                                       \
        .in = {{WISP_F32, rank, {__VA_ARGS__}},                                                    \
               {WISP_F32, rank, {__VA_ARGS__}},                                                    \
               {WISP_F32, 0, {0}}},                                                                \
        .low = {-1, -1, m_low}, .high = {1, 1, m_high}, .inout = 1, .inout_from = {0},             \
        .no_bf16 = f32                                                                             \
    }

static const wispi_op_case cases[] = {
    LERP_CASE("centre", 0.9, 0.9, 1, 2, 1, 131), LERP_CASE("odd", 0.1, 0.9, 0, 3, 3, 5, 7),
    LERP_CASE("long", 0.1, 0.9, 0, 1, 70001),    LERP_CASE("takes-x", 0, 0, 0, 1, 17),
    LERP_CASE("stays", 1, 1, 0, 0, 0),
};

static const wispi_op lerp = {
    .name = "lerp",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 4,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&lerp};
const wispi_op_family wispi_op_lerp = {family, sizeof family / sizeof *family};
