/* pair_cross_entropy.c - cross-entropies between soft targets and predictions of several views.
 *
 * Rows are view-major: row v*B + b of the logits is sample b in view v. With z = logits * scale,
 *   lse[v,b]   = log sum_k exp(z[v,b,k])
 *   pairs[g,v] = mean_b sum_k targets[g,b,k] (lse[v,b] - z[v,b,k])
 *   loss       = sum_gv weights[g,v] pairs[g,v]
 * and, with S[g,b] = sum_k targets[g,b,k] (1 for probabilities),
 *   dlogits[v,b,k] = dloss scale / B sum_g weights[g,v] (S[g,b] exp(z[v,b,k] - lse[v,b])
 *                                                        - targets[g,b,k]).
 * Pairs of weight 0 are not computed and read 0, as does lse of a view that is in no pair. */
#include "ops/log_sum_exp.h"
#include "ops/rule.h"

static const char *const forward_names[] = {"logits", "targets", "weights"};
static const char *const forward_out_names[] = {"loss", "pairs", "lse"};
static const char *const grad_names[] = {"dloss", "logits", "targets", "weights", "lse"};
static const char *const grad_out_names[] = {"dlogits"};

/* Judges logits, targets and weights, which begin at argument i. */
static wisp_status judge(const wispi_rule *rule, int32_t i, const wisp_pair_cross_entropy_attrs *t)
{
    WISP_TRY(wispi_rule_float(rule, i));
    WISP_TRY(wispi_rule_rank(rule, i, 2));
    WISP_TRY(wispi_rule_not_empty(rule, i, 0));
    WISP_TRY(wispi_rule_float(rule, i + 1));
    WISP_TRY(wispi_rule_rank(rule, i + 1, 2));
    WISP_TRY(wispi_rule_dtype(rule, i + 2, WISP_F32));
    WISP_TRY(wispi_rule_factor(rule, "scale", t->scale));
    const int64_t *logits = rule->in[i]->shape, *targets = rule->in[i + 1]->shape;
    if (rule->in[i + 1]->dtype != WISP_F32)
        WISP_TRY(wispi_rule_same_dtype(rule, i + 1, i));
    if (t->views < 1 || t->targets < 1)
        return wispi_rule_fail(rule, WISP_E_INVALID, "%d views against %d targets", t->views,
                               t->targets);
    if (logits[0] % t->views)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "%lld rows are not a multiple of %d views",
                               (long long)logits[0], t->views);
    const int64_t B = logits[0] / t->views;
    if (targets[0] % t->targets || targets[0] / t->targets != B)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "%d views have %lld rows each, %d targets have %lld rows together",
                               t->views, (long long)B, t->targets, (long long)targets[0]);
    if (targets[1] != logits[1])
        return wispi_rule_fail(rule, WISP_E_SHAPE, "row sizes %lld and %lld differ",
                               (long long)logits[1], (long long)targets[1]);
    const wisp_desc weights = wisp_desc2(WISP_F32, t->targets, t->views);
    return wispi_rule_shape(rule, i + 2, &weights);
}

static wisp_status forward_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                 wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"pair_cross_entropy", forward_names, in, n_in, err};
    WISP_TRY(judge(&rule, 0, attrs));
    out[0] = wisp_desc0(WISP_F32);
    out[1] = *in[2];
    out[2] = wisp_desc1(WISP_F32, in[0]->shape[0]);
    return WISP_OK;
}

/* mean_b sum_k targets[b,k] (lse[b] - z[b,k]) */
static double pair_loss(const double *targets, const double *logits, const double *lse,
                        double scale, int64_t B, int64_t K)
{
    double sum = 0;
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < K; k++)
            sum += targets[b * K + k] * (lse[b] - logits[b * K + k] * scale);
    return sum / (double)B;
}

static int is_in_a_pair(const double *weights, int64_t G, int64_t V, int64_t v)
{
    for (int64_t g = 0; g < G; g++)
        if (weights[g * V + v] != 0)
            return 1;
    return 0;
}

static void forward_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_pair_cross_entropy_attrs *t = attrs;
    const int64_t V = t->views, G = t->targets;
    const int64_t B = in[0].desc->shape[0] / V, K = in[0].desc->shape[1];
    const double *weights = in[2].v; /* (G,V) */
    double *loss = out[0].v, *pairs = out[1].v, *lse = out[2].v;
    (void)n_in;
    loss[0] = 0;
    for (int64_t v = 0; v < V; v++) {
        const double *x = in[0].v + v * B * K; /* (B,K) */
        for (int64_t b = 0; b < B; b++)
            lse[v * B + b] =
                is_in_a_pair(weights, G, V, v) ? wispi_log_sum_exp(x + b * K, t->scale, K) : 0;
        for (int64_t g = 0; g < G; g++) {
            const double w = weights[g * V + v], *targets = in[1].v + g * B * K; /* (B,K) */
            pairs[g * V + v] = w != 0 ? pair_loss(targets, x, lse + v * B, t->scale, B, K) : 0;
            loss[0] += w * pairs[g * V + v];
        }
    }
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"pair_cross_entropy_grad", grad_names, in, n_in, err};
    WISP_TRY(wispi_rule_scalar(&rule, 0));
    WISP_TRY(judge(&rule, 1, attrs));
    const wisp_desc rows = wisp_desc1(WISP_F32, in[1]->shape[0]);
    WISP_TRY(wispi_rule_f32(&rule, 4, &rows));
    out[0] = *in[1];
    return WISP_OK;
}

