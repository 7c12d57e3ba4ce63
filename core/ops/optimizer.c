/* optimizer.c - updates of a flat parameter store, one segment (one parameter tensor) at a time.
 *
 * A row of `segments` is (offset, count, flags, offset in the source store). Rows without
 * WISP_SEGMENT_ACTIVE are skipped by every operation here: no decay, no momentum, no average, and
 * no share in a norm. So are rows that do not lie inside the store; the host never makes such rows.
 * With lr_s = lr * rules[s,0], wd_s = wd * rules[s,1]:
 *
 *   sgd     d = grad + wd_s p;  mu = momentum mu + d;  p -= lr_s (nesterov ? d + momentum mu : mu)
 *   lars    d = grad + wd_s p;  where WISP_SEGMENT_ADAPT and |p|, |d| > 0: d *= trust |p| / |d|;
 *           mu = momentum mu + d;  p -= lr_s mu
 *   adamw   t = step + 1;  p *= 1 - lr_s wd_s;  m += (1 - beta1) (grad - m);
 *           v = beta2 v + (1 - beta2) grad^2;
 *           p -= lr_s (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps);  step = t
 *   clip    grad *= limit / (norm + 1e-6) where that is below 1
 *   ema     target = m target + (1 - m) source
 *   adamw_ema   both in one pass, and the norms of the gradient's segments where they are wanted:
 * what a program makes of the three when nothing between them needs their order
 *
 * adamw's `step` counts the updates done. As i64() it is one counter; as i64(S) every segment
 * counts its own, which is what torch.optim does for parameters that had no gradient for a while.
 */
#include "ops/rule.h"

#include <math.h>

static const char *const norms_names[] = {"x", "segments"};
static const char *const norms_out_names[] = {"norms"};
static const char *const clip_names[] = {"grad", "segments", "norms"};
static const char *const clip_out_names[] = {"grad"};
static const char *const sgd_names[] = {"p", "grad", "momentum", "segments", "rules", "lr", "wd"};
static const char *const sgd_out_names[] = {"p", "momentum"};
static const char *const adamw_names[] = {"p",     "grad", "m",  "v",   "segments",
                                          "rules", "lr",   "wd", "step"};
static const char *const adamw_out_names[] = {"p", "m", "v", "step"};
static const char *const ema_names[] = {"target", "source", "segments", "m"};
static const char *const ema_out_names[] = {"target"};
static const char *const both_names[] = {"p",  "grad", "m",    "v",      "segments", "rules",
                                         "lr", "wd",   "step", "target", "pairs",    "momentum"};
static const char *const both_out_names[] = {"p", "m", "v", "step", "target", "norms"};

/* --- segments --- */

typedef struct segment {
    int64_t offset, count, source;
    int32_t flags;
} segment;

/* Row s; one that is not to be touched comes back with count 0. */
static segment segment_at(const wispi_ref *segments, int64_t s, int64_t store, int64_t source_store)
{
    const double *row = segments->v + 4 * s;
    const double offset = row[0], count = row[1], source = row[3];
    segment one = {0, 0, 0, (int32_t)row[2]};
    if (!(one.flags & WISP_SEGMENT_ACTIVE) || offset < 0 || count < 0 ||
        offset + count > (double)store)
        return one;
    if (source_store >= 0 && (source < 0 || source + count > (double)source_store))
        return one;
    one.offset = (int64_t)offset;
    one.count = (int64_t)count;
    one.source = (int64_t)source;
    return one;
}

static double norm_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* Argument i is the table of segments. */
static wisp_status judge_segments(const wispi_rule *rule, int32_t i)
{
    WISP_TRY(wispi_rule_dtype(rule, i, WISP_I64));
    WISP_TRY(wispi_rule_rank(rule, i, 2));
    if (rule->in[i]->shape[1] == 4)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_SHAPE, "segments must have 4 columns");
}

/* Argument 0 is the f32 store; arguments 1..last have its shape. */
static wisp_status judge_stores(const wispi_rule *rule, int32_t last)
{
    WISP_TRY(wispi_rule_dtype(rule, 0, WISP_F32));
    WISP_TRY(wispi_rule_rank(rule, 0, 1));
    for (int32_t i = 1; i <= last; i++)
        WISP_TRY(wispi_rule_f32(rule, i, rule->in[0]));
    return WISP_OK;
}

