/* linear_probe - a linear classifier trained on the frozen network's embeddings.
 *
 * The arithmetic is in softmax_regression.c; here are the protocol, the epochs and the judgement.
 */
#include <math.h>

#include <wisp/host.h>
#include <wisp/task.h>

#include "softmax_regression.h"

typedef struct probe {
    int64_t epochs, batch, blocks;
    int32_t features;
    int32_t optimizer, nesterov;
    double lr_per_256, lr_end, momentum, weight_decay;
    int32_t augment, standardize;
    wisp_list crop_scale;
} probe;

static const wisp_choice optimizers[] = {
    {"sgd", "stochastic gradient descent with momentum", REGRESSION_SGD, 0},
    {"lars", "steps in proportion to the weights' length; biases plainly", REGRESSION_LARS, 0},
    {NULL, NULL, 0, 0}};

static const wisp_choice features[] = {
    {"pooled", "the backbone's pooled embedding", WISP_EMBED_POOLED, 0},
    {"class_tokens", "class tokens of the last `blocks` blocks, each through the final norm",
     WISP_EMBED_CLASS_TOKENS, 0},
    {NULL, NULL, 0, 0}};

static const wisp_option options[] = {
    {.key = "features",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(probe, features),
     .default_value = "\"pooled\"",
     .choices = features,
     .help = "what the classifier sees of an image"},
    {.key = "blocks",
     .type = WISP_OPTION_I64,
     .offset = offsetof(probe, blocks),
     .default_value = "4",
     .min = 1,
     .max = 64,
     .help = "features = \"class_tokens\": the last so many blocks"},
    {.key = "epochs",
     .type = WISP_OPTION_I64,
     .offset = offsetof(probe, epochs),
     .default_value = "100",
     .min = 1,
     .max = 100000,
     .unit = "epochs",
     .help = "length of the training"},
    {.key = "batch",
     .type = WISP_OPTION_I64,
     .offset = offsetof(probe, batch),
     .default_value = "4096",
     .min = 1,
     .max = 1 << 20,
     .unit = "images",
     .help = "images of a step; the last step of an epoch takes what is left"},
    {.key = "optimizer",
     .type = WISP_OPTION_ENUM,
     .offset = offsetof(probe, optimizer),
     .default_value = "\"lars\"",
     .choices = optimizers,
     .help = "how the classifier is trained"},
    {.key = "lr_per_256",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = offsetof(probe, lr_per_256),
     .default_value = "0.05",
     .min = 0,
     .max = 1e6,
     .help = "first learning rate for a batch of 256, scaled linearly with `batch`"},
    {.key = "lr_end",
     .type = WISP_OPTION_F64,
     .offset = offsetof(probe, lr_end),
     .default_value = "1e-6",
     .min = 0,
     .max = 1e6,
     .help = "where the half cosine ends, not scaled; the rate changes once an epoch"},
    {.key = "momentum",
     .type = WISP_OPTION_F64,
     .flags = WISP_OPTION_OPEN_MAX,
     .offset = offsetof(probe, momentum),
     .default_value = "0.9",
     .min = 0,
     .max = 1,
     .help = "share of the last step that stays in the next"},
    {.key = "nesterov",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(probe, nesterov),
     .default_value = "false",
     .help = "Nesterov's momentum; sgd only"},
    {.key = "weight_decay",
     .type = WISP_OPTION_F64,
     .offset = offsetof(probe, weight_decay),
     .default_value = "0.0",
     .min = 0,
     .max = 1e3,
     .help = "of the weights; biases have none"},
    {.key = "augment",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(probe, augment),
     .default_value = "true",
     .help = "true: new random crops and flips of the training images each epoch, embedded anew; "
             "false: their evaluation views, embedded once"},
    {.key = "crop_scale",
     .type = WISP_OPTION_F64_LIST,
     .flags = WISP_OPTION_OPEN_MIN,
     .offset = offsetof(probe, crop_scale),
     .default_value = "[0.08, 1.0]",
     .min = 0,
     .max = 1,
     .min_count = 2,
     .max_count = 2,
     .help = "lowest and highest share of the image's area that a random crop takes"},
    {.key = "standardize",
     .type = WISP_OPTION_BOOL,
     .offset = offsetof(probe, standardize),
     .default_value = "false",
     .help = "each value of the embedding gets mean 0 and variance 1 over the training split; not "
             "part of the published protocol"},
};

