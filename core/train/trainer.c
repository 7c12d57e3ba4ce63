#include "train/trainer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "train/checkpoint.h"
#include "train/confusion.h"
#include "train/embedding_statistics.h"
#include "train/evaluation.h"
#include "train/json_text.h"
#include "train/manifest.h"
#include "train/plugin_lock.h"
#include "train/metric_log.h"
#include "train/progress.h"
#include "train/rank_group.h"
#include "train/run_folder.h"
#include "train/scoreboard.h"
#include "train/sentinel.h"
#include "nn/schedule.h"
#include "tensor/transfer.h"
#include "train/session.h"

/* Of a line: what a step reports, the loss, pixels, and two of the embedding. */
enum { MOST_VALUES = WISPI_MAX_METRICS + 4 };

typedef struct trainer {
    wispi_rank_group group;
    wispi_experiment *experiment;
    const wispi_train_options *options;
    wispi_session *session;
    wispi_embedder *embedder;
    wispi_feed *feed;
    wispi_run_folder folder;
    wispi_metric_log *log;
    wispi_scoreboard *board;
    wispi_results *results; /* of the latest evaluation */
    wispi_progress progress;
    wispi_checkpoint_facts facts;
    wispi_sentinel sentinel;
    int64_t sick_step;         /* whose loss is not finite; -1: none */
    double started;            /* clock at which facts.seconds was 0 */
    double last_checkpoint;    /* clock */
    int32_t begin_only;        /* leaves a checkpoint before the first step, and no more */
    int64_t last_step;         /* where training ends: all epochs, or run.steps */
    int32_t is_resuming;       /* the folder holds a checkpoint */
    int32_t is_stopping;       /* all ranks know that one of them was asked to stop */
    int32_t is_writing;        /* all ranks know that the first one wants to write a checkpoint */
    wispi_step_report *unread; /* of the latest step; NULL: it has been read */
    double unread_wait;        /* how long that step waited for its batch */
    wispi_feed_batch *held;    /* may be on its way to the device */
    uint64_t held_ticket;
} trainer;

static int is_first(const trainer *t)
{
    return wispi_rank_group_is_first(&t->group);
}

/* What the first rank does alone, while the others wait to hear how it went. */
static wisp_status by_first(trainer *t, wisp_status (*work)(trainer *, wisp_error *),
                            wisp_error *err)
{
    const wisp_status status = is_first(t) ? work(t, err) : WISP_OK;
    return wispi_rank_group_follow(&t->group, status, err);
}

static int stop_requested(const trainer *t)
{
    return t->options->stop && *t->options->stop;
}

static double minutes(const trainer *t)
{
    return (wispi_seconds() - t->started) / 60.0;
}

/* --- checkpoints --- */

static wisp_status refresh_facts(trainer *t, wisp_error *err)
{
    t->facts.seconds = wispi_seconds() - t->started;
    t->facts.evaluated = wispi_module_path(t->session->evaluated);
    free(t->facts.results);
    t->facts.results = wispi_scoreboard_dump(t->board);
    if (!t->facts.results)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    return wispi_metric_log_sync(t->log, &t->facts.position, err);
}

static int32_t on_collapse(const trainer *t)
{
    return t->experiment->run.on_collapse;
}

/* Training does not depend on it. */
static void keep_healthy(const trainer *t)
{
    wisp_error cause = {0};
    if (!t->begin_only && on_collapse(t) != WISPI_COLLAPSE_IGNORE &&
        wispi_sentinel_is_calm(&t->sentinel) &&
        wispi_checkpoint_keep_healthy(t->folder.path, &cause) != WISP_OK)
        wispi_log(WISP_LOG_WARNING, "healthy.safetensors is not up to date: %s", cause.message);
}

static wisp_status checkpoint(trainer *t, wisp_error *err)
{
    WISP_TRY(refresh_facts(t, err));
    t->last_checkpoint = wispi_seconds();
    WISP_TRY(wispi_checkpoint_advance(t->folder.path, t->session->model, &t->facts, err));
    keep_healthy(t);
    return WISP_OK;
}

static wisp_status extra_checkpoint(trainer *t, const char *name, wisp_error *err)
{
    WISP_TRY(refresh_facts(t, err));
    return wispi_checkpoint_write(t->folder.path, name, t->session->model, &t->facts, err);
}

/* --- evaluation --- */

static void say_results(trainer *t, const char *what)
{
    char line[1024];
    size_t n = (size_t)snprintf(line, sizeof line, "%s", what);
    for (int32_t i = 0; i < t->results->n && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s %s %.2f %%", i ? "," : "",
                              t->results->list[i].metric, t->results->list[i].value);
    wispi_progress_say(&t->progress, line);
}

/* The epoch that the weights are of, from 1 on; 0 before the first step. Within an epoch it is that
 * epoch, as the progress line counts. */
static int64_t epoch_of_weights(const trainer *t)
{
    const int64_t spe = t->session->steps_per_epoch;
    return (t->facts.step + spe - 1) / spe;
}

