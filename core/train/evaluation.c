#include "train/evaluation.h"

#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "loader/host_table.h"
#include "train/task_check.h"

/* The context that tasks see, and what stands behind it. */
typedef struct context {
    wisp_task_context plugin; /* first: the handle converts */
    wispi_embedder *embedder;
    wispi_session *session;
    const wispi_evaluation_request *request;
    int32_t task; /* index of the one that is being evaluated */
    wispi_results *results;
    wispi_embedding splits[2], augmented;
} context;

static context *context_of(wisp_task_context *plugin)
{
    return (context *)(void *)plugin;
}

static const wispi_instance *split_of(const context *c, int32_t split)
{
    const wispi_experiment *x = c->session->experiment;
    return split == WISP_SPLIT_TRAIN ? &x->data : &x->test;
}

static wisp_status embed_feed(context *c, const wispi_instance *data, wispi_feed *feed,
                              wispi_embedding *out, wisp_error *err)
{
    const wisp_dataset_v0 *vtable = wispi_dataset_of(data);
    return wispi_embed(c->embedder, feed, vtable->count(data->self), vtable->n_classes(data->self),
                       c->request->source == WISPI_EVALUATE_RAW, c->request->stop, out, err);
}

static wisp_status embed(wisp_task_context *plugin, int32_t split, wisp_embeddings *out,
                         wisp_error *err)
{
    context *c = context_of(plugin);
    if (split != WISP_SPLIT_TRAIN && split != WISP_SPLIT_TEST)
        return wisp_fail(err, WISP_E_INVALID, "there is no split %d", split);
    const wispi_instance *data = split_of(c, split);
    if (!data->plugin)
        return wisp_fail(err, WISP_E_CONFIG, "the experiment has no table [test]");
    if (!c->splits[split].values) {
        wispi_feed *feed = NULL;
        WISP_TRY(wispi_session_feed(c->session, data, WISPI_FEED_IN_ORDER,
                                    c->session->experiment->input.eval_batch, &feed, err));
        wisp_status status = embed_feed(c, data, feed, &c->splits[split], err);
        wispi_feed_destroy(feed);
        WISP_TRY(status);
    }
    *out = c->splits[split].plugin;
    return WISP_OK;
}

static wisp_status embed_augmented(wisp_task_context *plugin, int64_t epoch, const double scale[2],
                                   wisp_embeddings *out, wisp_error *err)
{
    context *c = context_of(plugin);
    const wispi_instance *data = split_of(c, WISP_SPLIT_TRAIN);
    wispi_feed *feed = NULL;
    wispi_embedding_free(&c->augmented);
    WISP_TRY(wispi_session_crop_feed(c->session, data, scale, &feed, err));
    wisp_status status = wispi_feed_seek(feed, epoch, 0, err);
    if (status == WISP_OK)
        status = embed_feed(c, data, feed, &c->augmented, err);
    wispi_feed_destroy(feed);
    WISP_TRY(status);
    *out = c->augmented.plugin;
    return WISP_OK;
}

static wisp_status add_result(context *c, const char *metric, double value, const char *protocol,
                              wisp_error *err)
{
    if (c->results->n == WISPI_MAX_RESULTS)
        return wisp_fail(err, WISP_E_INVALID, "more than %d results in one evaluation",
                         WISPI_MAX_RESULTS);
    wispi_result *r = &c->results->list[c->results->n];
    if (protocol && strlen(protocol) >= sizeof r->protocol)
        return wisp_fail(err, WISP_E_INVALID, "the protocol of %s is longer than %zu bytes", metric,
                         sizeof r->protocol - 1);
    snprintf(r->metric, sizeof r->metric, "%s", metric);
    snprintf(r->protocol, sizeof r->protocol, "%s", protocol ? protocol : "{}");
    r->value = value;
    c->results->n++;
    return WISP_OK;
}

static wisp_status report(wisp_task_context *plugin, const char *metric, double value,
                          const char *protocol, wisp_error *err)
{
    context *c = context_of(plugin);
    char table[WISPI_TASK_NAME], name[WISPI_TASK_NAME + WISPI_METRIC_NAME];
    if (!metric || strlen(metric) >= WISPI_METRIC_NAME || strpbrk(metric, "\"\\\n"))
        return wisp_fail(err, WISP_E_INVALID, "a metric needs a plain name of at most %d bytes",
                         WISPI_METRIC_NAME - 1);
    if (wispi_task_name(c->request->tasks, c->task, table) == 1)
        return add_result(c, metric, value, protocol, err);
    snprintf(name, sizeof name, "%s %s", table, metric);
    return add_result(c, name, value, protocol, err);
}

