/* sdk.h - what several methods share, made of nothing but the public tables; header-only.
 *
 * One include for a method: it brings in the headers that methods, backbones, samplers, data sets
 * and tasks want. Functions that take a wisp_build are [setup], those that take a wisp_step [main],
 * and those that take neither are pure [any]. Sources are cited by authors, year, section. */
#ifndef WISP_SDK_H
#define WISP_SDK_H

#include "wisp/abi.h"
#include "wisp/backbone.h"
#include "wisp/dataset.h"
#include "wisp/host.h"
#include "wisp/method.h"
#include "wisp/nn.h"
#include "wisp/ops.h"
#include "wisp/options.h"
#include "wisp/rng.h"
#include "wisp/sampler.h"
#include "wisp/status.h"
#include "wisp/task.h"
#include "wisp/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- similarity --- */

/* Mean over rows of the cosine of a (B,D) and b (B,D): minus D of Chen and He 2021, eq. 1. f32() */
static inline wisp_tensor *wisp_mean_cosine(wisp_step *s, wisp_tensor *a, wisp_tensor *b)
{
    wisp_tensor *products =
        wisp_mul(s, wisp_l2_normalize(s, a, 1e-12), wisp_l2_normalize(s, b, 1e-12));
    return wisp_mean(s, wisp_sum(s, products, 1u << 1, 0), 0, 0);
}

/* --- shapes, orders and masks --- */

/* x in another shape of as many elements, of whatever type it is. */
static inline wisp_tensor *wisp_reshape_to(wisp_step *s, wisp_tensor *x, int32_t rank,
                                           const int64_t *shape)
{
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.rank = rank;
    memcpy(desc.shape, shape, (size_t)rank * sizeof *shape);
    return wisp_reshape(s, x, &desc);
}

/* 0, 1, ... n - 1; i64(n). */
static inline wisp_tensor *wisp_range(wisp_step *s, int64_t n)
{
    const wisp_desc row = wisp_desc2(WISP_F32, 1, n);
    wisp_tensor *index = NULL;
    wisp_top_k(s, wisp_full(s, &row, 0), n, &index); /* of equals, the lower index leads */
    return wisp_reshape_to(s, index, 1, &n);
}

/* A random order of n things for each of `rows` rows, the same on every rank, and the orders that
 * undo them: order[0] and order[1] are i64(rows,n). gather_tokens puts tokens into them. */
static inline void wisp_random_order(wisp_step *s, int64_t rows, int64_t n, wisp_tensor *order[2])
{
    const int64_t shape[2] = {rows, n};
    wisp_top_k(s, wisp_reshape_to(s, wisp_uniform(s, rows * n), 2, shape), n, &order[0]);
    wisp_top_k(s, wisp_scale(s, wisp_cast(s, order[0], WISP_F32), -1), n, &order[1]);
}

/* In each row 1 at `hidden` of n places, drawn anew in every step, 0 elsewhere; f32(rows,n). */
static inline wisp_tensor *wisp_random_mask(wisp_step *s, int64_t rows, int64_t n, int64_t hidden)
{
    wisp_tensor *order[2];
    wisp_random_order(s, rows, n, order);
    wisp_tensor *place = wisp_cast(s, order[1], WISP_F32); /* hidden are places 0 ... hidden - 1 */
    return wisp_clamp(s, wisp_affine(s, place, -1, (double)hidden), 0, 1);
}

/* Images (N,H,W,C) as rows of pixels of their patches (N,T,side*side*C), row by row: what a token
 * of a patch embedding has seen. `side` divides H and W. */
static inline wisp_tensor *wisp_patches(wisp_step *s, wisp_tensor *images, int64_t side)
{
    static const int32_t by_patch[6] = {0, 1, 3, 2, 4, 5};
    const wisp_desc d = *wisp_shape_of(s, images);
    const int64_t h = d.shape[1] / side, w = d.shape[2] / side, c = d.shape[3];
    const int64_t apart[6] = {d.shape[0], h, side, w, side, c};
    const int64_t rows[3] = {d.shape[0], h * w, side * side * c};
    wisp_tensor *x = wisp_permute(s, wisp_reshape_to(s, images, 6, apart), by_patch);
    return wisp_reshape_to(s, x, 3, rows);
}

