#include "train/evaluation.h"

#include <string.h>

#include "base/memory.h"
#include "loader/containment.h"
#include "loader/host_table.h"
#include "train/confusion.h"
#include "train/task_check.h"

/* Embeddings of evaluation views are kept for the tasks that follow, while there is room. */
enum { MAX_KEPT = 6 };

typedef struct kept {
    wisp_embed_request request;
    int32_t task; /* the last that asked for them */
    wispi_embedding embedding;
} kept;

/* The context that tasks see, and what stands behind it. */
typedef struct context {
    wisp_task_context plugin; /* first: the handle converts */
    wispi_embedder *embedder;
    wispi_session *session;
    const wispi_evaluation_request *request;
    int32_t task; /* index of the one that is being evaluated */
    wispi_results *results;
    kept kept[MAX_KEPT];
    wispi_embedding augmented;
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

/* --- embeddings --- */

/* What the task, as it was built, does not have reads as zero (ABI-4). */
static wisp_status read_request(const wisp_embed_request *given, wisp_embed_request *r,
                                wisp_error *err)
{
    if (!WISP_HAS(given, wisp_embed_request, source))
        return wisp_fail(err, WISP_E_ABI,
                         "embed: struct_size of the request is %u: set it to "
                         "sizeof(wisp_embed_request)",
                         (unsigned)given->struct_size);
    wispi_read_sized(r, sizeof *r, given);
    return WISP_OK;
}

static wisp_status check_request(const context *c, const wisp_embed_request *r, wisp_error *err)
{
    if (r->split != WISP_SPLIT_TRAIN && r->split != WISP_SPLIT_TEST)
        return wisp_fail(err, WISP_E_INVALID, "there is no split %d", r->split);
    if (!split_of(c, r->split)->plugin)
        return wisp_fail(err, WISP_E_CONFIG, "the experiment has no table [test]");
    return wispi_embedding_check(c->session->experiment,
                                 wispi_module_backbone_info(c->session->evaluated), r, err);
}

/* Random crops of the epoch that is asked for, or each image as it is judged. */
static wisp_status open_feed(const context *c, const wisp_embed_request *r, wispi_feed **feed,
                             wisp_error *err)
{
    const wispi_instance *data = split_of(c, r->split);
    if (!r->crops)
        return wispi_session_feed(c->session, data, WISPI_FEED_IN_ORDER,
                                  c->session->experiment->input.eval_batch, feed, err);
    WISP_TRY(wispi_session_crop_feed(c->session, data, r->scale, feed, err));
    const wisp_status status = wispi_feed_seek(*feed, r->epoch, 0, err);
    if (status != WISP_OK)
        wispi_feed_destroy(*feed);
    return status;
}

static wisp_status compute_embedding(context *c, const wisp_embed_request *r, wispi_embedding *out,
                                     wisp_error *err)
{
    const wispi_instance *data = split_of(c, r->split);
    const wisp_dataset_v0 *vtable = wispi_dataset_of(data);
    const wispi_embed_job job = {.count = vtable->count(data->self),
                                 .n_classes = vtable->n_classes(data->self),
                                 .raw = c->request->source == WISPI_EVALUATE_RAW,
                                 .source = r->source,
                                 .n_blocks = r->n_blocks,
                                 .stop = c->request->stop};
    wispi_feed *feed = NULL;
    WISP_TRY(open_feed(c, r, &feed, err));
    const wisp_status status = wispi_embed(c->embedder, feed, &job, out, err);
    wispi_feed_destroy(feed);
    return status;
}

static int same_embedding(const wisp_embed_request *a, const wisp_embed_request *b)
{
    return a->split == b->split && a->source == b->source &&
           (a->source != WISP_EMBED_CLASS_TOKENS || a->n_blocks == b->n_blocks);
}

/* What is there already; else an empty place, which a former task's embeddings may have to leave.
 * NULL when the present task holds all places. */
static kept *place_for(context *c, const wisp_embed_request *r)
{
    kept *free = NULL;
    for (int32_t i = 0; i < MAX_KEPT; i++)
        if (c->kept[i].embedding.values && same_embedding(&c->kept[i].request, r))
            return &c->kept[i];
    for (int32_t i = 0; i < MAX_KEPT; i++)
        if (!c->kept[i].embedding.values || (!free && c->kept[i].task != c->task))
            free = &c->kept[i];
    if (free)
        wispi_embedding_free(&free->embedding);
    return free;
}

static wisp_status embed(wisp_task_context *plugin, const wisp_embed_request *given,
                         wisp_embeddings *out, wisp_error *err)
{
    context *c = context_of(plugin);
    wisp_embed_request request;
    const wisp_embed_request *r = &request;
    WISP_TRY(read_request(given, &request, err));
    WISP_TRY(check_request(c, r, err));
    if (r->crops) {
        wispi_embedding_free(&c->augmented);
        WISP_TRY(compute_embedding(c, r, &c->augmented, err));
        *out = c->augmented.plugin;
        return WISP_OK;
    }
    kept *k = place_for(c, r);
    if (!k)
        return wisp_fail(err, WISP_E_UNSUPPORTED,
                         "a task asks for more than %d kinds of embeddings", MAX_KEPT);
    if (!k->embedding.values)
        WISP_TRY(compute_embedding(c, r, &k->embedding, err));
    k->request = *r;
    k->task = c->task;
    *out = k->embedding.plugin;
    return WISP_OK;
}

/* --- results --- */

/* A classifier that the method trained is judged with its training. */
static void tell_training(const context *c, char *out, size_t bytes)
{
    const wispi_experiment *x = c->session->experiment;
    const wispi_optimizer_settings *o = &x->optimizer;
    out[0] = '\0';
    if (c->session->clock.step == 0 ||
        wispi_task_reads(&c->request->tasks[c->task]).source != WISP_EMBED_SCORES)
        return;
    snprintf(
        out, bytes,
        "\"method\": \"%s\", \"optimizer\": \"%s\", \"lr\": %.6g, \"batch\": %lld, \"epochs\": "
        "%lld, \"train\": %lld, ",
        x->method.plugin->descriptor->name, wispi_optimizer_name(o->kind),
        o->lr > 0 ? o->lr : o->lr_per_256 * (double)x->run.batch / 256.0, (long long)x->run.batch,
        (long long)x->run.epochs, (long long)wispi_dataset_of(&x->data)->count(x->data.self));
}

wisp_status wispi_protocol_check(const char *metric, const char *protocol, size_t *n_members,
                                 wisp_error *err)
{
    const size_t n = protocol ? strlen(protocol) : 0;
    json_error_t where = {.text = "it is no object, or has blanks around it"};
    json_t *parsed = json_loads(protocol ? protocol : "", JSON_REJECT_DUPLICATES, &where);
    const int is_line = json_is_object(parsed) && protocol[0] == '{' && protocol[n - 1] == '}' &&
                        !strpbrk(protocol, "\n\r");
    *n_members = json_object_size(parsed);
    json_decref(parsed);
    if (is_line)
        return WISP_OK;
    return wisp_fail(
        err, WISP_E_INVALID,
        "the protocol of %s must be a JSON object on one line, such as {\"k\": 5}, not "
        "%.200s: %s",
        metric, protocol ? protocol : "NULL", where.text);
}

/* The host knows how images came in and whose embeddings they are; it ends the protocol. */
static int write_protocol(const context *c, const char *protocol, size_t n_members,
                          char out[WISPI_PROTOCOL_BYTES])
{
    const wispi_input_settings *input = &c->session->experiment->input;
    const int raw = c->request->source == WISPI_EVALUATE_RAW;
    const char *path = raw ? "none, raw pixels" : wispi_module_path(c->session->evaluated);
    char training[300];
    tell_training(c, training, sizeof training);
    const int length = snprintf(
        out, WISPI_PROTOCOL_BYTES,
        "%.*s%s%s\"eval_resize\": %lld, \"eval_size\": %lld, %s\"network\": \"%s\"}",
        (int)strlen(protocol) - 1, protocol, n_members ? ", " : "", training,
        (long long)input->eval_resize, (long long)input->eval_size,
        input->orientation == WISPI_ORIENTATION_EXIF ? "\"orientation\": \"exif\", " : "", path);
    return length > 0 && length < WISPI_PROTOCOL_BYTES;
}

static wisp_status add_result(context *c, const char *metric, double value, const char *protocol,
                              wisp_error *err)
{
    if (c->results->n == WISPI_MAX_RESULTS)
        return wisp_fail(err, WISP_E_INVALID, "more than %d results in one evaluation",
                         WISPI_MAX_RESULTS);
    size_t n_members = 0;
    WISP_TRY(wispi_protocol_check(metric, protocol, &n_members, err));
    wispi_result *r = &c->results->list[c->results->n];
    if (!write_protocol(c, protocol, n_members, r->protocol))
        return wisp_fail(err, WISP_E_INVALID, "the protocol of %s is longer than %d bytes", metric,
                         WISPI_PROTOCOL_BYTES - 200);
    snprintf(r->metric, sizeof r->metric, "%s", metric);
    r->value = value;
    c->results->n++;
    return WISP_OK;
}

/* UTF-8 without what JSON would have to escape. */
static int is_plain(const char *metric)
{
    json_t *string = json_string(metric);
    const int is_text = string != NULL;
    json_decref(string);
    for (const char *at = metric; *at; at++)
        if ((unsigned char)*at < ' ' || *at == '"' || *at == '\\')
            return 0;
    return is_text;
}

static wisp_status report(wisp_task_context *plugin, const char *metric, double value,
                          const char *protocol, wisp_error *err)
{
    context *c = context_of(plugin);
    char table[WISPI_TASK_NAME], name[WISPI_TASK_NAME + WISPI_METRIC_NAME];
    if (!metric || strlen(metric) >= WISPI_METRIC_NAME || !is_plain(metric))
        return wisp_fail(err, WISP_E_INVALID, "a metric needs a plain name of at most %d bytes",
                         WISPI_METRIC_NAME - 1);
    if (wispi_task_name(c->request->tasks, c->task, table) == 1)
        return add_result(c, metric, value, protocol, err);
    snprintf(name, sizeof name, "%s %s", table, metric);
    return add_result(c, name, value, protocol, err);
}

static wisp_status add_confusion(context *c, const char *metric, const int32_t *labels,
                                 const int32_t *predicted, int64_t count, int32_t n_classes,
                                 wisp_error *err)
{
    char table[WISPI_TASK_NAME];
    json_t *made = NULL;
    if (!c->request->confusions)
        return WISP_OK;
    wispi_task_name(c->request->tasks, c->task, table);
    WISP_TRY(wispi_confusion_count(table, metric, labels, predicted, count, n_classes, &made, err));
    if (json_array_append_new(c->request->confusions, made) == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_NOMEM, "no memory for the predictions of %s", metric);
}

static wisp_status report_predictions(wisp_task_context *plugin, const char *metric,
                                      const int32_t *labels, const int32_t *predicted,
                                      int64_t count, int32_t n_classes, wisp_error *err)
{
    if (!metric || strlen(metric) >= WISPI_METRIC_NAME || !labels || !predicted)
        return wisp_fail(err, WISP_E_INVALID,
                         "predictions need a metric's name of at most %d bytes, labels and classes",
                         WISPI_METRIC_NAME - 1);
    return add_confusion(context_of(plugin), metric, labels, predicted, count, n_classes, err);
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

static wisp_status keep_winners(context *c, const char *metric, const wisp_embeddings *test,
                                const float *scores, wisp_error *err)
{
    if (!c->request->confusions)
        return WISP_OK;
    int32_t *winners = wispi_alloc_array((size_t)test->count, sizeof *winners);
    if (!winners)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the probe's classes");
    for (int64_t i = 0; i < test->count; i++)
        for (int32_t k = 1; k < test->n_classes; k++)
            if (scores[i * test->n_classes + k] > scores[i * test->n_classes + winners[i]])
                winners[i] = k;
    const wisp_status status =
        add_confusion(c, metric, test->labels, winners, test->count, test->n_classes, err);
    wispi_free(winners);
    return status;
}

static wisp_status judge_learner(context *c, const wispi_instance *probe, wisp_error *err)
{
    const wisp_embed_request request = {.struct_size = sizeof request, .split = WISP_SPLIT_TEST};
    wisp_embeddings test;
    WISP_TRY(embed(&c->plugin, &request, &test, err));
    float *scores = wispi_alloc_array((size_t)test.count, (size_t)test.n_classes * sizeof *scores);
    if (!scores)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the probe's scores");
    wisp_status status = wispi_predict(c->embedder, probe, &test, test.n_classes, scores, err);
    if (status == WISP_OK)
        status = keep_winners(c, "probe top-1", &test, scores, err);
    int64_t hits[2] = {0, 0};
    for (int64_t i = 0; status == WISP_OK && i < test.count; i++) {
        const float *row = scores + i * test.n_classes;
        hits[0] += among_top(row, test.n_classes, test.labels[i], 1);
        hits[1] += among_top(row, test.n_classes, test.labels[i], 5);
    }
    wispi_free(scores);
    WISP_TRY(status);
    char table[WISPI_TASK_NAME], name[WISPI_TASK_NAME + WISPI_METRIC_NAME];
    char protocol[256];
    snprintf(protocol, sizeof protocol,
             "{\"protocol\": \"trained beside the method on detached embeddings of the network's "
             "first view\", \"optimizer\": \"%s\", \"test\": %lld}",
             wispi_optimizer_name(c->session->experiment->optimizer.kind), (long long)test.count);
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
    if (c->request->source == WISPI_EVALUATE_RAW &&
        wispi_task_reads(task).source == WISP_EMBED_SCORES)
        return WISP_OK; /* the classifier belongs to the network */
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
        .report = report,
        .product = product,
        .stopping = stopping,
        .report_predictions = report_predictions,
    };
    c->embedder = embedder;
    c->session = session;
    c->request = request;
    c->results = results;
    results->n = 0;
    wisp_status status = WISP_OK;
    for (; c->task < request->n_tasks && status == WISP_OK; c->task++)
        status = evaluate_one(c, err);
    for (int32_t i = 0; i < MAX_KEPT; i++)
        wispi_embedding_free(&c->kept[i].embedding);
    wispi_embedding_free(&c->augmented);
    wispi_free(c);
    return status;
}

/* --- what was found --- */

wisp_status wispi_results_log(const wispi_results *results, wispi_metric_log *log, const char *kind,
                              int64_t epoch, int64_t step, const int64_t *pixels, wisp_error *err)
{
    for (int32_t i = 0; i < results->n; i++) {
        char key[sizeof results->list[i].metric];
        wispi_metric_key(results->list[i].metric, key, sizeof key);
        const wispi_metric_value values[2] = {{"pixels", pixels ? (double)*pixels : 0},
                                              {key, results->list[i].value}};
        WISP_TRY(wispi_metric_log_add(log, kind, epoch, step, values + !pixels, 1 + !!pixels,
                                      results->list[i].protocol, err));
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
