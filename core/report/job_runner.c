#include "report/job_runner.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "report/call_words.h"
#include "report/child_process.h"
#include "report/job_progress.h"
#include "report/log_tail.h"
#include "report/run_data.h"

static const long pause_nanoseconds = 50 * 1000 * 1000;

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a run's call");
}

/* --- devices --- */

wisp_status wispi_devices_parse(const char *text, wispi_arena *arena, wispi_device_list *devices,
                                wisp_error *err)
{
    wispi_device_list list = {{NULL}, 0};
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, ",");
        if (n == 0 || list.n == WISPI_MOST_DEVICES || (p[n] && !p[n + 1]))
            return wisp_fail(err, WISP_E_CONFIG,
                             "--devices %.200s: write up to %d devices as run.device takes them, "
                             "such as cuda:0,cuda:1",
                             text, WISPI_MOST_DEVICES);
        list.names[list.n] = wispi_arena_printf(arena, "%.*s", (int)n, p);
        if (!list.names[list.n++])
            return no_memory(err);
        p += n + (p[n] == ',');
    }
    for (int32_t i = 1; i < list.n; i++) {
        const size_t n = strcspn(list.names[0], ":");
        if (n != strcspn(list.names[i], ":") || strncmp(list.names[0], list.names[i], n) != 0)
            return wisp_fail(err, WISP_E_CONFIG,
                             "--devices %.200s: all must be of one backend, for others compute "
                             "other last bits",
                             text);
    }
    *devices = list;
    return WISP_OK;
}

/* --- a run's call --- */

wisp_status wispi_job_arguments(const wispi_study *study, const wispi_job *job,
                                const wispi_job_options *options, const char *device,
                                const char ***arguments, wisp_error *err)
{
    int32_t n_folders = 0;
    while (options->plugin_folders && options->plugin_folders[n_folders])
        n_folders++;
    wispi_call_words call = wispi_call_words_begin(study->arena, 2 * n_folders + 7);
    wispi_call_words_add(&call, "run");
    for (int32_t i = 0; i < n_folders; i++) {
        wispi_call_words_add(&call, "--plugin-path");
        wispi_call_words_add(&call, options->plugin_folders[i]);
    }
    if (options->allow_insecure)
        wispi_call_words_add(&call, "--allow-insecure-plugins");
    wispi_call_words_add(
        &call, wispi_arena_printf(study->arena, "%s/%s.toml", study->folder, job->arm->name));
    wispi_call_words_add(&call,
                         wispi_arena_printf(study->arena, "run.seed=%lld", (long long)job->seed));
    wispi_call_words_add_string(&call, "run.out", study->folder);
    if (job->arm->workers < 0 && options->workers > 0)
        wispi_call_words_add(&call,
                             wispi_arena_printf(study->arena, "run.workers=%d", options->workers));
    if (device)
        wispi_call_words_add_string(&call, "run.device", device);
    *arguments = call.list;
    return call.failed ? no_memory(err) : WISP_OK;
}

/* --- running --- */

typedef struct run_slot {
    wispi_job *job; /* NULL: free */
    pid_t child;
    const char *device;
} run_slot;

typedef struct job_runner {
    wispi_study *study;
    const wispi_job_options *options;
    run_slot *slots;
    int32_t next;        /* job to look at next */
    int32_t is_stopping; /* the children have been told */
    wispi_job_progress progress;
} job_runner;

static void say(job_runner *r, const wispi_job *job, const char *what)
{
    char line[2400];
    snprintf(line, sizeof line, "%.200s/%lld %.2000s", job->arm->name, (long long)job->seed, what);
    if (job->state == WISPI_JOB_FAILED) {
        wispi_job_progress_say(&r->progress, "");
        wispi_log(WISP_LOG_ERROR, "%s", line);
    } else {
        wispi_job_progress_say(&r->progress, line);
    }
}

static void fail_job(job_runner *r, wispi_job *job, const char *why)
{
    char tail[1200], words[2000];
    wispi_log_tail(job->log, 8, tail, sizeof tail);
    snprintf(words, sizeof words, "failed: %.400s; the end of %.300s%s%s", why, job->log,
             tail[0] ? ":\n" : " is empty", tail);
    job->state = WISPI_JOB_FAILED;
    job->failure = wispi_arena_printf(r->study->arena, "%.400s", why);
    say(r, job, words);
}

static wisp_status start_job(job_runner *r, run_slot *slot, wispi_job *job, wisp_error *err)
{
    const char **arguments = NULL;
    WISP_TRY(wispi_job_arguments(r->study, job, r->options, slot->device, &arguments, err));
    int32_t n = 0;
    while (arguments[n])
        n++;
    const char **argv = wispi_arena_array(r->study->arena, (size_t)n + 2, sizeof *argv);
    if (!argv)
        return no_memory(err);
    argv[0] = r->options->program;
    memcpy(argv + 1, arguments, (size_t)n * sizeof *argv);
    wisp_error cause = {0};
    if (wispi_child_start(argv, job->log, r->study->lock, &slot->child, &cause) != WISP_OK) {
        fail_job(r, job, cause.message);
        return WISP_OK;
    }
    job->state = WISPI_JOB_RUNS;
    slot->job = job;
    return WISP_OK;
}