static double first_rate(const probe *p)
{
    return p->lr_per_256 * (double)p->batch / 256;
}

static wisp_status check(const void *config, wisp_error *err)
{
    const probe *p = config;
    const double *scale = p->crop_scale.items;
    if (scale[0] > scale[1])
        return wisp_fail(err, WISP_E_CONFIG,
                         "crop_scale = [%g, %g]: the first value must not be above the second",
                         scale[0], scale[1]);
    if (p->nesterov && (p->optimizer != REGRESSION_SGD || p->momentum <= 0))
        return wisp_fail(err, WISP_E_CONFIG,
                         "nesterov = true needs optimizer = \"sgd\" and a momentum above 0");
    if (p->lr_end > first_rate(p))
        return wisp_fail(err, WISP_E_CONFIG,
                         "lr_end = %g is above the first learning rate, lr_per_256 * batch / 256 = "
                         "%g: lower it",
                         p->lr_end, first_rate(p));
    return WISP_OK;
}

/* --- state of one evaluation --- */

typedef struct accuracy {
    int64_t epoch; /* counted from 1 */
    double top1, top5;
} accuracy;

typedef struct training {
    const probe *config;
    wisp_task_context *context;
    wisp_embeddings train, test;
    regression classifier;
    int64_t *order;
    int32_t *winners;      /* (test.count): classes of the highest scores, of the last epoch */
    double *shift, *scale; /* (dim) each; NULL: embeddings are taken as they are */
    accuracy last, best;
} training;

enum { DRAW_WEIGHTS = 1, DRAW_ORDER = 2 };

static wisp_rng_key draw_key(const training *t, uint64_t what, int64_t epoch)
{
    return wisp_rng_derive(wisp_rng_stream(t->context->seed, WISP_STREAM_TASK), what,
                           (uint64_t)epoch);
}

static wisp_status check_split(const wisp_embeddings *e, const char *name, wisp_error *err)
{
    if (e->count < 1 || e->count > INT32_MAX || e->dim < 1)
        return wisp_fail(err, WISP_E_DATA,
                         "linear probe: the %s split has %lld images of %lld values", name,
                         (long long)e->count, (long long)e->dim);
    if (!e->labels || e->n_classes < 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "a linear probe needs labels, the %s split has none: give a data set "
                         "with classes",
                         name);
    for (int64_t i = 0; i < e->count; i++)
        if (e->labels[i] < 0 || e->labels[i] >= e->n_classes)
            return wisp_fail(err, WISP_E_DATA,
                             "linear probe: image %lld of the %s split has the label %d, but there "
                             "are %d classes",
                             (long long)i, name, e->labels[i], e->n_classes);
    return WISP_OK;
}

static wisp_status check_splits(const training *t, wisp_error *err)
{
    WISP_TRY(check_split(&t->train, "training", err));
    WISP_TRY(check_split(&t->test, "test", err));
    if (t->train.dim != t->test.dim || t->train.n_classes != t->test.n_classes)
        return wisp_fail(err, WISP_E_DATA,
                         "linear probe: the training split has %lld values and %d classes, the "
                         "test split %lld and %d",
                         (long long)t->train.dim, t->train.n_classes, (long long)t->test.dim,
                         t->test.n_classes);
    return WISP_OK;
}

static void ask_for(const probe *p, wisp_embed_request *request)
{
    request->source = p->features;
    request->n_blocks = (int32_t)p->blocks;
}

static void reads(void *self, wisp_embed_request *request)
{
    ask_for(self, request);
}

static wisp_embed_request request_of(const training *t, int32_t split)
{
    wisp_embed_request request = {.struct_size = sizeof request, .split = split};
    ask_for(t->config, &request);
    return request;
}

