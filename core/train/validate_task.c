/* validate_task.c - tasks, on small tables of embeddings that were made up: good ones, and such as
 * no network should give. A probe that learns beside a method is trained with one, too. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "loader/host_table.h"
#include "train/evaluation.h"
#include "train/validate_kinds.h"
#include "train/validate_training.h"
#include "wisp/rng.h"
#include "wisp/task.h"

enum { DIM = 8, MOST_METRICS = 64, METRIC_BYTES = 96 };

/* What the splits hold. */
typedef struct table_plan {
    int32_t n_train, n_test, n_classes;
    int32_t used_classes; /* of which there are images; 0: all */
    int32_t has_no_labels;
    int32_t is_nan; /* every value */
} table_plan;

static const table_plan usual = {.n_train = 60, .n_test = 30, .n_classes = 3};

typedef struct metric {
    char name[METRIC_BYTES];
    double value;
} metric;

typedef struct stage {
    wisp_task_context plugin; /* first: the handle converts */
    const table_plan *plan;
    float *values[2], *crops;
    int32_t *labels[2];
    metric metrics[MOST_METRICS];
    int32_t n_metrics;
    char fault[400]; /* the first of what was reported wrongly; "": none */
} stage;

static stage *stage_of(wisp_task_context *context)
{
    return (stage *)(void *)context;
}

/* --- the host's side --- */

/* Classes lie apart, and images of one lie together. Class scores have as many values as there are
 * classes. */
static void make_values(const table_plan *p, int32_t split, int64_t epoch, int64_t dim, int64_t n,
                        const int32_t *labels, float *values)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_derive(wisp_rng_stream(5, WISP_STREAM_DATA),
                                                  (uint64_t)split, (uint64_t)epoch + 1));
    for (int64_t i = 0; i < n * dim; i++) {
        const int is_own = i % dim % p->n_classes == labels[i / dim];
        const double value = (is_own ? 1.0 : 0.0) + 0.4 * wisp_rng_uniform(&rng);
        values[i] = p->is_nan ? NAN : (float)value;
    }
}

static int64_t images_of(const table_plan *p, int32_t split)
{
    return split == WISP_SPLIT_TRAIN ? p->n_train : p->n_test;
}

static wisp_status embed(wisp_task_context *context, const wisp_embed_request *r,
                         wisp_embeddings *out, wisp_error *err)
{
    stage *s = stage_of(context);
    const table_plan *p = s->plan;
    if (r->split != WISP_SPLIT_TRAIN && r->split != WISP_SPLIT_TEST)
        return wisp_fail(err, WISP_E_INVALID, "there is no split %d", r->split);
    const int64_t n = images_of(p, r->split);
    const int64_t dim = r->source == WISP_EMBED_SCORES ? p->n_classes : DIM;
    float *values = r->crops ? s->crops : s->values[r->split];
    make_values(p, r->split, r->crops ? r->epoch : -1, dim, n, s->labels[r->split], values);
    *out = (wisp_embeddings){.count = n,
                             .dim = dim,
                             .values = values,
                             .labels = p->has_no_labels ? NULL : s->labels[r->split],
                             .n_classes = p->has_no_labels ? 0 : p->n_classes};
    return WISP_OK;
}

/* Kept for the tests that judge what is reported: every test evaluates, and most look for something
 * else. */
WISP_PRINTF(2, 3) static void blame(stage *s, const char *format, ...)
{
    va_list args;
    if (s->fault[0])
        return;
    va_start(args, format);
    vsnprintf(s->fault, sizeof s->fault, format, args);
    va_end(args);
}

static void judge_name(stage *s, const char *name)
{
    for (int32_t i = 0; i < s->n_metrics; i++)
        if (strcmp(s->metrics[i].name, name) == 0)
            blame(s, "it reports \"%s\" twice", name);
}