static wisp_status product(wisp_task_context *plugin, const float *a, int64_t m, const float *b,
                           int64_t n, int64_t k, float *y, wisp_error *err)
{
    return wispi_product(context_of(plugin)->embedder, a, m, b, n, k, y, err);
}

static int32_t stopping(wisp_task_context *plugin)
{
    const volatile int *stop = context_of(plugin)->request->stop;
    return stop && *stop;
}

/* --- probes that learn --- */

/* Is the label among the k highest scores? Ties and NaN count against it. */
static int among_top(const float *scores, int32_t n, int32_t label, int32_t k)
{
    int32_t above = 0;
    for (int32_t i = 0; i < n; i++)
        above += i != label && !(scores[i] < scores[label]);
    return above < k;
}

static wisp_status judge_learner(context *c, const wispi_instance *probe, wisp_error *err)
{
    wisp_embeddings test;
    WISP_TRY(embed(&c->plugin, WISP_SPLIT_TEST, &test, err));
    float *scores = wispi_alloc_array((size_t)test.count, (size_t)test.n_classes * sizeof *scores);
    if (!scores)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the probe's scores");
    wisp_status status = wispi_predict(c->embedder, probe, &test, test.n_classes, scores, err);
    int64_t hits[2] = {0, 0};
    for (int64_t i = 0; status == WISP_OK && i < test.count; i++) {
        const float *row = scores + i * test.n_classes;
        hits[0] += among_top(row, test.n_classes, test.labels[i], 1);
        hits[1] += among_top(row, test.n_classes, test.labels[i], 5);
    }
    wispi_free(scores);
    WISP_TRY(status);
    char table[WISPI_TASK_NAME], name[WISPI_TASK_NAME + WISPI_METRIC_NAME];
    const char *protocol = "{\"protocol\": \"trained beside the method on detached embeddings\"}";
    wispi_task_name(c->request->tasks, c->task, table);
    snprintf(name, sizeof name, "%s probe top-1", table);
    WISP_TRY(add_result(c, name, 100.0 * (double)hits[0] / (double)test.count, protocol, err));
    if (test.n_classes <= 5)
        return WISP_OK;
    snprintf(name, sizeof name, "%s probe top-5", table);
    return add_result(c, name, 100.0 * (double)hits[1] / (double)test.count, protocol, err);
}

static wisp_status evaluate_one(context *c, wisp_error *err)
{
    const wispi_instance *task = &c->request->tasks[c->task];
    const wisp_task_v0 *vtable = task->plugin->descriptor->vtable;
    if (c->plugin.as_probe && (wispi_task_needs(task, 1) & WISP_TASK_LEARNS))
        return c->request->source == WISPI_EVALUATE_RAW ? WISP_OK : judge_learner(c, task, err);
    wisp_status status;
    WISPI_CALL(status, task->plugin, "evaluate", err,
               vtable->evaluate(task->self, &c->plugin, err));
    return status;
}

wisp_status wispi_evaluate(wispi_embedder *embedder, wispi_session *session,
                           const wispi_evaluation_request *request, wispi_results *results,
                           wisp_error *err)
{
    context *c = wispi_alloc(sizeof *c);
    if (!c)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to evaluate");
    c->plugin = (wisp_task_context){
        .struct_size = sizeof c->plugin,
        .as_probe = request->as_probe,
        .clock = session->clock,
        .seed = (uint64_t)session->experiment->run.seed,
        .host = wispi_host_table(),
        .embed = embed,
        .embed_augmented = embed_augmented,
        .report = report,
        .product = product,
        .stopping = stopping,
    };
    c->embedder = embedder;
    c->session = session;
    c->request = request;
    c->results = results;
    results->n = 0;
    wisp_status status = WISP_OK;
    for (; c->task < request->n_tasks && status == WISP_OK; c->task++)
        status = evaluate_one(c, err);
    wispi_embedding_free(&c->splits[0]);
    wispi_embedding_free(&c->splits[1]);
    wispi_embedding_free(&c->augmented);
    wispi_free(c);
    return status;
}

/* --- results --- */

wisp_status wispi_results_log(const wispi_results *results, wispi_metric_log *log, const char *kind,
                              int64_t epoch, int64_t step, wisp_error *err)
{
    for (int32_t i = 0; i < results->n; i++) {
        char key[sizeof results->list[i].metric];
        wispi_metric_key(results->list[i].metric, key, sizeof key);
        wispi_metric_value value = {key, results->list[i].value};
        WISP_TRY(wispi_metric_log_add(log, kind, epoch, step, &value, 1, results->list[i].protocol,
                                      err));
    }
    return WISP_OK;
}

const wispi_result *wispi_results_find(const wispi_results *results, const char *metric)
{
    for (int32_t i = 0; i < results->n; i++)
        if (strcmp(results->list[i].metric, metric) == 0)
            return &results->list[i];
    return NULL;
}