/* Arguments from i on are segments, rules, lr, wd. */
static wisp_status judge_rules(const wispi_rule *rule, int32_t i)
{
    WISP_TRY(judge_segments(rule, i));
    const wisp_desc rules = wisp_desc2(WISP_F32, rule->in[i]->shape[0], 2);
    WISP_TRY(wispi_rule_f32(rule, i + 1, &rules));
    WISP_TRY(wispi_rule_scalar(rule, i + 2));
    return wispi_rule_scalar(rule, i + 3);
}

/* attrs.name lies in [0, 1) */
static wisp_status judge_decay(const wispi_rule *rule, const char *name, double value)
{
    if (value >= 0 && value < 1)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.%s must be in [0, 1), not %g", name, value);
}

static wisp_status judge_positive(const wispi_rule *rule, const char *name, double value)
{
    if (value > 0 && value - value == 0)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.%s must be above 0, not %g", name, value);
}

/* --- norms and clipping --- */

static wisp_status norms_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"segment_norms", norms_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(judge_stores(&rule, 0));
    WISP_TRY(judge_segments(&rule, 1));
    out[0] = wisp_desc1(WISP_F32, in[1]->shape[0]);
    return WISP_OK;
}

static void norms_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs, (void)n_in;
    for (int64_t s = 0; s < out[0].count; s++) {
        const segment one = segment_at(&in[1], s, in[0].count, -1);
        out[0].v[s] = norm_of(in[0].v + one.offset, one.count);
    }
}

static wisp_status clip_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"clip_segments", clip_names, in, n_in, err};
    const wisp_clip_attrs *t = attrs;
    WISP_TRY(judge_stores(&rule, 0));
    WISP_TRY(judge_segments(&rule, 1));
    const wisp_desc norms = wisp_desc1(WISP_F32, in[1]->shape[0]);
    WISP_TRY(wispi_rule_f32(&rule, 2, &norms));
    WISP_TRY(judge_positive(&rule, "limit", t->limit));
    out[0] = *in[0];
    return WISP_OK;
}

/* The norm over all active segments. */
static double global_norm(const wispi_ref *segments, const double *norms, int64_t store)
{
    double sum = 0;
    for (int64_t s = 0; s < segments->desc->shape[0]; s++)
        if (segment_at(segments, s, store, -1).count > 0)
            sum += norms[s] * norms[s];
    return sqrt(sum);
}

static void clip_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_clip_attrs *t = attrs;
    const int64_t S = in[1].desc->shape[0], P = in[0].count;
    const double all = global_norm(&in[1], in[2].v, P);
    (void)n_in;
    for (int64_t s = 0; s < S; s++) {
        const segment one = segment_at(&in[1], s, P, -1);
        const double factor = t->limit / ((t->per_segment ? in[2].v[s] : all) + 1e-6);
        for (int64_t i = one.offset; i < one.offset + one.count && factor < 1; i++)
            out[0].v[i] = in[0].v[i] * factor;
    }
}

/* --- SGD and LARS --- */

static wisp_status infer_sgd(const wispi_rule *rule, const wisp_sgd_attrs *t, wisp_desc *out)
{
    WISP_TRY(judge_stores(rule, 2));
    WISP_TRY(judge_rules(rule, 3));
    WISP_TRY(judge_decay(rule, "momentum", t->momentum));
    out[0] = *rule->in[0];
    out[1] = *rule->in[2];
    return WISP_OK;
}

static wisp_status sgd_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                             wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"sgd_update", sgd_names, in, n_in, err};
    const wisp_sgd_attrs *t = attrs;
    if (t->nesterov && t->momentum == 0)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "nesterov needs a momentum above 0");
    return infer_sgd(&rule, t, out);
}

static wisp_status lars_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"lars_update", sgd_names, in, n_in, err};
    const wisp_sgd_attrs *t = attrs;
    if (t->nesterov)
        return wispi_rule_fail(&rule, WISP_E_INVALID, "lars has no nesterov form");
    WISP_TRY(judge_positive(&rule, "trust", t->trust));
    return infer_sgd(&rule, t, out);
}

