#include "report/study_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "report/report_data.h"
#include "report/slurm_script.h"

/* Threads of a run on a cluster, where nothing says how large its machines are. */
enum { CLUSTER_THREADS = 4 };

static wisp_status no_memory(wisp_error *err)
{
    return wisp_fail(err, WISP_E_NOMEM, "no memory for a comparison");
}

static wisp_status read_call(wisp_runtime *runtime, const wisp_study_options *given, int32_t format,
                             wispi_study_call *call, wisp_error *err)
{
    *call = (wispi_study_call){.runtime = runtime};
    wispi_read_sized(&call->options, sizeof call->options, given);
    const wisp_study_options *o = &call->options;
    call->format = format;
    call->study.lock = -1;
    call->arena = wispi_arena_create(1 << 16);
    if (!call->arena)
        return no_memory(err);
    call->emits = o->emit != NULL;
    if (o->emit && strcmp(o->emit, "slurm") != 0)
        return wisp_fail(err, WISP_E_CONFIG, "--emit %.100s: there is slurm", o->emit);
    if (o->jobs < 0 || o->jobs > WISPI_MOST_PARALLEL)
        return wisp_fail(err, WISP_E_CONFIG, "--jobs %d: from 1 to %d runs at a time", o->jobs,
                         WISPI_MOST_PARALLEL);
    if (!o->program)
        return wisp_fail(err, WISP_E_INVALID, "the wisp command that makes the runs is not named");
    if (o->devices && call->emits)
        return wisp_fail(err, WISP_E_CONFIG,
                         "--devices and --emit slurm: a cluster deals its devices itself; set "
                         "run.device=cuda if need be");
    call->jobs =
        (wispi_job_options){.parallel = o->jobs,
                            .program = o->program,
                            .plugin_folders = o->plugin_folders,
                            .allow_insecure = wispi_registry_allows_insecure(runtime->registry),
                            .quiet = o->quiet || format != WISP_FORMAT_TEXT,
                            .stop = &runtime->stop};
    if (o->devices)
        WISP_TRY(wispi_devices_parse(o->devices, call->arena, &call->jobs.devices, err));
    return WISP_OK;
}

/* The processors are shared out among the runs that go on at one time. */
static int32_t share_of(int32_t parallel, int64_t n_runs)
{
    const int64_t sharing = parallel < n_runs ? parallel : n_runs;
    const int64_t threads = wispi_processors() / (sharing > 0 ? sharing : 1);
    return threads > 1 ? (int32_t)threads : 1;
}

wisp_status wispi_study_call_open(wispi_study_call *call, const wispi_arms *arms, const char *seeds,
                                  const char *name, wisp_error *err)
{
    const wisp_study_options *o = &call->options;
    wispi_study *study = &call->study;
    wispi_pool *pool = NULL;
    study->arms = *arms;
    WISP_TRY(wispi_seeds_parse(o->seeds ? o->seeds : seeds, call->arena, &study->seeds, err));
    if (!call->emits && call->jobs.parallel == 0)
        call->jobs.parallel = call->jobs.devices.n > 0 ? call->jobs.devices.n : 1;
    const int32_t share = share_of(call->jobs.parallel, (int64_t)arms->n * study->seeds.n);
    const wispi_study_request request = {o->out ? o->out : "runs", o->name ? o->name : name,
                                         call->jobs.devices.n > 0 ? call->jobs.devices.names[0]
                                                                  : NULL,
                                         call->emits ? CLUSTER_THREADS : share};
    call->jobs.workers = call->emits ? 0 : share;
    WISP_TRY(wispi_runtime_start_pool(&pool, err));
    const wisp_status status =
        wispi_study_open(call->runtime->registry, &request, call->arena, study, err);
    wispi_runtime_stop_pool(pool);
    return status;
}

/* Before the runs begin. */
static void say(const wispi_study_call *call, const wispi_text *text)
{
    if (call->format != WISP_FORMAT_TEXT || !text->data)
        return;
    fputs(text->data, stdout);
    fflush(stdout);
}

/* --- the work --- */

static void tell_plan(const wispi_study_call *call)
{
    const wispi_study *study = &call->study;
    const int32_t done = wispi_study_count(study, WISPI_JOB_DONE);
    wispi_text line = {0};
    wispi_text_printf(&line, "\n%d runs (%d arms, %d seed%s) in %s", study->n_jobs, study->arms.n,
                      study->seeds.n, study->seeds.n == 1 ? "" : "s", study->folder);
    if (done > 0)
        wispi_text_printf(&line, ", %d done before", done);
    if (!call->emits)
        wispi_text_printf(&line, "; %d at a time, %d thread%s each", call->jobs.parallel,
                          study->arms.list[0].threads, study->arms.list[0].threads == 1 ? "" : "s");
    wispi_text_append(&line, "\n");
    if (!call->jobs.quiet)
        say(call, &line);
    wispi_text_free(&line);
}