/* For the report alone: a run does not fail for lack of it. */
static void keep_confusions(trainer *t, const char *kind, json_t *tasks)
{
    wisp_error cause = {0};
    if (wispi_confusion_write(&t->folder, kind, &t->session->clock, &t->experiment->test, tasks,
                              &cause) != WISP_OK)
        wispi_log(WISP_LOG_WARNING, "the report will show no confusion matrix: %s", cause.message);
}

static wisp_status evaluate(trainer *t, const wispi_instance *tasks, int32_t n_tasks, int as_probe,
                            int32_t source, const char *source_name, const char *kind,
                            wisp_error *err)
{
    const int is_trained = source == WISPI_EVALUATE_NETWORK && strcmp(kind, "untrained") != 0;
    wispi_evaluation_request request = {tasks,  n_tasks,          as_probe,
                                        source, t->options->stop, is_trained ? json_array() : NULL};
    t->session->clock.step = t->facts.step;
    t->session->clock.epoch = epoch_of_weights(t);
    wisp_status status = wispi_evaluate(t->embedder, t->session, &request, t->results, err);
    if (status == WISP_OK)
        keep_confusions(t, kind, request.confusions);
    json_decref(request.confusions);
    if (status == WISP_E_STOPPED)
        return wisp_fail(err, status,
                         "stopped while evaluating at step %lld of %lld; the same command goes on "
                         "from %s",
                         (long long)t->facts.step, (long long)t->last_step, t->folder.path);
    WISP_TRY(status);
    WISP_TRY(wispi_scoreboard_add(t->board, source_name, &t->session->clock, t->results, err));
    return wispi_results_log(t->results, t->log, kind, t->session->clock.epoch, t->facts.step,
                             as_probe ? &t->facts.pixels : NULL, err);
}

static wisp_status evaluate_baselines(trainer *t, wisp_error *err)
{
    const wispi_experiment *x = t->experiment;
    if (!x->run.baselines || x->n_tasks == 0 || t->begin_only)
        return WISP_OK;
    WISP_TRY(
        evaluate(t, x->tasks, x->n_tasks, 0, WISPI_EVALUATE_RAW, "raw pixels", "raw_pixels", err));
    say_results(t, "raw pixels:");
    WISP_TRY(evaluate(t, x->tasks, x->n_tasks, 0, WISPI_EVALUATE_NETWORK, "untrained", "untrained",
                      err));
    say_results(t, "untrained: ");
    return WISP_OK;
}

/* The best checkpoint is the one with the highest first value of the probes. */
static wisp_status keep_best(trainer *t, wisp_error *err)
{
    if (t->results->n == 0 || !isfinite(t->results->list[0].value))
        return WISP_OK;
    double value = t->results->list[0].value;
    if (!isnan(t->facts.best) && value <= t->facts.best)
        return WISP_OK;
    t->facts.best = value;
    return extra_checkpoint(t, "best", err);
}

static wisp_status evaluate_probes(trainer *t, wisp_error *err)
{
    const wispi_experiment *x = t->experiment;
    wispi_progress_pause(&t->progress);
    WISP_TRY(evaluate(t, x->probes, x->n_probes, 1, WISPI_EVALUATE_NETWORK, "probe", "probe", err));
    t->facts.probes_due = 0;
    char what[96];
    snprintf(what, sizeof what, "epoch %lld, minute %.1f:", (long long)t->session->clock.epoch,
             minutes(t));
    say_results(t, what);
    wispi_metric_value time = {"minutes", minutes(t)};
    WISP_TRY(
        wispi_metric_log_add_timing(t->log, t->session->clock.epoch, t->facts.step, &time, 1, err));
    WISP_TRY(keep_best(t, err));
    wispi_progress_resume(&t->progress, t->facts.step);
    return WISP_OK;
}

/* --- health --- */

/* The first rank's: the last checkpoint becomes a healthy one. Says what the folder holds now. */
static void return_to_healthy(const trainer *t, char *words, size_t bytes)
{
    wisp_error cause = {0};
    int64_t step = 0;
    if (wispi_checkpoint_return_to_healthy(t->folder.path, &step, &cause) == WISP_OK)
        snprintf(words, bytes,
                 "checkpoints/last.safetensors is the last healthy state, of step %lld. The same "
                 "command would go the same way again: other settings need another run.name, from "
                 "[[init]] weights = \"%s/checkpoints/healthy.safetensors\" or anew",
                 (long long)step, t->folder.path);
    else
        snprintf(words, bytes, "there is no healthy checkpoint to go back to (%.300s)",
                 cause.message);
}

static wisp_status warn(trainer *t, const wispi_step_report *r, const wispi_sign *sign,
                        const wispi_metric_value *values, int32_t n, wisp_error *err)
{
    char words[1000];
    const int64_t since = wispi_sentinel_since(&t->sentinel, sign);
    wispi_metric_value shown[2] = {{"since", (double)since}, {sign->metric, NAN}};
    for (int32_t i = 0; i < n; i++)
        if (strcmp(values[i].name, sign->metric) == 0)
            shown[1] = values[i];
    snprintf(words, sizeof words,
             "the training has collapsed: %s (%s is %.4g, and has been about that since step "
             "%lld). What may help: %s",
             sign->meaning, sign->metric, shown[1].value, (long long)since, sign->remedy);
    wispi_progress_pause(&t->progress);
    wispi_log(WISP_LOG_WARNING, "%s", words);
    t->facts.health.was_told = 1;
    return wispi_metric_log_add_words(t->log, "health", r->clock.epoch, r->clock.step, shown, 2,
                                      words, err);
}