static void sgd_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_sgd_attrs *t = attrs;
    const double *grad = in[1].v, *rules = in[4].v; /* (S,2) */
    double *p = out[0].v, *mu = out[1].v;
    (void)n_in;
    for (int64_t s = 0; s < in[3].desc->shape[0]; s++) {
        const segment one = segment_at(&in[3], s, in[0].count, -1);
        const double lr = in[5].v[0] * rules[2 * s], wd = in[6].v[0] * rules[2 * s + 1];
        for (int64_t i = one.offset; i < one.offset + one.count; i++) {
            const double d = grad[i] + wd * p[i];
            mu[i] = t->momentum * mu[i] + d;
            p[i] -= lr * (t->nesterov ? d + t->momentum * mu[i] : mu[i]);
        }
    }
}

/* |grad + wd p| */
static double decayed_norm(const double *grad, const double *p, double wd, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (grad[i] + wd * p[i]) * (grad[i] + wd * p[i]);
    return sqrt(sum);
}

static void lars_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_sgd_attrs *t = attrs;
    const double *rules = in[4].v; /* (S,2) */
    (void)n_in;
    for (int64_t s = 0; s < in[3].desc->shape[0]; s++) {
        const segment one = segment_at(&in[3], s, in[0].count, -1);
        const double lr = in[5].v[0] * rules[2 * s], wd = in[6].v[0] * rules[2 * s + 1];
        const double *grad = in[1].v + one.offset;
        double *p = out[0].v + one.offset, *mu = out[1].v + one.offset;
        const double p_norm = norm_of(p, one.count);
        const double d_norm = decayed_norm(grad, p, wd, one.count);
        const int adapt = (one.flags & WISP_SEGMENT_ADAPT) && p_norm > 0 && d_norm > 0;
        const double ratio = adapt ? t->trust * p_norm / d_norm : 1;
        for (int64_t i = 0; i < one.count; i++) {
            mu[i] = t->momentum * mu[i] + ratio * (grad[i] + wd * p[i]);
            p[i] -= lr * mu[i];
        }
    }
}

/* --- AdamW --- */

static wisp_status adamw_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                               wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"adamw_update", adamw_names, in, n_in, err};
    const wisp_adamw_attrs *t = attrs;
    WISP_TRY(judge_stores(&rule, 3));
    WISP_TRY(judge_rules(&rule, 4));
    WISP_TRY(wispi_rule_dtype(&rule, 8, WISP_I64));
    const wisp_desc one = wisp_desc0(WISP_I64), each = wisp_desc1(WISP_I64, in[4]->shape[0]);
    if (!wispi_same_shape(in[8], &one))
        WISP_TRY(wispi_rule_shape(&rule, 8, &each));
    WISP_TRY(judge_decay(&rule, "beta1", t->beta1));
    WISP_TRY(judge_decay(&rule, "beta2", t->beta2));
    WISP_TRY(judge_positive(&rule, "eps", t->eps));
    out[0] = *in[0];
    out[1] = *in[2];
    out[2] = *in[3];
    out[3] = *in[8];
    return WISP_OK;
}

/* One segment's update, its `t`-th. */
static void adamw_segment(const wisp_adamw_attrs *a, double t, double lr, double wd, int64_t n,
                          const double *grad, double *p, double *m, double *v)
{
    const double m_scale = 1 - pow(a->beta1, t), v_scale = 1 - pow(a->beta2, t);
    for (int64_t i = 0; i < n; i++) {
        p[i] *= 1 - lr * wd;
        m[i] += (1 - a->beta1) * (grad[i] - m[i]);
        v[i] = a->beta2 * v[i] + (1 - a->beta2) * grad[i] * grad[i];
        p[i] -= lr * (m[i] / m_scale) / (sqrt(v[i] / v_scale) + a->eps);
    }
}

static void adamw_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double *rules = in[5].v; /* (S,2) */
    double *step = out[3].v;
    const int own_steps = in[8].desc->rank == 1;
    (void)n_in;
    for (int64_t s = 0; s < in[4].desc->shape[0]; s++) {
        const segment one = segment_at(&in[4], s, in[0].count, -1);
        const double lr = in[6].v[0] * rules[2 * s], wd = in[7].v[0] * rules[2 * s + 1];
        const double t = (own_steps ? step[s] : step[0]) + 1;
        adamw_segment(attrs, t, lr, wd, one.count, in[1].v + one.offset, out[0].v + one.offset,
                      out[1].v + one.offset, out[2].v + one.offset);
        if (own_steps && one.count > 0)
            step[s] = t;
    }
    if (!own_steps)
        step[0] += 1;
}

