/* drop_path.c - drops a residual branch for whole samples.
 *
 * Sample n draws one uniform number, and all backends draw the same bits:
 *   block = philox(counter = {n low, n high, attrs.stream low, attrs.stream high},
 *                  key = the two words of `key`, read as uint32)
 *   u     = (block[0] >> 8) * 2^-24
 *   keep  = 0 where u < attrs.p, else 1 / (1 - attrs.p)
 * u is compared in double precision; u < p is also (block[0] >> 8) < ceil(p * 2^24). */
#include "ops/rule.h"

#include "wisp/rng.h"

static const char *const forward_names[] = {"x", "key"};
static const char *const forward_out_names[] = {"y", "keep"};
static const char *const grad_names[] = {"dy", "keep"};
static const char *const grad_out_names[] = {"dx"};

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"drop_path", forward_names, in, n_in, err};
    const wisp_drop_path_attrs *t = attrs;
    const wisp_desc words = wisp_desc1(WISP_I32, 2);
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_I32));
    WISP_TRY(wispi_rule_shape(&rule, 1, &words));
    if (!(t->p >= 0 && t->p < 1))
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.p must be in [0, 1), not %g", t->p);
    out[0] = *in[0];
    out[1] = wisp_desc1(WISP_F32, in[0]->shape[0]);
    return WISP_OK;
}

static double uniform(wisp_rng_key key, int64_t sample, int64_t stream)
{
    const uint64_t n = (uint64_t)sample, s = (uint64_t)stream;
    const uint32_t counter[4] = {(uint32_t)n, (uint32_t)(n >> 32), (uint32_t)s,
                                 (uint32_t)(s >> 32)};
    uint32_t block[4];
    wisp_philox(counter, key, block);
    return (double)(block[0] >> 8) * (1.0 / 16777216.0);
}

/* An i32 that a double holds, as the 32 bits it has in memory. */
static uint32_t word(double v)
{
    return (uint32_t)(int64_t)v;
}

/* y[n,...] = keep[n] x[n,...] */
static void scale_samples(const wispi_ref *x, const double *keep, double *y)
{
    const int64_t N = x->desc->shape[0], row = N ? x->count / N : 0;
    for (int64_t n = 0; n < N; n++)
        for (int64_t r = 0; r < row; r++)
            y[n * row + r] = keep[n] * x->v[n * row + r];
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_drop_path_attrs *t = attrs;
    const wisp_rng_key key = {{word(in[1].v[0]), word(in[1].v[1])}};
    (void)n_in;
    for (int64_t n = 0; n < out[1].count; n++)
        out[1].v[n] = uniform(key, n, t->stream) < t->p ? 0 : 1 / (1 - t->p);
    scale_samples(&in[0], out[1].v, out[0].v);
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"drop_path_grad", grad_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 1));
    const wisp_desc keep = wisp_desc1(WISP_F32, in[0]->shape[0]);
    WISP_TRY(wispi_rule_f32(&rule, 1, &keep));
    out[0] = *in[0];
    return WISP_OK;
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs, (void)n_in;
    scale_samples(&in[0], in[1].v, out[0].v);
}

static const wispi_op drop_path;
static const wispi_op drop_path_grad;

static wisp_status gradient(wispi_grad *grad)
{
    wisp_tensor *in[2] = {grad->dout[0], grad->out[1]};
    if (wispi_grad_possible(grad, &drop_path))
        wispi_grad_by(grad, 0, &drop_path_grad, NULL, in, 2);
    return WISP_OK;
}

#define WITH(p, stream)                                                                            \
    &(const wisp_drop_path_attrs)                                                                  \
    {                                                                                              \
        p, stream                                                                                  \
    }

static const wispi_op_case forward_cases[] = {
    {.name = "half",
     .attrs = WITH(0.5, 3),
     .n_in = 2,
     .n_out = 2,
     .in = {{WISP_F32, 3, {67, 3, 5}}, {WISP_I32, 1, {2}}},
     .low = {-1, -2147483648.0},
     .high = {1, 2147483647.0}},
    {.name = "few",
     .attrs = WITH(0.1, 5000000000),
     .n_in = 2,
     .n_out = 2,
     .in = {{WISP_F32, 2, {131, 7}}, {WISP_I32, 1, {2}}},
     .low = {-1, -2147483648.0},
     .high = {1, 2147483647.0}},
    {.name = "none",
     .attrs = WITH(0, 0),
     .n_in = 2,
     .n_out = 2,
     .in = {{WISP_F32, 1, {17}}, {WISP_I32, 1, {2}}},
     .low = {-1, 0},
     .high = {1, 100}},
};

static const wispi_op_case grad_cases[] = {
    {.name = "tokens",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {67, 3, 5}}, {WISP_F32, 1, {67}}},
     .low = {-1, 0},
     .high = {1, 2}},
    {.name = "rows",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {131, 7}}, {WISP_F32, 1, {131}}},
     .low = {-1, 0},
     .high = {1, 2}},
    {.name = "all-dropped",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 7}}, {WISP_F32, 1, {5}}},
     .low = {-1, 0},
     .high = {1, 0}},
};

static const wispi_op drop_path = {
    .name = "drop_path",
    .attrs_bytes = sizeof(wisp_drop_path_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .side_out = 2,
    .in_names = forward_names,
    .out_names = forward_out_names,
    .infer = forward_infer,
    .reference = forward_reference,
    .gradient = gradient,
    .cases = forward_cases,
    .n_cases = sizeof forward_cases / sizeof *forward_cases,
};

static const wispi_op drop_path_grad = {
    .name = "drop_path_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .parameter_in = 2,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&drop_path, &drop_path_grad};
const wispi_op_family wispi_op_drop_path = {family, sizeof family / sizeof *family};