/* --- several views of different sizes (Caron et al. 2020, section 3.2) --- */

/* Embeddings of `count` views from `first` on, view-major: T(count*B,D). Neighbouring
 * views of one size go through the backbone together, so batch norm sees each size by itself. */
static inline wisp_tensor *wisp_embed_views(wisp_step *s, wisp_module *backbone,
                                            const wisp_batch *batch, int32_t first, int32_t count)
{
    wisp_tensor *images = NULL, *embeddings[WISP_MAX_VIEW_GROUPS] = {NULL};
    int32_t n = 0, begin = 0;
    const wisp_view_group *last = NULL;
    if (first < 0 || count < 1 || first + count > batch->n_views)
        return wisp_views(s, batch, first, count); /* which says what is wrong */
    for (int32_t g = 0; g < batch->n_groups; begin += batch->groups[g++].count) {
        const wisp_view_group *group = &batch->groups[g];
        const int32_t from = first > begin ? first : begin, end = begin + group->count;
        const int32_t to = first + count < end ? first + count : end;
        if (from >= to)
            continue;
        wisp_tensor *views = wisp_views(s, batch, from, to - from);
        const int same = last && last->width == group->width && last->height == group->height;
        if (images && !same)
            embeddings[n++] = wisp_forward(s, backbone, images);
        wisp_tensor *both[2] = {images, views};
        images = same ? wisp_concat(s, both, 2, 0) : views;
        last = group;
    }
    if (images)
        embeddings[n++] = wisp_forward(s, backbone, images);
    return n == 1 ? embeddings[0] : wisp_concat(s, embeddings, n, 0);
}

/* --- pairs of views (multi-crop) --- */

/* Number of (target, view) pairs of different views; targets are the first views. */
static inline int32_t wisp_pair_count(int32_t targets, int32_t views)
{
    return targets * (views - 1);
}

/* Fills the (G,V) matrix of wisp_pair_cross_entropy() so that the loss is
 *     alpha * mean(global-global pairs) + beta * mean(global-local pairs)
 * (Huang et al. 2023, "SSLight"). Targets are the first G views, the first n_global views are
 * global; pairs of a view with itself weigh 0. A kind of pair that does not occur adds nothing. */
static inline void wisp_pair_weights_fill(float *weights, int32_t targets, int32_t views,
                                          int32_t n_global, double alpha, double beta)
{
    const int32_t gg = targets * (n_global - 1), gl = targets * (views - n_global);
    for (int32_t g = 0; g < targets; g++)
        for (int32_t v = 0; v < views; v++)
            weights[g * views + v] = v == g         ? 0.0f
                                     : v < n_global ? (float)(alpha / gg)
                                                    : (float)(beta / gl);
}

/* The same with equal weight for every pair: the mean of Caron et al. 2020, 2021. */
static inline void wisp_pair_weights_equal(float *weights, int32_t targets, int32_t views)
{
    for (int32_t g = 0; g < targets; g++)
        for (int32_t v = 0; v < views; v++)
            weights[g * views + v] = v == g ? 0.0f : (float)(1.0 / wisp_pair_count(targets, views));
}

/* Two numbers [a, b] of an experiment: the loss is a * mean(global-global pairs) + b *
 * mean(global-local pairs), as SSLight has it; an empty list lets every pair weigh the same. */
#define WISP_PAIR_WEIGHTS_OPTION(config, field)                                                    \
    {                                                                                              \
        .key = "pair_weights", .type = WISP_OPTION_F64_LIST, .offset = offsetof(config, field),    \
        .default_value = "[]", .min = 0, .max = 100, .max_count = 2,                               \
        .help = "[a, b]: the loss is a * mean(global-global pairs) + b * mean(global-local "       \
                "pairs); SSLight has [0.4, 0.6]; []: every pair weighs the same"                   \
    }