static wisp_status judge(trainer *t, const wispi_step_report *r, const wispi_metric_value *values,
                         int32_t n, wisp_error *err)
{
    char folder[WISPI_FOLDER_BYTES + 400];
    const wispi_sign *sign = wispi_sentinel_judge(&t->sentinel, r->clock.step, values, n);
    if (sign && !t->facts.health.was_told)
        WISP_TRY(warn(t, r, sign, values, n, err));
    if (!sign || on_collapse(t) != WISPI_COLLAPSE_STOP)
        return WISP_OK;
    return_to_healthy(t, folder, sizeof folder);
    return wisp_fail(err, WISP_E_STOPPED, "stopped at step %lld, collapsed: %s. %s",
                     (long long)r->clock.step, sign->meaning, folder);
}

/* The first rank judges: the last bits of a mean may be other ones elsewhere. */
static wisp_status watch_health(trainer *t, const wispi_step_report *r,
                                const wispi_metric_value *values, int32_t n, wisp_error *err)
{
    if (on_collapse(t) == WISPI_COLLAPSE_IGNORE)
        return WISP_OK;
    const wisp_status status = is_first(t) ? judge(t, r, values, n, err) : WISP_OK;
    return wispi_rank_group_follow(&t->group, status, err);
}

/* A run that ends with a value that is not finite says so where its other numbers are. */
static void note_end(trainer *t, wisp_status status, wisp_error *err)
{
    const int64_t step = t->sick_step >= 0 ? t->sick_step : t->facts.step;
    wisp_error cause = {0};
    if (status != WISP_E_NONFINITE || !is_first(t) || !t->log ||
        on_collapse(t) == WISPI_COLLAPSE_IGNORE)
        return;
    if (wispi_metric_log_add_words(t->log, "health", step / t->session->steps_per_epoch, step, NULL,
                                   0, err->message, &cause) != WISP_OK)
        wispi_log(WISP_LOG_WARNING, "%s", cause.message);
    if (on_collapse(t) != WISPI_COLLAPSE_STOP)
        return;
    char folder[WISPI_FOLDER_BYTES + 400];
    const size_t length = strlen(err->message);
    return_to_healthy(t, folder, sizeof folder);
    snprintf(err->message + length, sizeof err->message - length,
             ". run.on_collapse = \"stop\": %s", folder);
}

/* --- epochs --- */

static wisp_status begin_epoch(trainer *t, wisp_error *err)
{
    wispi_session *s = t->session;
    const wispi_instance *method = &t->experiment->method;
    const wisp_method_v0 *vtable = method->plugin->descriptor->vtable;
    s->clock.step = t->facts.step;
    s->clock.epoch = t->facts.step / s->steps_per_epoch;
    if (vtable->epoch_begin) {
        wisp_status status;
        WISPI_CALL(status, method->plugin, "epoch_begin", err,
                   vtable->epoch_begin(method->self, &s->clock, err));
        WISP_TRY(status);
    }
    return wispi_session_record(s, 0, err);
}

/* The mean over all ranks. */
static wisp_status average_values(const trainer *t, wispi_metric_value *values, int32_t n,
                                  wisp_error *err)
{
    float means[MOST_VALUES];
    if (t->group.ranks.size < 2)
        return WISP_OK;
    for (int32_t i = 0; i < n; i++)
        means[i] = (float)values[i].value;
    WISP_TRY(wispi_rank_group_average(&t->group, means, n, err));
    for (int32_t i = 0; i < n; i++)
        values[i].value = means[i];
    return WISP_OK;
}

/* What a step reports besides its loss, on this rank. */
static wisp_status own_values(const trainer *t, const wispi_step_report *r,
                              wispi_metric_value *values, int32_t *n, wisp_error *err)
{
    *n = 0;
    if (r->embedding_rows > 0) {
        wispi_embedding_statistics of;
        WISP_TRY(wispi_embedding_statistics_of(r->embedding, r->embedding_rows,
                                               (int32_t)t->session->embedding_dim, &of, err));
        values[(*n)++] = (wispi_metric_value){"embedding_std", of.std};
        values[(*n)++] = (wispi_metric_value){"embedding_rank", of.rank};
    }
    for (int32_t i = 0; i < r->n_metrics; i++)
        values[(*n)++] = (wispi_metric_value){r->metrics->entries[i].name, r->values[1 + i]};
    return WISP_OK;
}

static wisp_status log_schedules(trainer *t, const wispi_step_report *r, wisp_error *err)
{
    wispi_metric_value schedules[WISPI_MAX_METRICS];
    const wispi_model *model = t->session->model;
    int32_t n = wispi_model_scalar_count(model);
    if (n > WISPI_MAX_METRICS)
        n = WISPI_MAX_METRICS;
    for (int32_t i = 0; i < n; i++) {
        const char *name = wispi_model_scalar_name(model, i);
        schedules[i] = (wispi_metric_value){
            name, wispi_schedule_value(wispi_model_schedule(model, name), &r->clock)};
    }
    return wispi_metric_log_add(t->log, "schedule", r->clock.epoch, r->clock.step, schedules, n,
                                NULL, err);
}