/* dx[k] += factor (S exp(z[k] - lse) - targets[k]) */
static void add_row(const double *targets, const double *x, double lse, double scale, double factor,
                    int64_t K, double *dx)
{
    double S = 0;
    for (int64_t k = 0; k < K; k++)
        S += targets[k];
    for (int64_t k = 0; k < K; k++)
        dx[k] += factor * (S * exp(x[k] * scale - lse) - targets[k]);
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_pair_cross_entropy_attrs *t = attrs;
    const int64_t V = t->views, G = t->targets;
    const int64_t B = in[1].desc->shape[0] / V, K = in[1].desc->shape[1];
    const double *weights = in[3].v; /* (G,V) */
    const double *lse = in[4].v;     /* (V,B) */
    (void)n_in;
    for (int64_t v = 0; v < V; v++)
        for (int64_t g = 0; g < G; g++) {
            const double factor = in[0].v[0] * t->scale / (double)B * weights[g * V + v];
            for (int64_t b = 0; b < B && weights[g * V + v] != 0; b++) {
                const int64_t row = v * B + b;
                add_row(in[2].v + (g * B + b) * K, in[1].v + row * K, lse[row], t->scale, factor, K,
                        out[0].v + row * K);
            }
        }
}

static const wispi_op pair_cross_entropy;
static const wispi_op pair_cross_entropy_grad;

static wisp_status gradient(wispi_grad *grad)
{
    wisp_tensor *in[5] = {grad->dout[0], grad->in[0], grad->in[1], grad->in[2], grad->out[2]};
    if (wispi_grad_possible(grad, &pair_cross_entropy))
        wispi_grad_by(grad, 0, &pair_cross_entropy_grad, grad->attrs, in, 5);
    return WISP_OK;
}

/* DINO's pairs with 2 global and 2 local views; one target and one view; a view in no pair. */
static const double dino_weights[] = {0, 0.2, 0.15, 0.15, 0.2, 0, 0.15, 0.15};
static const double moco_weights[] = {0, 0.4, 0.6};
static const double one_weight[] = {1};

#define WITH(scale, views, targets)                                                                \
    &(const wisp_pair_cross_entropy_attrs)                                                         \
    {                                                                                              \
        scale, views, targets                                                                      \
    }
#define FORWARD_CASE(text, scale, v, g, b, k, w, f32)                                              \
    {                                                                                              \
        .name = text, .attrs = WITH(scale, v, g), .n_in = 3, .n_out = 3,                           \
        .in = {{WISP_F32, 2, {v * b, k}}, {WISP_F32, 2, {g * b, k}}, {WISP_F32, 2, {g, v}}},       \
        .low = {-1, 0}, .high = {1, 0.05}, .no_bf16 = f32, .values = {                             \
            NULL,                                                                                  \
            NULL,                                                                                  \
            w                                                                                      \
        }                                                                                          \
    }
#define GRAD_CASE(text, scale, v, g, b, k, w, f32)                                                 \
    {                                                                                              \
        .name = text, .attrs = WITH(scale, v, g), .n_in = 5, .n_out = 1,                           \
        .in = {{WISP_F32, 0, {0}},                                                                 \
               {WISP_F32, 2, {v * b, k}},                                                          \
               {WISP_F32, 2, {g * b, k}},                                                          \
               {WISP_F32, 2, {g, v}},                                                              \
               {WISP_F32, 1, {v * b}}},                                                            \
        .low = {0.5, -1, 0, 0, 3}, .high = {2, 1, 0.05, 0, 8}, .no_bf16 = f32, .values = {         \
            NULL,                                                                                  \
            NULL,                                                                                  \
            NULL,                                                                                  \
            w                                                                                      \
        }                                                                                          \
    }

static const wispi_op_case forward_cases[] = {
    FORWARD_CASE("two-against-four", 10, 4, 2, 3, 67, dino_weights, 0),
    FORWARD_CASE("f32-targets", 10, 4, 2, 3, 131, dino_weights, 2),
    FORWARD_CASE("view-in-no-pair", 5, 3, 1, 5, 33, moco_weights, 0),
    FORWARD_CASE("one-pair", 1, 1, 1, 1, 7, one_weight, 0),
    FORWARD_CASE("wide", 10, 3, 1, 2, 1025, moco_weights, 2),
};

static const wispi_op_case grad_cases[] = {
    GRAD_CASE("two-against-four", 10, 4, 2, 3, 67, dino_weights, 0),
    GRAD_CASE("f32-targets", 10, 4, 2, 3, 131, dino_weights, 4),
    GRAD_CASE("view-in-no-pair", 5, 3, 1, 5, 33, moco_weights, 0),
    GRAD_CASE("one-pair", 1, 1, 1, 1, 7, one_weight, 0),
};

static const wispi_op pair_cross_entropy = {
    .name = "pair_cross_entropy",
    .attrs_bytes = sizeof(wisp_pair_cross_entropy_attrs),
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .parameter_in = 4,
    .constant_in = 6,
    .side_out = 6,
    .in_names = forward_names,
    .out_names = forward_out_names,
    .infer = forward_infer,
    .reference = forward_reference,
    .gradient = gradient,
    .cases = forward_cases,
    .n_cases = sizeof forward_cases / sizeof *forward_cases,
};

static const wispi_op pair_cross_entropy_grad = {
    .name = "pair_cross_entropy_grad",
    .attrs_bytes = sizeof(wisp_pair_cross_entropy_attrs),
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .parameter_in = 25,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = sizeof grad_cases / sizeof *grad_cases,
};

static const wispi_op *const family[] = {&pair_cross_entropy, &pair_cross_entropy_grad};
const wispi_op_family wispi_op_pair_cross_entropy = {family, sizeof family / sizeof *family};