static inline wisp_status wisp_pair_weights_check(const wisp_list *pair_weights, wisp_error *err)
{
    const double *weights = (const double *)pair_weights->items;
    if (pair_weights->count == 1)
        return wisp_fail(err, WISP_E_CONFIG, "pair_weights has one value: give two, or none");
    if (pair_weights->count == 2 && weights[0] + weights[1] <= 0)
        return wisp_fail(err, WISP_E_CONFIG, "pair_weights = [0, 0] leaves no loss");
    return WISP_OK;
}

/* Weights of the (target, view) pairs, f32(G,V); and the means over either kind of pair, for the
 * metrics. */
typedef struct wisp_pairs {
    wisp_state *weights, *global_mean, *local_mean; /* local_mean NULL: no local views */
} wisp_pairs;

/* `count` views from `first` on predict the first `targets` views, which may be among them. */
typedef struct wisp_pairs_desc {
    int32_t targets, first, count;
} wisp_pairs_desc;

static inline wisp_state *wisp_pair_table(wisp_build *b, const char *name, const wisp_batch *batch,
                                          const wisp_pairs_desc *d, double alpha, double beta)
{
    float all[WISP_MAX_VIEWS * WISP_MAX_VIEWS], values[WISP_MAX_VIEWS * WISP_MAX_VIEWS];
    const int32_t views = d->first + d->count, n_global = batch->groups[0].count;
    const wisp_desc desc = wisp_desc2(WISP_F32, d->targets, d->count);
    wisp_pair_weights_fill(all, d->targets, views, n_global < views ? n_global : views, alpha,
                           beta);
    for (int32_t g = 0; g < d->targets; g++)
        for (int32_t v = 0; v < d->count; v++)
            values[g * d->count + v] = all[g * views + d->first + v];
    return wisp_new_constant(b, name, &desc, values);
}

static inline wisp_pairs wisp_pairs_build_some(wisp_build *b, const wisp_batch *batch,
                                               const wisp_pairs_desc *d,
                                               const wisp_list *pair_weights)
{
    const int32_t views = d->first + d->count, n_global = batch->groups[0].count;
    const int32_t has_local = views > n_global;
    /* of global-global pairs */
    const double share = has_local ? (n_global - 1.0) / (views - 1.0) : 1;
    double weights[2] = {share, 1 - share};
    wisp_pairs pairs = {NULL, NULL, NULL};
    if (pair_weights->count == 2)
        memcpy(weights, pair_weights->items, sizeof weights);
    if (!has_local && weights[1] > 0)
        wisp_build_fail(b, WISP_E_CONFIG,
                        "pair_weights has a weight for local views, but the sampler gives none: "
                        "make it 0, or leave pair_weights out");
    pairs.weights = wisp_pair_table(b, "pair_weights", batch, d, weights[0], weights[1]);
    pairs.global_mean = wisp_pair_table(b, "global_pairs", batch, d, 1, 0);
    if (has_local)
        pairs.local_mean = wisp_pair_table(b, "local_pairs", batch, d, 0, 1);
    return pairs;
}

/* The first `targets` views predict nothing of themselves and are predicted by all others. */
static inline wisp_pairs wisp_pairs_build(wisp_build *b, const wisp_batch *batch, int32_t targets,
                                          const wisp_list *pair_weights)
{
    const wisp_pairs_desc all = {targets, 0, batch->n_views};
    return wisp_pairs_build_some(b, batch, &all, pair_weights);
}

/* Metrics loss_global and loss_local: means of pair losses f32(G,V) over either kind of pair. */
static inline void wisp_pairs_report(wisp_step *s, const wisp_pairs *pairs, wisp_tensor *losses)
{
    wisp_no_grad_begin(s);
    wisp_tensor *global = wisp_mul(s, losses, wisp_state_value(s, pairs->global_mean));
    wisp_metric(s, "loss_global", wisp_sum(s, global, 0, 0));
    if (pairs->local_mean) {
        wisp_tensor *local = wisp_mul(s, losses, wisp_state_value(s, pairs->local_mean));
        wisp_metric(s, "loss_local", wisp_sum(s, local, 0, 0));
    }
    wisp_no_grad_end(s);
}