static wisp_status report(wisp_task_context *context, const char *name, double value,
                          const char *protocol, wisp_error *err)
{
    stage *s = stage_of(context);
    if (!name || !name[0] || strlen(name) >= METRIC_BYTES) {
        blame(s, "it reports a metric without a name, or with one too long");
        return WISP_OK;
    }
    if (s->n_metrics == MOST_METRICS)
        return wisp_fail(err, WISP_E_INVALID, "more than %d metrics", MOST_METRICS);
    judge_name(s, name);
    size_t n_members = 0;
    wisp_error cause = {0};
    if (wispi_protocol_check(name, protocol, &n_members, &cause) != WISP_OK)
        blame(s, "%s", cause.message);
    metric *m = &s->metrics[s->n_metrics++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->value = value;
    return WISP_OK;
}

static wisp_status report_predictions(wisp_task_context *context, const char *name,
                                      const int32_t *labels, const int32_t *predicted,
                                      int64_t count, int32_t n_classes, wisp_error *err)
{
    stage *s = stage_of(context);
    (void)name, (void)err;
    if (count != s->plan->n_test || n_classes != s->plan->n_classes)
        blame(s, "predictions for %lld images of %d classes, and there are %d of %d",
              (long long)count, n_classes, s->plan->n_test, s->plan->n_classes);
    for (int64_t i = 0; i < count && !s->fault[0]; i++)
        if (predicted[i] < 0 || predicted[i] >= n_classes || labels[i] < 0 ||
            labels[i] >= n_classes)
            blame(s, "image %lld, of class %d, is taken for class %d of %d", (long long)i,
                  labels[i], predicted[i], n_classes);
    return WISP_OK;
}

static wisp_status product(wisp_task_context *context, const float *a, int64_t m, const float *b,
                           int64_t n, int64_t k, float *y, wisp_error *err)
{
    (void)context, (void)err;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += a[i * k + l] * b[j * k + l];
            y[i * n + j] = sum;
        }
    return WISP_OK;
}

static int32_t stopping(wisp_task_context *context)
{
    (void)context;
    return 0;
}

/* --- one evaluation --- */

static void close_stage(stage *s)
{
    for (int i = 0; i < 2; i++) {
        wispi_free(s->values[i]);
        wispi_free(s->labels[i]);
    }
    wispi_free(s->crops);
    wispi_free(s);
}

static stage *open_stage(const table_plan *p)
{
    stage *s = wispi_alloc(sizeof *s);
    const int64_t most = p->n_train > p->n_test ? p->n_train : p->n_test;
    const int64_t width = p->n_classes > DIM ? p->n_classes : DIM;
    if (!s)
        return NULL;
    s->plan = p;
    s->crops = wispi_alloc_array((size_t)(most * width), sizeof *s->crops);
    for (int i = 0; i < 2; i++) {
        s->values[i] = wispi_alloc_array((size_t)(most * width), sizeof *s->values[i]);
        s->labels[i] = wispi_alloc_array((size_t)most, sizeof *s->labels[i]);
        for (int64_t k = 0; s->labels[i] && k < most; k++)
            s->labels[i][k] = (int32_t)(k % (p->used_classes ? p->used_classes : p->n_classes));
    }
    if (!s->crops || !s->values[0] || !s->values[1] || !s->labels[0] || !s->labels[1]) {
        close_stage(s);
        return NULL;
    }
    s->plugin = (wisp_task_context){.struct_size = sizeof s->plugin,
                                    .clock = {1, 1, 1, 1, 1},
                                    .seed = 1,
                                    .host = wispi_host_table(),
                                    .embed = embed,
                                    .report = report,
                                    .product = product,
                                    .stopping = stopping,
                                    .report_predictions = report_predictions};
    return s;
}

static const wisp_task_v0 *table_of(const wispi_subject *subject)
{
    return subject->instance.plugin->descriptor->vtable;
}

static wisp_status judge_with(const wispi_subject *subject, stage *s, wisp_error *err)
{
    wisp_status status;
    WISPI_CALL(status, subject->instance.plugin, "evaluate", err,
               table_of(subject)->evaluate(subject->instance.self, &s->plugin, err));
    return status;
}

wisp_status wispi_use_task(wispi_trial *t, wispi_subject *subject, wisp_error *err)
{
    if (!table_of(subject)->evaluate)
        return wispi_use_training(t, subject, err);
    stage *s = open_stage(&usual);
    if (!s)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for embeddings");
    const wisp_status status = judge_with(subject, s, err);
    close_stage(s);
    return status;
}

/* 1: the subject and its stage are open, and it can evaluate. */
static int begin(wispi_trial *t, const table_plan *p, wispi_subject *subject, stage **s)
{
    if (!wispi_trial_load(t))
        return 0;
    wispi_trial_shrink(t);
    if (!wispi_trial_create(t, subject))
        return 0;
    if (!table_of(subject)->evaluate)
        wispi_trial_skip(t, "it has no evaluate(): it learns as a probe, and the host judges it");
    *s = wispi_trial_is_decided(t) ? NULL : open_stage(p);
    if (*s)
        return 1;
    wispi_trial_fail(t, "no memory for embeddings");
    wispi_subject_destroy(subject);
    return 0;
}

static void end(wispi_subject *subject, stage *s)
{
    close_stage(s);
    wispi_subject_destroy(subject);
}

/* --- tests --- */

/* A probe without evaluate(): it learns beside a method, and the host judges it. */
static int only_learns(wispi_trial *t)
{
    return wispi_trial_load(t) && !((const wisp_task_v0 *)t->d->vtable)->evaluate;
}