/* --- moving average of a network --- */

static wisp_status ema_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                             wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"ema_update", ema_names, in, n_in, err};
    (void)attrs;
    WISP_TRY(judge_stores(&rule, 0));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_F32));
    WISP_TRY(wispi_rule_rank(&rule, 1, 1));
    WISP_TRY(judge_segments(&rule, 2));
    WISP_TRY(wispi_rule_scalar(&rule, 3));
    out[0] = *in[0];
    return WISP_OK;
}

static void ema_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double m = in[3].v[0];
    (void)attrs, (void)n_in;
    for (int64_t s = 0; s < in[2].desc->shape[0]; s++) {
        const segment one = segment_at(&in[2], s, in[0].count, in[1].count);
        const double *source = in[1].v + one.source;
        double *target = out[0].v + one.offset;
        for (int64_t i = 0; i < one.count; i++)
            target[i] = m * target[i] + (1 - m) * source[i];
    }
}

/* --- AdamW, then the moving average of what it made --- */

static wisp_status both_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"adamw_ema_update", both_names, in, n_in, err};
    const wisp_adamw_ema_attrs *t = attrs;
    WISP_TRY(wispi_rule_dtype(&rule, 9, WISP_F32));
    WISP_TRY(wispi_rule_rank(&rule, 9, 1));
    WISP_TRY(judge_segments(&rule, 10));
    WISP_TRY(wispi_rule_scalar(&rule, 11));
    WISP_TRY(adamw_infer(&t->adamw, in, 9, out, err));
    out[4] = *in[9];
    out[5] = wisp_desc1(WISP_F32, in[4]->shape[0]);
    if (!t->want_norms)
        out[5].dtype = 0;
    return WISP_OK;
}

static void both_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_adamw_ema_attrs *t = attrs;
    const wispi_ref average[] = {in[9], out[0], in[10], in[11]};
    (void)n_in;
    if (t->want_norms)
        norms_reference(NULL, (const wispi_ref[]){in[1], in[4]}, 2, &out[5]);
    adamw_reference(&t->adamw, in, 9, out);
    ema_reference(NULL, average, 4, &out[4]);
}

/* --- cases: a store of 200 values; padding between segments, one skipped, one empty --- */

enum { P = 200, S = 6, ACTIVE = WISP_SEGMENT_ACTIVE, ADAPT = WISP_SEGMENT_ADAPT };

static const double segments[] = {
    0,   67, ACTIVE | ADAPT, 16, /* a weight */
    80,  7,  ACTIVE,         96, /* a bias */
    96,  1,  ACTIVE | ADAPT, 90, /* one value */
    112, 19, ADAPT,          0,  /* skipped */
    144, 0,  ACTIVE,         0,  /* empty */
    144, 56, ACTIVE | ADAPT, 120,
};
static const double rules[] = {1, 1, 1, 0, 0.5, 1, 1, 1, 1, 1, 2, 0.25};
static const double one_segment[] = {0, P, ACTIVE | ADAPT, 0};
static const double one_rule[] = {1, 1};
static const double own_steps[] = {0, 4, 100, 7, 0, 1};
static const double zeros[P];

/* A store of many segments, so that kernels which cut it into shares find some that hold many
 * segments, and segments that are in many shares. */
enum { MANY = 300, LONG = 9001, MANY_P = 20000, MANY_TARGET = MANY_P + 5 };

static void write_row(double *row, double offset, double count, double flags, double source)
{
    row[0] = offset;
    row[1] = count;
    row[2] = flags;
    row[3] = source;
}

/* One long segment, then short ones 36 elements apart, of which every seventh is skipped. */
static void many_rows(double *rows, double to, double from)
{
    write_row(rows, 4 + to, LONG, ACTIVE | ADAPT, 4 + from);
    for (int64_t s = 1; s < MANY; s++) {
        const double at = 9008 + 36 * (double)(s - 1);
        const int64_t flags = (s % 7 ? ACTIVE : 0) | (s % 2 ? ADAPT : 0);
        write_row(rows + 4 * s, at + to, (double)(s % 36), (double)flags, at + from);
    }
}

