/* ring_write.c - the newest rows into a ring, over the oldest ones.
 *
 * Row b goes to (cursor + b) mod K, and the cursor moves on by B rows. A cursor outside 0..K-1, as
 * a damaged file may hold, is first taken mod K. State, so no gradient. */
#include "ops/rule.h"

#include <math.h>

static const char *const in_names[] = {"ring", "cursor", "rows"};
static const char *const out_names[] = {"ring", "cursor"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"ring_write", in_names, in, n_in, err};
    const wisp_desc cursor = wisp_desc0(WISP_I64);
    (void)attrs;
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_not_empty(&rule, 0, 0));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_I64));
    WISP_TRY(wispi_rule_shape(&rule, 1, &cursor));
    WISP_TRY(wispi_rule_min_rank(&rule, 2, 1));
    if (in[2]->dtype != in[0]->dtype) {
        WISP_TRY(wispi_rule_float(&rule, 0));
        WISP_TRY(wispi_rule_float(&rule, 2));
    }
    wisp_desc rows = *in[0];
    rows.shape[0] = in[2]->shape[0];
    WISP_TRY(wispi_rule_shape(&rule, 2, &rows));
    if (in[2]->shape[0] > in[0]->shape[0])
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "%lld rows do not fit into a ring of %lld",
                               (long long)in[2]->shape[0], (long long)in[0]->shape[0]);
    out[0] = *in[0];
    out[1] = *in[1];
    return WISP_OK;
}

/* Whole numbers in double; the result lies in 0..K-1. */
static int64_t wrapped(double position, int64_t K)
{
    const double rest = fmod(position, (double)K);
    return (int64_t)(rest < 0 ? rest + (double)K : rest);
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const int64_t K = in[0].desc->shape[0], B = in[2].desc->shape[0], row = in[0].count / K;
    const int64_t cursor = wrapped(in[1].v[0], K);
    (void)attrs, (void)n_in;
    for (int64_t b = 0; b < B; b++)
        for (int64_t r = 0; r < row; r++)
            out[0].v[(cursor + b) % K * row + r] = in[2].v[b * row + r];
    out[1].v[0] = (double)((cursor + B) % K);
}

#define RING_CASE(text, k, d, b, from, to, f32)                                                    \
    {                                                                                              \
        .name = text, .n_in = 3, .n_out = 2,                                                       \
        .in = {{WISP_F32, 2, {k, d}}, {WISP_I64, 0, {0}}, {WISP_F32, 2, {b, d}}},                  \
        .low = {-1, from, -1}, .high = {1, to, 1}, .inout = 3, .inout_from = {0, 1},               \
        .no_bf16 = f32                                                                             \
    }

static const wispi_op_case cases[] = {
    RING_CASE("fits", 13, 7, 4, 3, 4, 0),
    RING_CASE("wraps", 13, 7, 5, 11, 12, 0),
    RING_CASE("wide", 130, 64, 67, 100, 101, 0),
    RING_CASE("f32-ring", 11, 17, 3, 0, 11, 1),
    RING_CASE("all-rows", 5, 3, 5, 2, 3, 0),
    RING_CASE("cursor-outside", 5, 3, 2, -7, -6, 0),
    {.name = "labels",
     .n_in = 3,
     .n_out = 2,
     .in = {{WISP_I64, 1, {7}}, {WISP_I64, 0, {0}}, {WISP_I64, 1, {3}}},
     .low = {-9, 5, -9},
     .high = {9, 6, 9},
     .inout = 3,
     .inout_from = {0, 1}},
};

static const wispi_op ring_write = {
    .name = "ring_write",
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&ring_write};
const wispi_op_family wispi_op_ring_write = {family, sizeof family / sizeof *family};