/* Every epoch's embeddings are looked at anew: they come from a data set that is a plugin too. */
static wisp_status embed_train(training *t, int64_t epoch, wisp_error *err)
{
    wisp_task_context *c = t->context;
    const int64_t expected = t->train.count;
    wisp_embed_request request = request_of(t, WISP_SPLIT_TRAIN);
    if (t->config->augment) {
        request.crops = 1;
        request.epoch = epoch;
        memcpy(request.scale, t->config->crop_scale.items, sizeof request.scale);
    }
    if (epoch == 0 || t->config->augment)
        WISP_TRY(c->embed(c, &request, &t->train, err));
    if (epoch > 0 && t->train.count != expected)
        return wisp_fail(err, WISP_E_DATA, "the training split had %lld images, now it has %lld",
                         (long long)expected, (long long)t->train.count);
    return check_splits(t, err);
}

static wisp_status allocate(training *t, wisp_error *err)
{
    const wisp_host *h = t->context->host;
    const probe *p = t->config;
    const regression_rule rule = {p->optimizer, p->nesterov, p->momentum, p->weight_decay};
    const int64_t rows = p->batch < t->train.count ? p->batch : t->train.count;
    WISP_TRY(regression_init(&t->classifier, h, &rule, t->train.dim, t->train.n_classes,
                             rows > 256 ? rows : 256, err));
    t->order = h->alloc(h, (size_t)t->train.count * sizeof *t->order);
    t->winners = h->alloc(h, (size_t)t->test.count * sizeof *t->winners);
    if (p->standardize) {
        t->shift = h->alloc(h, (size_t)t->train.dim * sizeof *t->shift);
        t->scale = h->alloc(h, (size_t)t->train.dim * sizeof *t->scale);
    }
    if (!t->order || !t->winners || (p->standardize && (!t->shift || !t->scale)))
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a linear probe of %lld images",
                         (long long)t->train.count);
    return WISP_OK;
}

static void release(training *t)
{
    const wisp_host *h = t->context->host;
    t->classifier.host = h;
    regression_free(&t->classifier);
    h->free(h, t->order);
    h->free(h, t->winners);
    h->free(h, t->shift);
    h->free(h, t->scale);
}

/* Mean and variance of the first epoch's embeddings, which all later ones are measured by. */
static void measure_spread(training *t)
{
    const wisp_embeddings *e = &t->train;
    const double n = (double)e->count;
    for (int64_t i = 0; i < e->count; i++)
        for (int64_t j = 0; j < e->dim; j++)
            t->shift[j] += (double)e->values[i * e->dim + j] / n;
    for (int64_t i = 0; i < e->count; i++)
        for (int64_t j = 0; j < e->dim; j++) {
            const double away = (double)e->values[i * e->dim + j] - t->shift[j];
            t->scale[j] += away * away / n;
        }
    for (int64_t j = 0; j < e->dim; j++)
        t->scale[j] = 1 / sqrt(t->scale[j] + 1e-12);
}

/* --- rows --- */

typedef struct loading {
    training *training;
    const wisp_embeddings *from;
    const int64_t *order; /* of the rows; NULL: as they stand, from `first` on */
    int64_t first;
} loading;

static void load_rows(void *user, int64_t first, int64_t last)
{
    const loading *l = user;
    const training *t = l->training;
    const int64_t dim = l->from->dim;
    for (int64_t i = first; i < last; i++) {
        const int64_t source = l->order ? l->order[l->first + i] : l->first + i;
        const float *from = l->from->values + source * dim;
        float *to = t->classifier.x + i * t->classifier.stride;
        t->classifier.labels[i] = l->from->labels[source];
        if (!t->shift) {
            memcpy(to, from, (size_t)dim * sizeof *to);
            continue;
        }
        for (int64_t j = 0; j < dim; j++)
            to[j] = (float)(((double)from[j] - t->shift[j]) * t->scale[j]);
    }
}

/* Up to `most` rows from `first` on; gives their number. */
static int64_t load(training *t, const wisp_embeddings *from, const int64_t *order, int64_t first,
                    int64_t most)
{
    const wisp_host *h = t->context->host;
    const int64_t rows = from->count - first < most ? from->count - first : most;
    loading l = {t, from, order, first};
    h->parallel_for(h, rows, 1 + (1 << 17) / from->dim, load_rows, &l);
    return rows;
}

/* --- training --- */

static void shuffle(training *t, int64_t epoch)
{
    wisp_rng rng = wisp_rng_begin(draw_key(t, DRAW_ORDER, epoch));
    for (int64_t i = 0; i < t->train.count; i++)
        t->order[i] = i;
    for (int64_t i = t->train.count - 1; i > 0; i--) {
        const int64_t j = wisp_rng_below(&rng, (uint32_t)(i + 1)), other = t->order[j];
        t->order[j] = t->order[i];
        t->order[i] = other;
    }
}