/* Input `table` is the table; the one behind it may be the rules. */
static void arrange_many(const wispi_ref *in, int32_t table, int has_rules)
{
    many_rows(in[table].v, 0, 0);
    for (int64_t i = 0; has_rules && i < 2 * MANY; i++)
        in[table + 1].v[i] = (double)(1 + i % 3) / 2;
}

static void arrange_many_norms(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)attrs, (void)n_in;
    arrange_many(in, 1, 0);
}

static void arrange_many_sgd(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)attrs, (void)n_in;
    arrange_many(in, 3, 1);
}

static void arrange_many_adamw(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)attrs;
    arrange_many(in, 4, 1);
    if (n_in > 10) /* averages, the later ones of halves */
        many_rows(in[10].v, 5, 0);
    for (int64_t s = MANY / 2; n_in > 10 && s < MANY; s++)
        in[10].v[4 * s + 1] = floor(in[10].v[4 * s + 1] / 2);
}

static void arrange_many_ema(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)attrs, (void)n_in;
    many_rows(in[2].v, 5, 0);
}

#define MANY_STORE                                                                                 \
    {                                                                                              \
        WISP_F32, 1,                                                                               \
        {                                                                                          \
            MANY_P                                                                                 \
        }                                                                                          \
    }
#define MANY_TABLE                                                                                 \
    {                                                                                              \
        WISP_I64, 2,                                                                               \
        {                                                                                          \
            MANY, 4                                                                                \
        }                                                                                          \
    }
#define MANY_RULES                                                                                 \
    {                                                                                              \
        WISP_F32, 2,                                                                               \
        {                                                                                          \
            MANY, 2                                                                                \
        }                                                                                          \
    }

#define STORE                                                                                      \
    {                                                                                              \
        WISP_F32, 1,                                                                               \
        {                                                                                          \
            P                                                                                      \
        }                                                                                          \
    }
#define TABLE                                                                                      \
    {                                                                                              \
        WISP_I64, 2,                                                                               \
        {                                                                                          \
            S, 4                                                                                   \
        }                                                                                          \
    }
#define ONE_ROW                                                                                    \
    {                                                                                              \
        WISP_I64, 2,                                                                               \
        {                                                                                          \
            1, 4                                                                                   \
        }                                                                                          \
    }
#define SCALAR                                                                                     \
    {                                                                                              \
        WISP_F32, 0,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case norms_cases[] = {
    {.name = "segments",
     .n_in = 2,
     .n_out = 1,
     .in = {STORE, TABLE},
     .low = {-1},
     .high = {1},
     .values = {NULL, segments}},
    {.name = "one",
     .n_in = 2,
     .n_out = 1,
     .in = {STORE, ONE_ROW},
     .low = {-3},
     .high = {3},
     .values = {NULL, one_segment}},
    {.name = "long",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 1, {70003}}, {WISP_I64, 2, {1, 4}}},
     .low = {-1},
     .high = {1},
     .values = {NULL, (const double[]){5, 69997, ACTIVE, 0}}},
    {.name = "many",
     .n_in = 2,
     .n_out = 1,
     .in = {MANY_STORE, MANY_TABLE},
     .low = {-1},
     .high = {1},
     .arrange = arrange_many_norms,
     .arranged = 2},
};

#define CLIP(limit, per_segment)                                                                   \
    &(const wisp_clip_attrs)                                                                       \
    {                                                                                              \
        limit, per_segment, 0                                                                      \
    }
#define CLIP_CASE(text, attributes)                                                                \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 3, .n_out = 1,                                  \
        .in = {STORE, TABLE, {WISP_F32, 1, {S}}}, .low = {-1, 0, 0.5}, .high = {1, 0, 4},          \
        .inout = 1, .values = {                                                                    \
            NULL,                                                                                  \
            segments                                                                               \
        }                                                                                          \
    }

static const wispi_op_case clip_cases[] = {
    CLIP_CASE("each", CLIP(2, 1)),
    CLIP_CASE("global", CLIP(2, 0)),
    CLIP_CASE("within-the-limit", CLIP(100, 0)),
    {.name = "many",
     .attrs = CLIP(2, 0),
     .n_in = 3,
     .n_out = 1,
     .in = {MANY_STORE, MANY_TABLE, {WISP_F32, 1, {MANY}}},
     .low = {-1, 0, 0.5},
     .high = {1, 0, 4},
     .inout = 1,
     .arrange = arrange_many_norms,
     .arranged = 2},
};