static wisp_status log_step(trainer *t, const wispi_step_report *r, float loss, wisp_error *err)
{
    wispi_metric_value values[MOST_VALUES] = {{"loss", loss}, {"pixels", (double)r->pixels}};
    int32_t n = 0;
    WISP_TRY(own_values(t, r, values + 2, &n, err));
    WISP_TRY(average_values(t, values + 2, n, err));
    if (is_first(t)) {
        WISP_TRY(wispi_metric_log_add(t->log, "train", r->clock.epoch, r->clock.step, values, 2 + n,
                                      NULL, err));
        WISP_TRY(log_schedules(t, r, err));
    }
    return watch_health(t, r, values, 2 + n, err);
}

static int checkpoint_is_due(const trainer *t)
{
    double every = t->experiment->run.checkpoint_minutes * 60.0;
    return every > 0 && wispi_seconds() - t->last_checkpoint > every;
}

/* The mean of all ranks' losses; and all hear of a rank that was asked to stop, and that the first
 * one wants to write. */
static wisp_status share_loss(trainer *t, float *loss, wisp_error *err)
{
    float values[3] = {*loss, (float)stop_requested(t),
                       (float)(is_first(t) && checkpoint_is_due(t))};
    if (t->group.ranks.size < 2)
        return WISP_OK;
    WISP_TRY(wispi_rank_group_average(&t->group, values, 3, err));
    *loss = values[0];
    t->is_stopping |= values[1] > 0;
    t->is_writing |= values[2] > 0;
    return WISP_OK;
}

static wisp_status check_loss(trainer *t, const wisp_clock *clock, float loss, wisp_error *err)
{
    if (isfinite(loss))
        return WISP_OK;
    t->group.is_agreed = 1; /* the mean is the same on all ranks */
    t->sick_step = clock->step;
    return wisp_fail(
        err, WISP_E_NONFINITE,
        "the loss is %f at step %lld (epoch %lld): training stops, the last checkpoint stays as "
        "it is. Run again with --check-finite to see which operation it was; a smaller learning "
        "rate or gradient clipping is the usual cure",
        (double)loss, (long long)clock->step, (long long)clock->epoch);
}

/* What a step came to is read here, which on a device with a queue is after the next step began. */
static wisp_status read_step(trainer *t, wisp_error *err)
{
    wispi_session *s = t->session;
    wispi_step_report *r = t->unread;
    t->unread = NULL;
    if (!r)
        return WISP_OK;
    WISP_TRY(wispi_session_await(s, r, err));
    float loss = r->values[0];
    WISP_TRY(share_loss(t, &loss, err));
    WISP_TRY(check_loss(t, &r->clock, loss, err));
    if (r->clock.step % t->experiment->run.metric_steps == 0)
        WISP_TRY(log_step(t, r, loss, err));
    double lr = wispi_schedule_value(wispi_model_schedule(s->model, "lr"), &r->clock);
    wispi_progress_step(&t->progress, r->clock.step + 1, loss, lr, t->unread_wait);
    return WISP_OK;
}

/* The batch before may still have been on its way to the device until now. */
static wisp_status hold_batch(trainer *t, wispi_feed_batch *batch, wisp_error *err)
{
    wispi_device *device = wispi_session_uploads_device(t->session);
    wispi_feed_batch *former = t->held;
    const uint64_t ticket = t->held_ticket;
    t->held = batch;
    t->held_ticket = wispi_uploads_ticket(device);
    const wisp_status status = former ? wispi_device_wait(device, ticket, err) : WISP_OK;
    wispi_feed_release(t->feed, former);
    return status;
}

static wisp_status run_step(trainer *t, double *wait, wisp_error *err)
{
    wispi_session *s = t->session;
    wispi_feed_batch *batch = NULL;
    WISP_TRY(wispi_feed_next(t->feed, &batch, err));
    *wait = batch->wait_seconds;
    s->clock.step = t->facts.step;
    wispi_run_options options = {.check_finite = t->options->check_finite,
                                 .profile = t->options->profile};
    wisp_status status = wispi_session_step(s, batch, &options, err);
    if (status == WISP_OK && wispi_device_is_late(s->device))
        return hold_batch(t, batch, err);
    wispi_feed_release(t->feed, batch);
    return status;
}

static wisp_status one_step(trainer *t, wisp_error *err)
{
    wispi_session *s = t->session;
    wispi_step_report *report = NULL;
    double wait = 0;
    WISP_TRY(run_step(t, &wait, err));
    WISP_TRY(
        wispi_session_post(s, t->facts.step % t->experiment->run.metric_steps == 0, &report, err));
    report->pixels = t->facts.pixels;
    t->facts.pixels += wispi_session_step_pixels(s);
    t->facts.step++;
    WISP_TRY(read_step(t, err));
    t->unread = report;
    t->unread_wait = wait;
    return wispi_device_is_late(s->device) ? WISP_OK : read_step(t, err);
}