static double rate_of(const probe *p, int64_t epoch)
{
    const double pi = 3.14159265358979323846, first = first_rate(p);
    return p->lr_end +
           0.5 * (first - p->lr_end) * (1 + cos(pi * (double)epoch / (double)p->epochs));
}

static wisp_status train_epoch(training *t, int64_t epoch, double *mean_loss, wisp_error *err)
{
    const double lr = rate_of(t->config, epoch);
    double loss = 0;
    shuffle(t, epoch);
    for (int64_t first = 0; first < t->train.count; first += t->config->batch) {
        const int64_t rows = load(t, &t->train, t->order, first, t->config->batch);
        loss += (double)rows * regression_step(&t->classifier, rows, lr);
    }
    *mean_loss = loss / (double)t->train.count;
    if (!isfinite(*mean_loss))
        return wisp_fail(err, WISP_E_NONFINITE,
                         "linear probe: the loss of epoch %lld is not finite: lower lr_per_256, or "
                         "see whether the network itself has diverged",
                         (long long)epoch + 1);
    return WISP_OK;
}

/* --- judgement --- */

/* Classes that are not below the right one; what cannot be compared counts against it. */
static int32_t rank_of(const float *scores, int32_t n_classes, int32_t label)
{
    int32_t ahead = 0;
    for (int32_t c = 0; c < n_classes; c++)
        ahead += c != label && !(scores[c] < scores[label]);
    return ahead;
}

static int32_t winner_of(const float *scores, int32_t n_classes)
{
    int32_t best = 0;
    for (int32_t c = 1; c < n_classes; c++)
        best = scores[c] > scores[best] ? c : best;
    return best;
}

static accuracy judge(training *t, int64_t epoch)
{
    regression *r = &t->classifier;
    int64_t hits1 = 0, hits5 = 0;
    for (int64_t first = 0; first < t->test.count; first += r->capacity) {
        const int64_t rows = load(t, &t->test, NULL, first, r->capacity);
        regression_score(r, rows);
        for (int64_t i = 0; i < rows; i++) {
            const float *scores = r->scores + i * r->class_stride;
            const int32_t rank = rank_of(scores, r->n_classes, r->labels[i]);
            t->winners[first + i] = winner_of(scores, r->n_classes);
            hits1 += rank < 1;
            hits5 += rank < 5;
        }
    }
    const double share = 100.0 / (double)t->test.count;
    return (accuracy){epoch + 1, share * (double)hits1, share * (double)hits5};
}

static void log_epoch(const training *t, double loss)
{
    const wisp_host *h = t->context->host;
    char line[160];
    snprintf(line, sizeof line, "linear probe: epoch %lld of %lld: loss %.7g, top-1 %.2f %%",
             (long long)t->last.epoch, (long long)t->config->epochs, loss, t->last.top1);
    h->log(h, WISP_LOG_DEBUG, line);
}

/* The published batch on a small data set learns next to nothing, and looks like a bad network. */
static void warn_of_few_steps(const training *t)
{
    const wisp_host *h = t->context->host;
    char line[200];
    if (t->config->batch <= t->train.count)
        return;
    snprintf(line, sizeof line,
             "linear probe: batch = %lld, but there are %lld images: an epoch is a single step; "
             "take a smaller batch",
             (long long)t->config->batch, (long long)t->train.count);
    h->log(h, WISP_LOG_WARNING, line);
}

static wisp_status run_epochs(training *t, wisp_error *err)
{
    for (int64_t epoch = 0; epoch < t->config->epochs; epoch++) {
        double loss;
        if (t->context->stopping(t->context))
            return wisp_fail(err, WISP_E_STOPPED,
                             "stopped after %lld of %lld epochs of the linear probe",
                             (long long)epoch, (long long)t->config->epochs);
        if (epoch > 0)
            WISP_TRY(embed_train(t, epoch, err));
        WISP_TRY(train_epoch(t, epoch, &loss, err));
        t->last = judge(t, epoch);
        if (epoch == 0 || t->last.top1 > t->best.top1)
            t->best = t->last;
        log_epoch(t, loss);
    }
    return WISP_OK;
}

