/* uniform.c - random numbers in [0, 1), and all backends draw the same ones: element i is
 *   block = philox(counter = {i low, i high, attrs.stream low, attrs.stream high},
 *                  key = the two words of `key`, read as uint32)
 *   y[i]  = (block[0] >> 8) * 2^-24, which single precision holds. */
#include "ops/rule.h"

#include "wisp/rng.h"

static const char *const in_names[] = {"key"};
static const char *const out_names[] = {"y"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"uniform", in_names, in, n_in, err};
    const wisp_uniform_attrs *t = attrs;
    const wisp_desc words = wisp_desc1(WISP_I32, 2), y = wisp_desc1(WISP_F32, t->count);
    WISP_TRY(wispi_rule_dtype(&rule, 0, WISP_I32));
    WISP_TRY(wispi_rule_shape(&rule, 0, &words));
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

/* An i32 that a double holds, as the 32 bits it has in memory. */
static uint32_t word(double v)
{
    return (uint32_t)(int64_t)v;
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const uint64_t stream = (uint64_t)((const wisp_uniform_attrs *)attrs)->stream;
    const wisp_rng_key key = {{word(in[0].v[0]), word(in[0].v[1])}};
    (void)n_in;
    for (int64_t i = 0; i < out[0].count; i++) {
        const uint64_t n = (uint64_t)i;
        const uint32_t counter[4] = {(uint32_t)n, (uint32_t)(n >> 32), (uint32_t)stream,
                                     (uint32_t)(stream >> 32)};
        uint32_t block[4];
        wisp_philox(counter, key, block);
        out[0].v[i] = (double)(block[0] >> 8) * (1.0 / 16777216.0);
    }
}

#define UNIFORM_CASE(text, count, stream)                                                          \
    {                                                                                              \
        .name = text, .attrs = &(const wisp_uniform_attrs){count, stream}, .n_in = 1, .n_out = 1,  \
        .in = {{WISP_I32, 1, {2}}}, .low = {-2147483648.0}, .high = {                              \
            2147483647.0                                                                           \
        }                                                                                          \
    }

static const wispi_op_case cases[] = {
    UNIFORM_CASE("odd", 131, 3),
    UNIFORM_CASE("many", 20011, 5000000000),
    UNIFORM_CASE("one", 1, 0),
};

static const wispi_op uniform = {
    .name = "uniform",
    .attrs_bytes = sizeof(wisp_uniform_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&uniform};
const wispi_op_family wispi_op_uniform = {family, sizeof family / sizeof *family};