/* Between steps one rank alone does as it is asked; several do when all have heard of it. */
static int must_stop(const trainer *t)
{
    return t->group.ranks.size > 1 ? t->is_stopping : stop_requested(t);
}

static int must_write(const trainer *t)
{
    return t->group.ranks.size > 1 ? t->is_writing : checkpoint_is_due(t);
}

static wisp_status write_here(trainer *t, wisp_error *err)
{
    t->is_writing = 0;
    WISP_TRY(read_step(t, err));
    return is_first(t) ? checkpoint(t, err) : WISP_OK;
}

static void tell_bad_samples(const trainer *t)
{
    int64_t bad = wispi_feed_bad_samples(t->feed);
    if (bad > 0)
        wispi_log(
            WISP_LOG_WARNING, "%lld of %lld training images were unusable and replaced",
            (long long)bad,
            (long long)wispi_dataset_of(&t->experiment->data)->count(t->experiment->data.self));
}

static wisp_status stop_here(trainer *t, wisp_error *err)
{
    WISP_TRY(read_step(t, err));
    WISP_TRY(by_first(t, checkpoint, err));
    tell_bad_samples(t);
    t->group.is_agreed = 1;
    return wisp_fail(err, WISP_E_STOPPED,
                     "stopped at step %lld of %lld; the same command goes on from %s",
                     (long long)t->facts.step, (long long)t->last_step, t->folder.path);
}

/* From where facts.step stands to the end of its epoch, or of the run. */
static wisp_status train_epoch(trainer *t, wisp_error *err)
{
    int64_t spe = t->session->steps_per_epoch;
    int64_t end = (t->facts.step / spe + 1) * spe;
    if (end > t->last_step)
        end = t->last_step;
    WISP_TRY(begin_epoch(t, err));
    while (t->facts.step < end) {
        if (must_stop(t))
            return stop_here(t, err);
        WISP_TRY(one_step(t, err));
        if (t->facts.step < end && must_write(t))
            WISP_TRY(write_here(t, err));
    }
    return read_step(t, err);
}

/* The kept one comes first: a run that is killed between the two writes it again. */
static wisp_status keep_epoch(trainer *t, wisp_error *err)
{
    const int64_t epoch = t->facts.step / t->session->steps_per_epoch;
    const int64_t keep = t->experiment->run.checkpoint_epochs;
    const int whole = t->facts.step % t->session->steps_per_epoch == 0;
    if (whole && keep > 0 && epoch % keep == 0) {
        char name[64];
        snprintf(name, sizeof name, "epoch_%lld", (long long)epoch);
        WISP_TRY(extra_checkpoint(t, name, err));
    }
    return checkpoint(t, err);
}

static wisp_status hash_tensor(trainer *t, const wispi_model_tensor *tensor, uint64_t *hash,
                               wisp_error *err)
{
    const size_t bytes = (size_t)wisp_desc_bytes(tensor->desc);
    void *values = wispi_alloc(bytes + 1);
    if (!values)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare the ranks");
    const wisp_status status =
        wispi_variable_read(t->session->device, tensor->variable, values, err);
    if (status == WISP_OK)
        *hash = wispi_hash64(values, bytes, *hash);
    wispi_free(values);
    return status;
}

/* Checkpoints are the first rank's: nothing may have made the others' state another one unseen. MPI
 * does not promise that all ranks get the same bits of a sum, though its makers are told to. */
static wisp_status compare_states(trainer *t, wisp_error *err)
{
    const wispi_model *model = t->session->model;
    uint64_t hash = 0;
    char text[80];
    if (t->group.ranks.size < 2)
        return WISP_OK;
    for (int32_t i = 0; i < wispi_model_tensor_count(model); i++)
        WISP_TRY(hash_tensor(t, wispi_model_tensor_at(model, i), &hash, err));
    snprintf(text, sizeof text, "[step.%lld]\nweights = %016llx\n", (long long)t->facts.step,
             (unsigned long long)hash);
    return wispi_rank_group_compare(&t->group, text, err);
}

static wisp_status finish_epoch(trainer *t, wisp_error *err)
{
    const int64_t epoch = t->facts.step / t->session->steps_per_epoch;
    const int64_t every = t->experiment->run.probe_epochs;
    const int whole = t->facts.step % t->session->steps_per_epoch == 0;
    t->facts.probes_due = t->experiment->n_probes > 0 &&
                          ((whole && epoch % every == 0) || t->facts.step == t->last_step);
    WISP_TRY(compare_states(t, err));
    return by_first(t, keep_epoch, err);
}

static wisp_status probe_now(trainer *t, wisp_error *err)
{
    WISP_TRY(evaluate_probes(t, err));
    return checkpoint(t, err);
}

static wisp_status probe_if_due(trainer *t, wisp_error *err)
{
    if (!t->facts.probes_due)
        return WISP_OK;
    WISP_TRY(by_first(t, probe_now, err));
    t->facts.probes_due = 0;
    return WISP_OK;
}