#define SGD(momentum, nesterov)                                                                    \
    &(const wisp_sgd_attrs)                                                                        \
    {                                                                                              \
        momentum, 0, nesterov, 0                                                                   \
    }
#define LARS(momentum, trust)                                                                      \
    &(const wisp_sgd_attrs)                                                                        \
    {                                                                                              \
        momentum, trust, 0, 0                                                                      \
    }
#define SGD_CASE(text, attributes, n, segment_table, rule_table, start)                            \
    {                                                                                              \
        .name = text, .attrs = attributes, .n_in = 7, .n_out = 2,                                  \
        .in = {STORE, STORE, STORE, {WISP_I64, 2, {n, 4}}, {WISP_F32, 2, {n, 2}}, SCALAR, SCALAR}, \
        .low = {-1, -1, -1, 0, 0, 0.05, 0.01}, .high = {1, 1, 1, 0, 0, 0.5, 0.1}, .inout = 3,      \
        .inout_from = {0, 2}, .values = {                                                          \
            start,                                                                                 \
            NULL,                                                                                  \
            NULL,                                                                                  \
            segment_table,                                                                         \
            rule_table                                                                             \
        }                                                                                          \
    }

#define MANY_SGD_CASE(attributes)                                                                  \
    {                                                                                              \
        .name = "many", .attrs = attributes, .n_in = 7, .n_out = 2,                                \
        .in = {MANY_STORE, MANY_STORE, MANY_STORE, MANY_TABLE, MANY_RULES, SCALAR, SCALAR},        \
        .low = {-1, -1, -1, 0, 0, 0.05, 0.01}, .high = {1, 1, 1, 0, 0, 0.5, 0.1}, .inout = 3,      \
        .inout_from = {0, 2}, .arrange = arrange_many_sgd, .arranged = 3 << 3                      \
    }

static const wispi_op_case sgd_cases[] = {
    MANY_SGD_CASE(SGD(0.9, 0)),
    SGD_CASE("momentum", SGD(0.9, 0), S, segments, rules, NULL),
    SGD_CASE("nesterov", SGD(0.9, 1), S, segments, rules, NULL),
    SGD_CASE("plain", SGD(0, 0), 1, one_segment, one_rule, NULL),
};

static const wispi_op_case lars_cases[] = {
    MANY_SGD_CASE(LARS(0.9, 0.001)),
    SGD_CASE("segments", LARS(0.9, 0.001), S, segments, rules, NULL),
    SGD_CASE("strong", LARS(0.5, 1), 1, one_segment, one_rule, NULL),
    SGD_CASE("weights-of-zero", LARS(0.9, 0.001), S, segments, rules, zeros),
};

#define ADAMW_CASE(text, n, segment_table, rule_table, step_shape, step_low, step_high, step)      \
    {                                                                                              \
        .name = text, .attrs = &(const wisp_adamw_attrs){0.9, 0.999, 1e-8}, .n_in = 9, .n_out = 4, \
        .in = {STORE,  STORE,  STORE,     STORE, {WISP_I64, 2, {n, 4}}, {WISP_F32, 2, {n, 2}},     \
               SCALAR, SCALAR, step_shape},                                                        \
        .low = {-1, -1, -0.5, 0.01, 0, 0, 0.001, 0.01, step_low},                                  \
        .high = {1, 1, 0.5, 0.1, 0, 0, 0.01, 0.4, step_high}, .inout = 15,                         \
        .inout_from = {0, 2, 3, 8}, .values = {                                                    \
            NULL,                                                                                  \
            NULL,                                                                                  \
            NULL,                                                                                  \
            NULL,                                                                                  \
            segment_table,                                                                         \
            rule_table,                                                                            \
            NULL,                                                                                  \
            NULL,                                                                                  \
            step                                                                                   \
        }                                                                                          \
    }