/* The weighted sum of the pairs' cross-entropies: logits T(V*B,K) of the predicting views,
 * multiplied by `scale`, against targets T(G*B,K) of the first G. Reports both means. f32() */
static inline wisp_tensor *wisp_pairs_cross_entropy(wisp_step *s, const wisp_pairs *pairs,
                                                    wisp_tensor *logits, wisp_tensor *targets,
                                                    double scale)
{
    wisp_tensor *losses = NULL;
    wisp_tensor *loss = wisp_pair_cross_entropy(
        s, logits, targets, wisp_state_value(s, pairs->weights), scale, &losses);
    wisp_pairs_report(s, pairs, losses);
    return loss;
}

/* Mean over the rows of p (N,K), distributions, of their entropy; without gradient. f32() */
static inline wisp_tensor *wisp_mean_entropy(wisp_step *s, wisp_tensor *p)
{
    const double rows = (double)wisp_shape_of(s, p)->shape[0];
    wisp_no_grad_begin(s);
    wisp_tensor *logs = wisp_unary(s, wisp_clamp(s, p, 1e-30, 1), WISP_UNARY_LOG);
    wisp_tensor *entropy = wisp_scale(s, wisp_sum(s, wisp_mul(s, p, logs), 0, 0), -1 / rows);
    wisp_no_grad_end(s);
    return entropy;
}

/* Entropy of the mean of the rows of p (N,K), distributions: whether rows differ, of which the mean
 * of their entropies says nothing. 0 when all are one and the same output, at most ln K; without
 * gradient. f32() */
static inline wisp_tensor *wisp_entropy_of_mean(wisp_step *s, wisp_tensor *p)
{
    wisp_no_grad_begin(s);
    wisp_tensor *entropy = wisp_mean_entropy(s, wisp_mean(s, p, 1u << 0, 1));
    wisp_no_grad_end(s);
    return entropy;
}

/* --- signs of collapse (docs/health.md) --- */

/* `metric` is a loss or an entropy over `outputs` outputs: ln(outputs) says that they are uniform.
 * Healthy runs come within 0.02 of it at the start; collapsed ones stay within 0.002. */
static inline void wisp_uniform_sign(wisp_build *b, const char *metric, double outputs,
                                     const char *meaning, const char *remedy)
{
    const wisp_collapse_sign sign = {sizeof sign, 0, log(outputs), 0.005, meaning, remedy};
    wisp_collapse_at(b, metric, &sign);
}

/* `metric` is the entropy of a mean: 0 says that one output gets everything. */
static inline void wisp_single_sign(wisp_build *b, const char *metric, const char *meaning,
                                    const char *remedy)
{
    const wisp_collapse_sign sign = {sizeof sign, 0, 0, 0.05, meaning, remedy};
    wisp_collapse_at(b, metric, &sign);
}

/* --- two views against all others of the batch (Chen et al. 2020, "SimCLR", eq. 1) --- */

/* Embeddings a and b (B,D) of two views of B images: each row is to be told by its cosines from all
 * other rows of both, of all ranks. Mean over the 2B rows. A method that uses it is coupled over
 * the batch (WISP_FLAG_BATCH_COUPLED). f32() */
