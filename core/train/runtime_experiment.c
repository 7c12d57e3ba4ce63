/* runtime_experiment.c - check and eval of wisp/runtime.h. */
#include <jansson.h>
#include <string.h>

#include "base/memory.h"
#include "train/check_report.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/json_text.h"
#include "train/runtime_handle.h"
#include "train/start_weights.h"
#include "train/stored_run.h"
#include "train/task_check.h"

static wisp_status check(wispi_experiment *experiment, int32_t format, wispi_text *out,
                         wisp_error *err)
{
    wispi_session *session = NULL;
    WISP_TRY(wispi_session_open(experiment, &session, err));
    wisp_status status = wispi_start_weights_check(session, err);
    if (status == WISP_OK)
        status = wispi_check_report(session, format, out, err);
    wispi_session_close(session);
    return status;
}

wisp_status wisp_runtime_check(wisp_runtime *runtime, const wisp_experiment_source *source,
                               int32_t format, char **text, wisp_error *err)
{
    wispi_experiment *experiment = NULL;
    wispi_pool *pool = NULL;
    wispi_text out = {0};
    WISP_TRY(wispi_runtime_start_pool(&pool, err));
    wisp_status status = wispi_experiment_load(runtime->registry, source->path, source->overrides,
                                               source->n_overrides, &experiment, err);
    if (status == WISP_OK)
        status = check(experiment, format, &out, err);
    wispi_experiment_destroy(experiment);
    wispi_runtime_stop_pool(pool);
    if (status == WISP_OK)
        return wispi_runtime_give(&out, text, err);
    wispi_text_free(&out);
    return status;
}

/* --- stored weights --- */

/* A classifier of the method lies outside of the evaluated network, wherever the method keeps it.
 */
static const wisp_module *needed_weights(const wispi_session *session)
{
    const wispi_experiment *x = session->experiment;
    for (int32_t i = 0; i < x->n_tasks; i++)
        if (wispi_task_reads(&x->tasks[i]).source == WISP_EMBED_SCORES)
            return NULL;
    return session->evaluated;
}

static wisp_status evaluate_weights(wispi_experiment *experiment, const char *file,
                                    const volatile int *stop, wispi_results *results,
                                    wisp_error *err)
{
    wispi_session *session = NULL;
    wispi_embedder *embedder = NULL;
    WISP_TRY(wispi_session_open(experiment, &session, err));
    wisp_status status =
        wispi_checkpoint_load_weights(file, session->model, needed_weights(session), err);
    if (status == WISP_OK)
        status = wispi_embedder_create(session, &embedder, err);
    if (status == WISP_OK) {
        wispi_evaluation_request request = {
            experiment->tasks, experiment->n_tasks, 0, WISPI_EVALUATE_NETWORK, stop, NULL};
        status = wispi_evaluate(embedder, session, &request, results, err);
    }
    wispi_embedder_destroy(embedder);
    wispi_session_close(session);
    return status;
}

static wisp_status write_results(const wispi_results *results, const char *weights, int32_t format,
                                 wispi_text *out, wisp_error *err)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < results->n; i++) {
        const wispi_result *r = &results->list[i];
        if (format == WISP_FORMAT_TEXT)
            wispi_text_printf(out, "%s: %.2f %%  %s\n", r->metric, r->value, r->protocol);
        list = wispi_json_push(list, json_pack("{s:o, s:f, s:o}", "metric",
                                               wispi_json_string(r->metric), "value", r->value,
                                               "protocol", json_loads(r->protocol, 0, NULL)));
    }
    json_t *report =
        json_pack("{s:o, s:o}", "weights", wispi_json_string(weights), "results", list);
    wisp_status status = WISP_OK;
    if (!report)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    else if (format == WISP_FORMAT_JSON)
        status = wispi_json_append(report, out, err);
    json_decref(report);
    return status;
}

wisp_status wisp_runtime_eval(wisp_runtime *runtime, const char *weights,
                              const wisp_experiment_source *task, int32_t format, char **text,
                              wisp_error *err)
{
    wispi_stored_run run;
    wispi_experiment *experiment = NULL;
    wispi_pool *pool = NULL;
    wispi_text out = {0};
    runtime->stop = 0;
    WISP_TRY(wispi_stored_run_find(weights, &run, err));
    wispi_results *results = wispi_alloc(sizeof *results);
    wisp_status status = results ? wispi_runtime_start_pool(&pool, err)
                                 : wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    if (status == WISP_OK)
        status =
            wispi_experiment_load_for_eval(runtime->registry, run.config, task->path,
                                           task->overrides, task->n_overrides, &experiment, err);
    if (status == WISP_OK)
        status = evaluate_weights(experiment, run.weights, &runtime->stop, results, err);
    if (status == WISP_OK)
        status = write_results(results, run.weights, format, &out, err);
    wispi_experiment_destroy(experiment);
    wispi_runtime_stop_pool(pool);
    wispi_free(results);
    if (status == WISP_OK)
        return wispi_runtime_give(&out, text, err);
    wispi_text_free(&out);
    return status;
}