static wisp_status fill_slots(job_runner *r, wisp_error *err)
{
    for (int32_t i = 0; i < r->options->parallel; i++)
        while (!r->slots[i].job && r->next < r->study->n_jobs) {
            wispi_job *job = &r->study->jobs[r->next++];
            if (job->state == WISPI_JOB_WAITS)
                WISP_TRY(start_job(r, &r->slots[i], job, err));
        }
    return WISP_OK;
}

/* With the number that its tasks found first, where there is one. */
static void tell_done(job_runner *r, const wispi_job *job)
{
    char words[200] = "is done";
    wispi_run_data *data = NULL;
    if (wispi_run_data_read(job->folder, &data, NULL) == WISP_OK)
        for (int32_t i = 0; i < data->n_results; i++)
            if (strcmp(data->results[i].kind, "task") == 0) {
                snprintf(words, sizeof words, "is done: %.80s %.2f", data->results[i].metric,
                         data->results[i].value);
                break;
            }
    wispi_run_data_free(data);
    say(r, job, words);
}

/* Did it end because it was asked to? Then its last line says so; where it could not write its
 * checkpoint the line says that. */
static int was_stopped(const job_runner *r, const wispi_job *job, wispi_child_end end)
{
    static const char words[] = "wisp: stopped";
    char line[sizeof words + 200];
    if (!r->is_stopping)
        return 0;
    if (end.code < 0) /* by the signal, before it could listen */
        return 1;
    wispi_log_tail(job->log, 1, line, sizeof line);
    return strncmp(line, words, sizeof words - 1) == 0;
}

static void end_job(job_runner *r, wispi_job *job, wispi_child_end end)
{
    char why[120];
    if (end.code == 0) {
        job->state = WISPI_JOB_DONE;
        job->step = job->arm->steps;
        tell_done(r, job);
    } else if (was_stopped(r, job, end)) {
        job->state = WISPI_JOB_STOPPED;
    } else {
        if (end.code < 0)
            snprintf(why, sizeof why, "it was killed by signal %d (%s)", end.signal,
                     strsignal(end.signal));
        else
            snprintf(why, sizeof why, "exit code %d", end.code);
        fail_job(r, job, why);
    }
}

static int reap(job_runner *r)
{
    int running = 0;
    for (int32_t i = 0; i < r->options->parallel; i++) {
        run_slot *slot = &r->slots[i];
        if (!slot->job)
            continue;
        const wispi_child_end end = wispi_child_look(slot->child);
        if (end.has_ended) {
            wispi_job *job = slot->job;
            slot->job = NULL;
            end_job(r, job, end);
        }
        running += slot->job != NULL;
    }
    return running;
}

static void stop_all(job_runner *r)
{
    char line[120];
    int32_t n = 0;
    for (int32_t i = 0; i < r->options->parallel; i++)
        if (r->slots[i].job) {
            wispi_child_stop(r->slots[i].child);
            n++;
        }
    r->is_stopping = 1;
    snprintf(line, sizeof line, "stopping: %d run%s end%s on a checkpoint", n, n == 1 ? "" : "s",
             n == 1 ? "s" : "");
    if (n > 0)
        wispi_job_progress_say(&r->progress, line);
}

static wisp_status work(job_runner *r, wisp_error *err)
{
    const struct timespec pause = {0, pause_nanoseconds};
    wisp_status status = WISP_OK;
    for (;;) {
        const int asked = r->options->stop && *r->options->stop;
        if ((asked || status != WISP_OK) && !r->is_stopping)
            stop_all(r);
        if (!r->is_stopping)
            status = fill_slots(r, err);
        const int running = reap(r);
        if (!running && (r->is_stopping || (status == WISP_OK && r->next == r->study->n_jobs)))
            return status;
        wispi_job_progress_show(&r->progress);
        if (running)
            nanosleep(&pause, NULL);
    }
}

/* Whoever ignores SIGCHLD (a shell's trap is inherited) is never told how a child ended. */
static void hear_of_children(struct sigaction *before)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigemptyset(&usual.sa_mask);
    sigaction(SIGCHLD, NULL, before);
    if (before->sa_handler == SIG_IGN)
        sigaction(SIGCHLD, &usual, NULL);
}

wisp_status wispi_jobs_run(wispi_study *study, const wispi_job_options *options, wisp_error *err)
{
    struct sigaction before;
    job_runner r = {.study = study, .options = options};
    r.slots = wispi_alloc_array((size_t)options->parallel, sizeof *r.slots);
    if (!r.slots)
        return no_memory(err);
    for (int32_t i = 0; i < options->parallel && options->devices.n > 0; i++)
        r.slots[i].device = options->devices.names[i % options->devices.n];
    wispi_job_progress_begin(&r.progress, study, options->quiet);
    hear_of_children(&before);
    const wisp_status status = work(&r, err);
    sigaction(SIGCHLD, &before, NULL);
    wispi_job_progress_end(&r.progress);
    wispi_free(r.slots);
    return status;
}