static inline wisp_tensor *wisp_nt_xent(wisp_step *s, wisp_tensor *a, wisp_tensor *b,
                                        double temperature)
{
    wisp_tensor *both[2] = {wisp_l2_normalize(s, a, 1e-12), wisp_l2_normalize(s, b, 1e-12)};
    wisp_tensor *z = wisp_cast(s, wisp_concat(s, both, 2, 0), WISP_F32);
    const int64_t own = wisp_shape_of(s, z)->shape[0], half = own / 2;
    const int64_t all = own * wisp_world_size(s), first = own * wisp_world_rank(s);
    const int64_t column[2] = {own, 1};
    wisp_tensor *index = wisp_range(s, all), *mine = wisp_slice(s, index, 0, first, own);
    wisp_tensor *other[2] = {wisp_slice(s, mine, 0, half, half), wisp_slice(s, mine, 0, 0, half)};
    /* 1 where a row would be compared with itself */
    wisp_tensor *apart = wisp_sub(s, wisp_reshape_to(s, wisp_cast(s, mine, WISP_F32), 2, column),
                                  wisp_cast(s, index, WISP_F32));
    wisp_tensor *same =
        wisp_affine(s, wisp_clamp(s, wisp_unary(s, apart, WISP_UNARY_SQUARE), 0, 1), -1, 1);
    wisp_tensor *cosines = wisp_matmul(s, z, wisp_all_gather(s, z, 1), 0, 1);
    wisp_tensor *logits = wisp_sub(s, cosines, wisp_scale(s, same, 1e4));
    return wisp_cross_entropy(s, logits, wisp_concat(s, other, 2, 0), 1 / temperature);
}

/* --- centre of the teacher's outputs (Caron et al. 2021, section 3.1, eq. 4) --- */

static inline wisp_state *wisp_centre_build(wisp_build *b, const char *name, int64_t dim)
{
    const wisp_desc desc = wisp_desc1(WISP_F32, dim);
    const wisp_init zeros = {WISP_INIT_ZEROS, 0, 0};
    return wisp_new_state(b, name, &desc, &zeros);
}

/* centre = momentum * centre + (1 - momentum) * mean of the rows of x (N,dim) over all ranks. */
static inline void wisp_centre_update(wisp_step *s, wisp_state *centre, wisp_tensor *x,
                                      double momentum)
{
    wisp_no_grad_begin(s);
    wisp_tensor *rows = wisp_mean(s, wisp_cast(s, x, WISP_F32), 1u << 0, 0);
    wisp_state_lerp(s, centre, wisp_all_reduce_mean(s, rows), wisp_constant(s, momentum));
    wisp_no_grad_end(s);
}

/* --- queue of the newest rows (He et al. 2020, section 3.1) --- */

typedef struct wisp_queue {
    wisp_state *rows;   /* f32(K,D) */
    wisp_state *cursor; /* i64(): where the next row goes */
} wisp_queue;

/* Two states, `name` and `name`.cursor. `init` NULL: random rows of length 1. */
static inline wisp_queue wisp_queue_build(wisp_build *b, const char *name, int64_t rows,
                                          int64_t dim, const wisp_init *init)
{
    const wisp_desc ring = wisp_desc2(WISP_F32, rows, dim), place = wisp_desc0(WISP_I64);
    const wisp_init unit = {WISP_INIT_UNIT_ROWS, 0, 0}, zero = {WISP_INIT_ZEROS, 0, 0};
    char cursor[120];
    wisp_queue queue;
    snprintf(cursor, sizeof cursor, "%s.cursor", name);
    queue.rows = wisp_new_state(b, name, &ring, init ? init : &unit);
    queue.cursor = wisp_new_state(b, cursor, &place, &zero);
    return queue;
}

/* All rows, without gradient; f32(K,D). */
static inline wisp_tensor *wisp_queue_rows(wisp_step *s, const wisp_queue *queue)
{
    return wisp_state_value(s, queue->rows);
}

/* 1 once a queue that began as zeros is full, else 0; f32(). The last row is the last to be filled,
 * and what is pushed is longer than 2^-50. A step's calls stay the same while a queue fills, so
 * what depends on it is switched by this value. */
static inline wisp_tensor *wisp_queue_is_full(wisp_step *s, const wisp_queue *queue)
{
    const double tiny =
        1.0 / ((int64_t)1 << 50) / ((int64_t)1 << 50); /* exact, as is its inverse */
    wisp_tensor *rows = wisp_queue_rows(s, queue);
    const int64_t n = wisp_shape_of(s, rows)->shape[0];
    wisp_no_grad_begin(s);
    wisp_tensor *last = wisp_unary(s, wisp_slice(s, rows, 0, n - 1, 1), WISP_UNARY_SQUARE);
    wisp_tensor *full = wisp_scale(s, wisp_clamp(s, wisp_sum(s, last, 0, 0), 0, tiny), 1 / tiny);
    wisp_no_grad_end(s);
    return full;
}