/* --- result --- */

static wisp_status report_one(const training *t, const char *metric, double value, int64_t epoch,
                              wisp_error *err)
{
    const probe *p = t->config;
    const double *scale = p->crop_scale.items;
    char crop[64] = "null", protocol[500];
    if (p->augment)
        snprintf(crop, sizeof crop, "[%.6g, %.6g]", scale[0], scale[1]);
    snprintf(protocol, sizeof protocol,
             "{\"features\": \"%s\", \"blocks\": %lld, \"optimizer\": \"%s\", \"epochs\": %lld, "
             "\"batch\": %lld, \"lr\": %.6g, \"lr_end\": "
             "%.6g, \"momentum\": %.6g, \"nesterov\": %s, \"weight_decay\": %.6g, \"random_crop\": "
             "%s, \"standardize\": %s, \"train\": %lld, \"test\": %lld, \"epoch\": %lld}",
             features[p->features].name,
             p->features == WISP_EMBED_CLASS_TOKENS ? (long long)p->blocks : 0LL,
             optimizers[p->optimizer].name, (long long)p->epochs, (long long)p->batch,
             first_rate(p), p->lr_end, p->momentum, p->nesterov ? "true" : "false", p->weight_decay,
             crop, p->standardize ? "true" : "false", (long long)t->train.count,
             (long long)t->test.count, (long long)epoch);
    return t->context->report(t->context, metric, value, protocol, err);
}

/* The best epoch is chosen on the test split, as published numbers are: it flatters. */
static wisp_status report_all(const training *t, wisp_error *err)
{
    WISP_TRY(report_one(t, "linear top-1", t->last.top1, t->last.epoch, err));
    WISP_TRY(wisp_report_predictions(t->context, "linear top-1", t->test.labels, t->winners,
                                     t->test.count, t->test.n_classes, err));
    WISP_TRY(report_one(t, "linear top-1 best epoch", t->best.top1, t->best.epoch, err));
    if (t->test.n_classes <= 5)
        return WISP_OK;
    WISP_TRY(report_one(t, "linear top-5", t->last.top5, t->last.epoch, err));
    return report_one(t, "linear top-5 best epoch", t->best.top5, t->best.epoch, err);
}

static wisp_status train_and_judge(training *t, wisp_error *err)
{
    const wisp_embed_request request = request_of(t, WISP_SPLIT_TEST);
    WISP_TRY(t->context->embed(t->context, &request, &t->test, err));
    WISP_TRY(embed_train(t, 0, err));
    WISP_TRY(allocate(t, err));
    if (t->config->standardize)
        measure_spread(t);
    regression_draw_weights(&t->classifier, draw_key(t, DRAW_WEIGHTS, 0), 0.01);
    warn_of_few_steps(t);
    WISP_TRY(run_epochs(t, err));
    return report_all(t, err);
}

static wisp_status evaluate(void *self, wisp_task_context *context, wisp_error *err)
{
    training t = {.config = self, .context = context};
    wisp_status status = train_and_judge(&t, err);
    release(&t);
    return status;
}

static uint32_t needs(void *self)
{
    (void)self;
    return WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST;
}

static const wisp_task_v0 vtable = {
    .struct_size = sizeof vtable, .needs = needs, .evaluate = evaluate, .reads = reads};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_TASK,
    .name = "linear_probe",
    .version = "0.1.0",
    .summary = "a linear classifier trained on the frozen network: top-1 and top-5",
    .doc = "The network is frozen in eval mode; one linear layer with bias, started at N(0, 0.01) "
           "and 0, learns the labels from its embeddings with a half cosine of the learning rate "
           "and no warm-up. Reported are the last epoch and the best one, which is chosen on the "
           "test split. The defaults are SSLight's for convolutional networks; augment = false "
           "embeds once and takes seconds.",
    .license = "Apache-2.0",
    .reference = "SSLight, ICLR 2023 (linear evaluation); You et al., Large batch training of "
                 "convolutional networks, 2017 (LARS)",
    .options = options,
    .n_options = WISP_COUNT(options),
    .config_size = sizeof(probe),
    .flags = WISP_FLAG_DETERMINISTIC,
    .check = check,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