static wisp_status train_all(trainer *t, wisp_error *err)
{
    int64_t spe = t->session->steps_per_epoch;
    WISP_TRY(probe_if_due(t, err));
    WISP_TRY(wispi_session_feed(t->session, &t->experiment->data, WISPI_FEED_SAMPLED,
                                t->session->local_batch, &t->feed, err));
    WISP_TRY(wispi_feed_seek(t->feed, t->facts.step / spe, t->facts.step % spe, err));
    wispi_progress_begin(&t->progress, t->facts.step);
    while (t->facts.step < t->last_step) {
        WISP_TRY(train_epoch(t, err));
        WISP_TRY(finish_epoch(t, err));
        WISP_TRY(probe_if_due(t, err));
    }
    wispi_progress_pause(&t->progress);
    tell_bad_samples(t);
    WISP_TRY(hold_batch(t, NULL, err));
    wispi_feed_destroy(t->feed);
    t->feed = NULL;
    return WISP_OK;
}

/* --- beginning and end --- */

static wisp_status open_folder(trainer *t, wisp_error *err)
{
    const wispi_run_settings *run = &t->experiment->run;
    WISP_TRY(wispi_run_folder_open(run->out, run->name, run->seed, &t->folder, err));
    const int resume = t->is_resuming = wispi_run_folder_has_checkpoint(&t->folder);
    if (resume && (!run->resume || t->begin_only))
        return wisp_fail(
            err, WISP_E_CONFIG,
            "%s already holds a run%s: change run.name or run.seed, or remove the folder",
            t->folder.path, t->begin_only ? "" : " and run.resume is false");
    wispi_text resolved = {0};
    wisp_status status =
        wispi_experiment_resolved(t->experiment, t->session->model, &resolved, err);
    if (status == WISP_OK)
        status = wispi_run_folder_config(&t->folder, resolved.data, resume, err);
    wispi_text_free(&resolved);
    return status;
}

static wisp_status load_checkpoint(trainer *t, wisp_error *err)
{
    const uint64_t fingerprint = t->facts.fingerprint;
    WISP_TRY(wispi_checkpoint_resume(t->folder.path, t->session->model, &t->facts, err));
    if (t->facts.fingerprint != fingerprint)
        return wisp_fail(
            err, WISP_E_DATA,
            "the training data have changed since %s was written (other files, names or sizes): "
            "put them back, or change run.name",
            t->folder.path);
    return WISP_OK;
}

/* The first rank puts damaged checkpoints aside, so it goes first. */
static wisp_status load_everywhere(trainer *t, wisp_error *err)
{
    char step[64];
    WISP_TRY(by_first(t, load_checkpoint, err));
    if (!is_first(t))
        WISP_TRY(load_checkpoint(t, err));
    snprintf(step, sizeof step, "[checkpoint]\nstep = %lld\n", (long long)t->facts.step);
    return wispi_rank_group_compare(&t->group, step, err);
}

static wisp_status go_on(trainer *t, wisp_error *err)
{
    if (t->facts.results)
        WISP_TRY(wispi_scoreboard_load(t->board, t->facts.results, err));
    t->started = wispi_seconds() - t->facts.seconds;
    char line[256];
    snprintf(line, sizeof line, "resuming at step %lld of %lld", (long long)t->facts.step,
             (long long)t->last_step);
    wispi_progress_say(&t->progress, line);
    WISP_TRY(wispi_metric_log_open(t->folder.path, &t->facts.position, &t->log, err));
    if (t->facts.step >= t->last_step && t->facts.tasks_step == t->facts.step)
        return WISP_OK; /* nothing is left to do */
    return wispi_manifest_resume(&t->folder, t->session, t->facts.step, err);
}

static void tell_sampler(trainer *t)
{
    char words[512], line[600];
    wispi_experiment_describe_sampler(t->experiment, words, sizeof words);
    if (words[0] == '\0')
        return;
    snprintf(line, sizeof line, "%s: %s", t->experiment->sampler.plugin->descriptor->name, words);
    wispi_progress_say(&t->progress, line);
}

static void tell_capture(trainer *t)
{
    if (wispi_device_captures(t->session->device))
        wispi_progress_say(&t->progress, "steps are replayed as one graph");
}

/* Before the folder is touched, so that a start that fails leaves nothing. Where there is a
 * checkpoint, the weights come from there. */
static wisp_status load_start_weights(trainer *t, wisp_error *err)
{
    const wispi_run_settings *run = &t->experiment->run;
    wispi_run_folder folder;
    WISP_TRY(wispi_run_folder_find(run->out, run->name, run->seed, &folder, err));
    if (wispi_run_folder_has_checkpoint(&folder))
        return WISP_OK;
    WISP_TRY(wispi_start_weights_load(t->session, err));
    for (int32_t i = 0; i < t->session->n_starts; i++) {
        char line[WISPI_STORED_PATH + 800];
        wispi_start_record_say(&t->session->starts[i], line, sizeof line);
        wispi_progress_say(&t->progress, line);
    }
    return WISP_OK;
}