#define ONE_COUNTER                                                                                \
    {                                                                                              \
        WISP_I64, 0,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OWN_COUNTERS                                                                               \
    {                                                                                              \
        WISP_I64, 1,                                                                               \
        {                                                                                          \
            S                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case adamw_cases[] = {
    ADAMW_CASE("first-step", 1, one_segment, one_rule, ONE_COUNTER, 0, 1, NULL),
    ADAMW_CASE("segments", S, segments, rules, ONE_COUNTER, 3, 2000, NULL),
    ADAMW_CASE("own-steps", S, segments, rules, OWN_COUNTERS, 0, 0, own_steps),
    {.name = "many",
     .attrs = &(const wisp_adamw_attrs){0.9, 0.999, 1e-8},
     .n_in = 9,
     .n_out = 4,
     .in = {MANY_STORE,
            MANY_STORE,
            MANY_STORE,
            MANY_STORE,
            MANY_TABLE,
            MANY_RULES,
            SCALAR,
            SCALAR,
            {WISP_I64, 1, {MANY}}},
     .low = {-1, -1, -0.5, 0.01, 0, 0, 0.001, 0.01, 0},
     .high = {1, 1, 0.5, 0.1, 0, 0, 0.01, 0.4, 50},
     .inout = 15,
     .inout_from = {0, 2, 3, 8},
     .arrange = arrange_many_adamw,
     .arranged = 3 << 4},
};

#define EMA_CASE(text, m_low, m_high, source, n, table)                                            \
    {                                                                                              \
        .name = text, .n_in = 4, .n_out = 1,                                                       \
        .in = {STORE, {WISP_F32, 1, {source}}, {WISP_I64, 2, {n, 4}}, SCALAR},                     \
        .low = {-1, -1, 0, m_low}, .high = {1, 1, 0, m_high}, .inout = 1, .values = {              \
            NULL,                                                                                  \
            NULL,                                                                                  \
            table                                                                                  \
        }                                                                                          \
    }

static const wispi_op_case ema_cases[] = {
    EMA_CASE("segments", 0.9, 0.999, 180, S, segments),
    EMA_CASE("all", 0.5, 0.5, P, 1, one_segment),
    EMA_CASE("takes-the-source", 0, 0, P, 1, one_segment),
    {.name = "many",
     .n_in = 4,
     .n_out = 1,
     .in = {{WISP_F32, 1, {MANY_TARGET}}, MANY_STORE, MANY_TABLE, SCALAR},
     .low = {-1, -1, 0, 0.9},
     .high = {1, 1, 0, 0.999},
     .inout = 1,
     .arrange = arrange_many_ema,
     .arranged = 1 << 2},
};

#define BOTH_CASE(text, norms, target, n, table, rule_table, n_pairs, pairs)                       \
    {                                                                                              \
        .name = text, .attrs = &(const wisp_adamw_ema_attrs){{0.9, 0.999, 1e-8}, norms, 0},        \
        .n_in = 12, .n_out = 6,                                                                    \
        .in = {STORE,                                                                              \
               STORE,                                                                              \
               STORE,                                                                              \
               STORE,                                                                              \
               {WISP_I64, 2, {n, 4}},                                                              \
               {WISP_F32, 2, {n, 2}},                                                              \
               SCALAR,                                                                             \
               SCALAR,                                                                             \
               ONE_COUNTER,                                                                        \
               {WISP_F32, 1, {target}},                                                            \
               {WISP_I64, 2, {n_pairs, 4}},                                                        \
               SCALAR},                                                                            \
        .low = {-1, -1, -0.5, 0.01, 0, 0, 0.001, 0.01, 3, -1, 0, 0.9},                             \
        .high = {1, 1, 0.5, 0.1, 0, 0, 0.01, 0.4, 2000, 1, 0, 0.999}, .inout = 31,                 \
        .inout_from = {0, 2, 3, 8, 9}, .values = {                                                 \
            [4] = table,                                                                           \
            [5] = rule_table,                                                                      \
            [10] = pairs                                                                           \
        }                                                                                          \
    }

/* Averages of whole segments, of one that the optimizer skips, and of a piece across two. */
static const double pairs[] = {
    0,   67, ACTIVE, 0,   /* a weight */
    72,  7,  ACTIVE, 80,  /* a bias at another place */
    80,  19, ACTIVE, 112, /* not trained */
    100, 20, ACTIVE, 60,  /* parts of two */
    130, 1,  0,      96,  /* skipped */
};

static const wispi_op_case both_cases[] = {
    BOTH_CASE("segments", 1, 180, S, segments, rules, 5, pairs),
    BOTH_CASE("all", 0, P, 1, one_segment, one_rule, 1, one_segment),
    {.name = "many",
     .attrs = &(const wisp_adamw_ema_attrs){{0.9, 0.999, 1e-8}, 1, 0},
     .n_in = 12,
     .n_out = 6,
     .in = {MANY_STORE,
            MANY_STORE,
            MANY_STORE,
            MANY_STORE,
            MANY_TABLE,
            MANY_RULES,
            SCALAR,
            SCALAR,
            ONE_COUNTER,
            {WISP_F32, 1, {MANY_TARGET}},
            MANY_TABLE,
            SCALAR},
     .low = {-1, -1, -0.5, 0.01, 0, 0, 0.001, 0.01, 3, -1, 0, 0.9},
     .high = {1, 1, 0.5, 0.1, 0, 0, 0.01, 0.4, 2000, 1, 0, 0.999},
     .inout = 31,
     .inout_from = {0, 2, 3, 8, 9},
     .arrange = arrange_many_adamw,
     .arranged = 3 << 4 | 1 << 10},
};

/* --- records --- */

static const wispi_op segment_norms = {
    .name = "segment_norms",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .parameter_in = 1,
    .in_names = norms_names,
    .out_names = norms_out_names,
    .infer = norms_infer,
    .reference = norms_reference,
    .cases = norms_cases,
    .n_cases = sizeof norms_cases / sizeof *norms_cases,
};

static const wispi_op clip_segments = {
    .name = "clip_segments",
    .attrs_bytes = sizeof(wisp_clip_attrs),
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 5,
    .in_names = clip_names,
    .out_names = clip_out_names,
    .infer = clip_infer,
    .reference = clip_reference,
    .cases = clip_cases,
    .n_cases = sizeof clip_cases / sizeof *clip_cases,
};

static const wispi_op sgd_update = {
    .name = "sgd_update",
    .attrs_bytes = sizeof(wisp_sgd_attrs),
    .min_in = 7,
    .max_in = 7,
    .n_out = 2,
    .parameter_in = 0x77,
    .in_names = sgd_names,
    .out_names = sgd_out_names,
    .infer = sgd_infer,
    .reference = sgd_reference,
    .cases = sgd_cases,
    .n_cases = sizeof sgd_cases / sizeof *sgd_cases,
};

static const wispi_op lars_update = {
    .name = "lars_update",
    .attrs_bytes = sizeof(wisp_sgd_attrs),
    .min_in = 7,
    .max_in = 7,
    .n_out = 2,
    .parameter_in = 0x77,
    .in_names = sgd_names,
    .out_names = sgd_out_names,
    .infer = lars_infer,
    .reference = lars_reference,
    .cases = lars_cases,
    .n_cases = sizeof lars_cases / sizeof *lars_cases,
};

static const wispi_op adamw_update = {
    .name = "adamw_update",
    .attrs_bytes = sizeof(wisp_adamw_attrs),
    .min_in = 9,
    .max_in = 9,
    .n_out = 4,
    .parameter_in = 0xef,
    .in_names = adamw_names,
    .out_names = adamw_out_names,
    .infer = adamw_infer,
    .reference = adamw_reference,
    .cases = adamw_cases,
    .n_cases = sizeof adamw_cases / sizeof *adamw_cases,
};

static const wispi_op ema_update = {
    .name = "ema_update",
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .parameter_in = 0xb,
    .in_names = ema_names,
    .out_names = ema_out_names,
    .infer = ema_infer,
    .reference = ema_reference,
    .cases = ema_cases,
    .n_cases = sizeof ema_cases / sizeof *ema_cases,
};

static const wispi_op adamw_ema_update = {
    .name = "adamw_ema_update",
    .attrs_bytes = sizeof(wisp_adamw_ema_attrs),
    .min_in = 12,
    .max_in = 12,
    .n_out = 6,
    .parameter_in = 0xeef,
    .in_names = both_names,
    .out_names = both_out_names,
    .infer = both_infer,
    .reference = both_reference,
    .cases = both_cases,
    .n_cases = sizeof both_cases / sizeof *both_cases,
};

static const wispi_op *const family[] = {&segment_norms,   &clip_segments, &sgd_update,
                                         &lars_update,     &adamw_update,  &ema_update,
                                         &adamw_ema_update};
const wispi_op_family wispi_op_optimizer = {family, sizeof family / sizeof *family};