/* Puts x (B,D) of every rank over the oldest rows; in after_step, when nothing needs those. */
static inline void wisp_queue_push(wisp_step *s, const wisp_queue *queue, wisp_tensor *x)
{
    wisp_state_push(s, queue->rows, queue->cursor, wisp_all_gather(s, x, 0));
}

/* --- balanced assignment (Caron et al. 2020, section 3.1 and appendix A) --- */

/* Scores (B,K) of samples against prototypes -> assignments f32(B,K) whose rows sum to 1 and whose
 * columns are equally used, by `rounds` of Sinkhorn and Knopp's scaling. Each sample counts with
 * its weight f32(B,1); one of weight 0 gets an assignment without a say in the others'. NULL: all
 * weigh 1. No gradient. Scores are cosines: the sum of exp(score / eps) must be finite, which holds
 * in f32 from eps = 0.02 on. */
static inline wisp_tensor *wisp_sinkhorn_weighted(wisp_step *s, wisp_tensor *scores,
                                                  wisp_tensor *weights, double eps, int32_t rounds)
{
    const wisp_desc *shape = wisp_shape_of(s, scores);
    if (shape->rank != 2)
        return wisp_sum(s, scores, 1u << 1, 0); /* the shape rule says what is wrong */
    const double samples = (double)shape->shape[0] * wisp_world_size(s);
    const double prototypes = (double)shape->shape[1];
    const uint32_t over_samples = 1u << 0, over_prototypes = 1u << 1;
    wisp_no_grad_begin(s);
    wisp_tensor *q = wisp_scale(s, wisp_cast(s, scores, WISP_F32), 1 / eps);
    q = wisp_unary(s, q, WISP_UNARY_EXP);
    q = wisp_div(s, q, wisp_all_reduce_sum(s, wisp_sum(s, q, 0, 0)));
    for (int32_t i = 0; i < rounds; i++) {
        wisp_tensor *counted = weights ? wisp_mul(s, q, weights) : q;
        wisp_tensor *used = wisp_all_reduce_sum(s, wisp_sum(s, counted, over_samples, 1));
        q = wisp_scale(s, wisp_div(s, q, used), 1 / prototypes);
        q = wisp_scale(s, wisp_div(s, q, wisp_sum(s, q, over_prototypes, 1)), 1 / samples);
    }
    q = wisp_scale(s, q, samples);
    wisp_no_grad_end(s);
    return q;
}

static inline wisp_tensor *wisp_sinkhorn(wisp_step *s, wisp_tensor *scores, double eps,
                                         int32_t rounds)
{
    return wisp_sinkhorn_weighted(s, scores, NULL, eps, rounds);
}

/* --- heads --- */

/* Layers in -> hidden -> ... -> hidden -> out for wisp_mlp(). */
static inline void wisp_mlp_dims(wisp_build *b, wisp_mlp_desc *desc, int64_t in, int64_t hidden,
                                 int64_t out, int32_t layers)
{
    if (layers < 1 || layers > 7)
        wisp_build_fail(b, WISP_E_INVALID, "a projection head has 1 to 7 layers");
    desc->n_dims = layers < 1 || layers > 7 ? 2 : layers + 1;
    for (int32_t i = 0; i < desc->n_dims; i++)
        desc->dims[i] = i == 0 ? in : i == desc->n_dims - 1 ? out : hidden;
}

/* in -> hidden -> ... -> hidden -> out with `layers` linear layers; batch norm and ReLU between
 * them. `last_batch_norm` as in wisp_mlp_desc. */