static wisp_status begin_anew(trainer *t, wisp_error *err)
{
    WISP_TRY(wispi_manifest_write(&t->folder, t->session, t->facts.fingerprint, err));
    WISP_TRY(wispi_metric_log_open(t->folder.path, NULL, &t->log, err));
    WISP_TRY(evaluate_baselines(t, err));
    /* What begins to train is healthy: there is something to go back to from the first step on. */
    return on_collapse(t) == WISPI_COLLAPSE_STOP && !t->begin_only ? checkpoint(t, err) : WISP_OK;
}

/* What must be the same on all ranks, line by line. */
static wisp_status compare_ranks(trainer *t, wisp_error *err)
{
    wispi_text text = {0};
    if (t->group.ranks.size < 2)
        return WISP_OK;
    wisp_status status = wispi_experiment_resolved(t->experiment, t->session->model, &text, err);
    if (status == WISP_OK)
        wispi_manifest_means(&text, t->session, t->facts.fingerprint);
    if (status == WISP_OK && text.failed)
        status = wisp_fail(err, WISP_E_NOMEM, "no memory to compare the ranks");
    if (status == WISP_OK)
        status = wispi_rank_group_compare(&t->group, text.data, err);
    wispi_text_free(&text);
    return status;
}

static wisp_status find_folder(trainer *t, wisp_error *err)
{
    const wispi_run_settings *run = &t->experiment->run;
    if (!is_first(t))
        WISP_TRY(wispi_run_folder_find(run->out, run->name, run->seed, &t->folder, err));
    WISP_TRY(by_first(t, open_folder, err));
    return wispi_rank_group_tell(&t->group, &t->is_resuming, sizeof t->is_resuming, err);
}

/* Before the folder is touched, too. */
static wisp_status check_lock(trainer *t, wisp_error *err)
{
    const wispi_run_settings *run = &t->experiment->run;
    wispi_run_folder folder;
    WISP_TRY(wispi_run_folder_find(run->out, run->name, run->seed, &folder, err));
    return wispi_plugin_lock_check(&folder, t->options->locked, t->session, err);
}

static wisp_status begin_run(trainer *t, wisp_error *err)
{
    const wispi_instance *data = &t->experiment->data;
    t->facts.best = NAN;
    t->facts.tasks_step = -1;
    t->sick_step = -1;
    WISP_TRY(load_start_weights(t, err));
    t->facts.fingerprint = wispi_dataset_of(data)->fingerprint(data->self);
    WISP_TRY(compare_ranks(t, err));
    if (t->options->locked)
        WISP_TRY(by_first(t, check_lock, err));
    WISP_TRY(find_folder(t, err));
    tell_sampler(t);
    tell_capture(t);
    t->started = t->last_checkpoint = wispi_seconds();
    if (t->is_resuming)
        WISP_TRY(load_everywhere(t, err));
    wispi_sentinel_begin(&t->sentinel, t->session->model, t->session->steps_per_epoch,
                         &t->facts.health);
    if (!t->is_resuming)
        return by_first(t, begin_anew, err);
    return by_first(t, go_on, err);
}

static void print_profile(const trainer *t)
{
    wispi_profile_row rows[128];
    int32_t n = t->session->whole.program
                    ? wispi_program_profile(t->session->whole.program, WISPI_PROFILE_IMPLEMENTATION,
                                            rows, 128)
                    : 0;
    double total = 0;
    for (int32_t i = 0; i < n; i++)
        total += rows[i].seconds;
    for (int32_t i = 0; i < n; i++)
        printf("%6.2f %%  %9.3f ms  %7lld calls  %-26s %s\n", 100 * rows[i].seconds / total,
               1e3 * rows[i].seconds, (long long)rows[i].calls, rows[i].op, rows[i].implementation);
}

static json_t *probes_json(const wispi_scoreboard *board)
{
    wispi_probe_record r;
    json_t *list = json_array();
    for (int32_t i = 0; wispi_scoreboard_probe(board, i, &r); i++)
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:I, s:I}", "metric", r.metric,
                                              "last", r.last, "best", r.best, "last_epoch",
                                              (json_int_t)r.last_epoch, "best_epoch",
                                              (json_int_t)r.best_epoch));
    return list;
}

static wisp_status print_json(const trainer *t, wisp_error *err)
{
    char *results = wispi_scoreboard_dump(t->board);
    json_t *report =
        json_pack("{s:o, s:I, s:o, s:o}", "folder", wispi_json_string(t->folder.path), "step",
                  (json_int_t)t->facts.step, "results",
                  results ? json_loads(results, 0, NULL) : NULL, "probes", probes_json(t->board));
    char *text = report ? json_dumps(report, 0) : NULL;
    if (text)
        printf("%s\n", text);
    wisp_status status = text ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    free(text);
    free(results);
    json_decref(report);
    fflush(stdout);
    return status;
}

/* Over the run, the best value of each metric of the probes; it was chosen on what it measures. */
static wisp_status log_best(const trainer *t, wisp_error *err)
{
    wispi_probe_record r;
    for (int32_t i = 0; wispi_scoreboard_probe(t->board, i, &r); i++) {
        char key[WISPI_TASK_NAME + WISPI_METRIC_NAME];
        wispi_metric_key(r.metric, key, sizeof key);
        const wispi_metric_value value = {key, r.best};
        WISP_TRY(wispi_metric_log_add(t->log, "best_probe", r.best_epoch, r.best_step, &value, 1,
                                      r.protocol, err));
    }
    return WISP_OK;
}