static void tell_failures(const wispi_study *study, wispi_text *end)
{
    for (int32_t i = 0; i < study->n_jobs; i++) {
        const wispi_job *job = &study->jobs[i];
        if (job->state == WISPI_JOB_FAILED)
            wispi_text_printf(end, "%s/%lld failed: %s; see %s\n", job->arm->name,
                              (long long)job->seed, job->failure ? job->failure : "?", job->log);
    }
}

static wisp_status emit(wispi_study_call *call, wispi_text *end, wisp_error *err)
{
    char path[WISPI_STUDY_PATH + 64];
    if (wispi_study_count(&call->study, WISPI_JOB_DONE) == call->study.n_jobs)
        return WISP_OK;
    WISP_TRY(wispi_slurm_script_write(&call->study, &call->jobs, path, sizeof path, err));
    wispi_text_printf(end, "%d runs are left: sbatch ",
                      call->study.n_jobs - wispi_study_count(&call->study, WISPI_JOB_DONE));
    wispi_shell_word(end, path);
    wispi_text_append(end, "\nThe same command gathers what is done.\n");
    return WISP_OK;
}

static void count(const wispi_study *study, int stopped, wisp_study_outcome *outcome)
{
    const wisp_study_outcome counted = {.n_runs = study->n_jobs,
                                        .n_done = wispi_study_count(study, WISPI_JOB_DONE),
                                        .n_failed = wispi_study_count(study, WISPI_JOB_FAILED),
                                        .stopped = stopped};
    *outcome = counted;
}

static wisp_status make_runs(wispi_study_call *call, wisp_study_outcome *outcome, wispi_text *end,
                             wisp_error *err)
{
    wispi_study *study = &call->study;
    tell_plan(call);
    if (call->emits) {
        WISP_TRY(emit(call, end, err));
        count(study, 0, outcome);
        return WISP_OK;
    }
    WISP_TRY(wispi_jobs_run(study, &call->jobs, err));
    tell_failures(study, end);
    count(study, call->runtime->stop, outcome);
    if (outcome->n_done < outcome->n_runs)
        wispi_text_printf(end, "%d of %d runs are done; the same command goes on with the others\n",
                          outcome->n_done, outcome->n_runs);
    return WISP_OK;
}

static void make_page(wispi_study_call *call, const wisp_study_outcome *outcome, wispi_text *end)
{
    const char *const folders[] = {call->study.folder};
    const wispi_report_request request = {.registry = call->runtime->registry,
                                          .folders = folders,
                                          .n_folders = 1,
                                          .stop = &call->runtime->stop};
    wispi_pool *pool = NULL;
    wisp_error err = {0};
    if (outcome->n_done == 0 || outcome->stopped)
        return;
    wisp_status status = wispi_runtime_start_pool(&pool, &err);
    if (status == WISP_OK)
        status = wispi_report_write(&request, NULL, &err);
    wispi_runtime_stop_pool(pool);
    if (status == WISP_OK)
        wispi_text_printf(end, "report: %s/report.html\n", call->study.folder);
    else
        wispi_log(WISP_LOG_WARNING, "no report.html: %s", err.message);
}

wisp_status wispi_study_call_work(wispi_study_call *call, const wispi_text *words,
                                  wispi_study_conclude conclude, void *user, wispi_text *out,
                                  wisp_study_outcome *outcome, wisp_error *err)
{
    wispi_text end = {0};
    say(call, words);
    wisp_status status = make_runs(call, outcome, &end, err);
    if (status == WISP_OK)
        status = conclude(call, user, out, err);
    if (status == WISP_OK)
        make_page(call, outcome, &end);
    if (status == WISP_OK && call->format == WISP_FORMAT_TEXT && end.data)
        wispi_text_append(out, end.data);
    wispi_text_free(&end);
    return status;
}

wisp_status wispi_study_call_make(wisp_runtime *runtime, const wispi_study_verb *verb,
                                  const wisp_study_options *options, int32_t format, char **text,
                                  wisp_study_outcome *outcome, wisp_error *err)
{
    wispi_study_call call;
    wispi_text out = {0};
    wisp_study_outcome counted = {0};
    runtime->stop = 0;
    wisp_status status = read_call(runtime, options, format, &call, err);
    if (status == WISP_OK)
        status = verb->make(&call, verb->arguments, verb->n_arguments, &out, &counted, err);
    wispi_study_close(&call.study);
    wispi_arena_destroy(call.arena);
    if (status != WISP_OK) {
        wispi_text_free(&out);
        return status;
    }
    WISP_TRY(wispi_runtime_give(&out, text, err));
    *outcome = counted;
    return WISP_OK;
}