static void judge_reports(wispi_trial *t, const stage *s)
{
    if (s->fault[0])
        wispi_trial_fail(t, "%s", s->fault);
    for (int32_t i = 0; i < s->n_metrics; i++) {
        const metric *m = &s->metrics[i];
        if (!isfinite(m->value))
            wispi_trial_fail(t, "%s is %g", m->name, m->value);
        else if (strstr(m->name, "top-") && (m->value < 0 || m->value > 100))
            wispi_trial_fail(t, "%s is %g per cent", m->name, m->value);
    }
}

void wispi_validate_task_shapes(wispi_trial *t)
{
    const uint32_t known = WISP_TASK_NEEDS_LABELS | WISP_TASK_NEEDS_TEST | WISP_TASK_LEARNS;
    wispi_subject subject;
    stage *s = NULL;
    wisp_error err = {0};
    uint32_t needs = 0;
    if (only_learns(t)) {
        wispi_validate_finite_output(t);
        return;
    }
    if (!begin(t, &usual, &subject, &s))
        return;
    WISPI_VISIT(t->plugin, "needs", needs = table_of(&subject)->needs(subject.instance.self));
    if (needs & ~known)
        wispi_trial_fail(t, "needs() = %#x has bits that nobody knows", needs);
    else if (judge_with(&subject, s, &err) != WISP_OK)
        wispi_trial_fail(t, "%d embeddings of %d classes: %s", usual.n_train, usual.n_classes,
                         err.message);
    judge_reports(t, s);
    if (s->n_metrics == 0)
        wispi_trial_fail(t, "evaluate() reports nothing");
    if (s->n_metrics > 0)
        wispi_trial_note(t, "%s: %.4g", s->metrics[0].name, s->metrics[0].value);
    end(&subject, s);
}

static void compare(wispi_trial *t, const stage *former, const stage *now)
{
    if (former->n_metrics != now->n_metrics)
        wispi_trial_fail(t, "%d metrics, and %d the second time", former->n_metrics,
                         now->n_metrics);
    for (int32_t i = 0; i < now->n_metrics && !wispi_trial_is_decided(t); i++)
        if (strcmp(former->metrics[i].name, now->metrics[i].name) != 0 ||
            memcmp(&former->metrics[i].value, &now->metrics[i].value, sizeof(double)) != 0)
            wispi_trial_fail(t, "%s is %.9g, and %s is %.9g the second time",
                             former->metrics[i].name, former->metrics[i].value,
                             now->metrics[i].name, now->metrics[i].value);
}

void wispi_validate_task_seed(wispi_trial *t)
{
    wispi_subject first, second;
    stage *a = NULL, *b = NULL;
    wisp_error err = {0};
    if (only_learns(t)) {
        wispi_validate_training_seed(t);
        return;
    }
    if (!begin(t, &usual, &first, &a))
        return;
    if (begin(t, &usual, &second, &b)) {
        if (judge_with(&first, a, &err) != WISP_OK || judge_with(&second, b, &err) != WISP_OK)
            wispi_trial_fail(t, "%s", err.message);
        else
            compare(t, a, b);
        end(&second, b);
    }
    end(&first, a);
}

/* Finite metrics, or a refusal in words. */
static void try_odd(wispi_trial *t, const table_plan *p, const char *words)
{
    wispi_subject subject;
    stage *s = NULL;
    wisp_error err = {0};
    if (!begin(t, p, &subject, &s))
        return;
    const wisp_status status = judge_with(&subject, s, &err);
    if (status == WISP_OK)
        judge_reports(t, s);
    else if (!wispi_has_words(&err))
        wispi_trial_fail(t, "%s: %s, without a message", words, wisp_status_name(status));
    else
        wispi_trial_note(t, "refused: %s", err.message);
    end(&subject, s);
}

void wispi_validate_task_labels(wispi_trial *t)
{
    const table_plan p = {.n_train = 60, .n_test = 30, .n_classes = 3, .has_no_labels = 1};
    try_odd(t, &p, "images without labels");
}

void wispi_validate_task_few(wispi_trial *t)
{
    const table_plan few = {.n_train = 2, .n_test = 1, .n_classes = 3};
    const table_plan alike = {.n_train = 20, .n_test = 10, .n_classes = 3, .used_classes = 1};
    const table_plan single = {.n_train = 20, .n_test = 10, .n_classes = 1};
    try_odd(t, &few, "two images");
    if (!wispi_trial_is_decided(t))
        try_odd(t, &alike, "images of one of three classes");
    if (!wispi_trial_is_decided(t))
        try_odd(t, &single, "a single class");
}

void wispi_validate_task_nan(wispi_trial *t)
{
    const table_plan p = {.n_train = 60, .n_test = 30, .n_classes = 3, .is_nan = 1};
    if (only_learns(t))
        wispi_validate_nan_input(t);
    else
        try_odd(t, &p, "embeddings of NaN");
}