static void tell_outcome(const trainer *t)
{
    wispi_train_outcome *outcome = t->options->outcome;
    if (!outcome)
        return;
    memcpy(outcome->folder, t->folder.path, sizeof outcome->folder);
    outcome->was_done = t->facts.tasks_step == t->facts.step;
}

static wisp_status finish_run(trainer *t, wisp_error *err)
{
    const wispi_experiment *x = t->experiment;
    tell_outcome(t);
    if (t->facts.tasks_step != t->facts.step) {
        wispi_scoreboard_remove(t->board, "trained");
        WISP_TRY(
            evaluate(t, x->tasks, x->n_tasks, 0, WISPI_EVALUATE_NETWORK, "trained", "task", err));
        WISP_TRY(log_best(t, err));
        t->facts.tasks_step = t->facts.step;
        WISP_TRY(checkpoint(t, err));
    }
    if (t->options->profile)
        print_profile(t);
    if (t->options->json)
        return print_json(t, err);
    wispi_text summary = {0};
    wispi_text_printf(&summary, "run folder: %s\n", t->folder.path);
    wispi_scoreboard_summary(t->board, &summary);
    if (!summary.failed)
        printf("%s", summary.data);
    wispi_text_free(&summary);
    fflush(stdout);
    return WISP_OK;
}

static wisp_status open_trainer(trainer *t, wisp_error *err)
{
    WISP_TRY(wispi_session_open(t->experiment, &t->session, err));
    WISP_TRY(wispi_embedder_create(t->session, &t->embedder, err));
    const wispi_run_settings *run = &t->experiment->run;
    t->last_step = t->session->total_steps;
    if (run->steps > 0 && run->steps < t->last_step)
        t->last_step = run->steps;
    t->progress = (wispi_progress){.batch = run->batch,
                                   .epochs = run->epochs,
                                   .steps = t->last_step,
                                   .steps_per_epoch = t->session->steps_per_epoch,
                                   .log_seconds = run->log_seconds,
                                   .quiet = t->options->quiet || t->options->json || !is_first(t)};
    t->board = wispi_scoreboard_create();
    t->results = wispi_alloc(sizeof *t->results);
    if (!t->board || !t->results)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the results");
    return WISP_OK;
}

static wisp_status run_trainer(trainer *t, wisp_error *err)
{
    WISP_TRY(wispi_rank_group_join(t->experiment, &t->group, err));
    WISP_TRY(open_trainer(t, err));
    WISP_TRY(begin_run(t, err));
    const wisp_status status = train_all(t, err);
    note_end(t, status, err);
    return status == WISP_OK ? by_first(t, finish_run, err) : status;
}

static wisp_status create_trainer(wispi_experiment *experiment, const wispi_train_options *options,
                                  trainer **out, wisp_error *err)
{
    trainer *t = wispi_alloc(sizeof *t);
    if (!t)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a run");
    t->experiment = experiment;
    t->options = options;
    t->folder.lock = -1;
    t->group.ranks.size = 1;
    *out = t;
    return WISP_OK;
}

static void destroy_trainer(trainer *t)
{
    wispi_progress_pause(&t->progress);
    if (t->held)
        wispi_device_sync(wispi_session_uploads_device(t->session), NULL);
    wispi_feed_destroy(t->feed);
    wispi_metric_log_close(t->log);
    wispi_embedder_destroy(t->embedder);
    wispi_session_close(t->session);
    wispi_scoreboard_destroy(t->board);
    wispi_run_folder_close(&t->folder);
    wispi_free(t->results);
    free(t->facts.results);
    wispi_free(t);
}

wisp_status wispi_train(wispi_experiment *experiment, const wispi_train_options *options,
                        wisp_error *err)
{
    trainer *t = NULL;
    WISP_TRY(create_trainer(experiment, options, &t, err));
    wisp_error own = {0};
    const wisp_status status = run_trainer(t, err ? err : &own);
    wispi_rank_group_leave(&t->group, status, err ? err : &own);
    experiment->ranks = NULL;
    destroy_trainer(t);
    return status;
}

static wisp_status begin_only(trainer *t, wispi_begun *begun, wisp_error *err)
{
    WISP_TRY(open_trainer(t, err));
    WISP_TRY(begin_run(t, err));
    WISP_TRY(checkpoint(t, err));
    memcpy(begun->folder, t->folder.path, sizeof begun->folder);
    if (t->session->n_starts > 0)
        begun->start = t->session->starts[t->session->n_starts - 1];
    return WISP_OK;
}

wisp_status wispi_train_begin(wispi_experiment *experiment, wispi_begun *begun, wisp_error *err)
{
    const wispi_train_options options = {.quiet = 1};
    trainer *t = NULL;
    WISP_TRY(create_trainer(experiment, &options, &t, err));
    t->begin_only = 1;
    wisp_status status = begin_only(t, begun, err);
    destroy_trainer(t);
    return status;
}