static inline wisp_module *wisp_projection_head(wisp_build *b, wisp_module *parent,
                                                const char *name, int64_t in, int64_t hidden,
                                                int64_t out, int32_t layers, int32_t batch_norm,
                                                int32_t last_batch_norm)
{
    wisp_mlp_desc desc = {{0},        0, WISP_MLP_RELU, batch_norm, last_batch_norm,
                          batch_norm, 0, {0, 0, 0}};
    wisp_mlp_dims(b, &desc, in, hidden, out, layers);
    return wisp_mlp(b, parent, name, &desc);
}

typedef struct wisp_unit_head_desc {
    int64_t in, hidden, out;
    int32_t layers;     /* linear ones, 1 to 7; ReLU between them */
    int32_t batch_norm; /* 1: before each ReLU */
    wisp_init weight;   /* as in wisp_mlp_desc */
} wisp_unit_head_desc;

/* in -> hidden -> ... -> hidden -> out -> unit length (He et al. 2020; Caron et al. 2020).
 * Children: mlp, normalize. */
static inline wisp_module *wisp_unit_head(wisp_build *b, wisp_module *parent, const char *name,
                                          const wisp_unit_head_desc *d)
{
    wisp_mlp_desc desc = {{0}, 0, WISP_MLP_RELU, d->batch_norm, 0, 0, 0, d->weight};
    wisp_mlp_dims(b, &desc, d->in, d->hidden, d->out, d->layers);
    wisp_module *head = wisp_group(b, parent, name);
    wisp_mlp(b, head, "mlp", &desc);
    return wisp_l2_normalize_layer(b, head, "normalize", 1e-12) ? head : NULL;
}

typedef struct wisp_dino_head_desc {
    int64_t in, hidden, bottleneck, out;
    int32_t batch_norm; /* 1: before each GELU */
    int32_t train_gain; /* 1: the gain of the last layer is trained; 0: it stays 1 */
} wisp_dino_head_desc;

/* in -> hidden -> hidden -> bottleneck -> unit length -> weight-normalised layer to `out` (Caron et
 * al. 2021, appendix C). Linear weights are N(0, 0.02). Children: mlp, normalize, last_layer; the
 * last one, whose gradient is dropped in the first epoch, goes to *last_layer (may be NULL). */
static inline wisp_module *wisp_dino_head(wisp_build *b, wisp_module *parent, const char *name,
                                          const wisp_dino_head_desc *d, wisp_module **last_layer)
{
    const wisp_mlp_desc mlp = {{d->in, d->hidden, d->hidden, d->bottleneck},
                               4,
                               WISP_MLP_GELU,
                               d->batch_norm,
                               0,
                               0,
                               0,
                               {WISP_INIT_NORMAL, 0, 0.02}};
    const wisp_weight_norm_desc last = {d->bottleneck, d->out, d->train_gain, 0};
    wisp_module *head = wisp_group(b, parent, name);
    wisp_mlp(b, head, "mlp", &mlp);
    wisp_l2_normalize_layer(b, head, "normalize", 1e-12);
    wisp_module *layer = wisp_weight_norm_layer(b, head, "last_layer", &last);
    if (last_layer)
        *last_layer = layer;
    return layer ? head : NULL;
}

/* --- schedules --- */

/* value -> end along a half cosine, step by step over the whole run. */
static inline wisp_schedule wisp_cosine_schedule(double value, double end)
{
    wisp_schedule schedule;
    memset(&schedule, 0, sizeof schedule);
    schedule.kind = WISP_SCHEDULE_COSINE;
    schedule.per = WISP_PER_STEP;
    schedule.value = value;
    schedule.end = end;
    return schedule;
}

/* from -> to in a straight line over the first `epochs` epochs, epoch by epoch, then `to`. */
static inline wisp_schedule wisp_rise_schedule(double from, double to, double epochs)
{
    wisp_schedule schedule;
    memset(&schedule, 0, sizeof schedule);
    schedule.kind = WISP_SCHEDULE_CONSTANT;
    schedule.per = WISP_PER_EPOCH;
    schedule.value = to;
    schedule.warmup_start = from;
    schedule.warmup_epochs = epochs;
    return schedule;
}

#ifdef __cplusplus
}
#endif
#endif
