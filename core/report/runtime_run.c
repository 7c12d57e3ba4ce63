/* runtime_run.c - run of wisp/runtime.h: a run, then its report. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "report/report_data.h"
#include "train/runtime_handle.h"
#include "train/trainer.h"

/* What was trained is not lost for lack of a page about it. */
static void report(wisp_runtime *runtime, const wispi_train_outcome *outcome)
{
    const char *folders[] = {outcome->folder};
    const wispi_report_request request = {
        .registry = runtime->registry, .folders = folders, .n_folders = 1, .stop = &runtime->stop};
    wisp_error cause = {0};
    if (outcome->was_done && wispi_file_is_there(outcome->folder, "report.html"))
        return;
    if (wispi_report_write(&request, NULL, &cause) == WISP_OK)
        wispi_log(WISP_LOG_INFO, "report: %s/report.html", outcome->folder);
    else
        wispi_log(WISP_LOG_WARNING, "the run is done, but there is no report of it: %s",
                  cause.message);
}

static wisp_status train(wisp_runtime *runtime, wispi_experiment *experiment, const char *file,
                         const wisp_run_options *given, wispi_train_outcome *outcome,
                         wisp_error *err)
{
    wisp_run_options options;
    wispi_read_sized(&options, sizeof options, given);
    const wispi_train_options train = {.check_finite = options.check_finite,
                                       .profile = options.profile,
                                       .quiet = options.quiet,
                                       .json = options.json,
                                       .locked = options.locked ? file : NULL,
                                       .stop = &runtime->stop,
                                       .outcome = outcome};
    return wispi_train(experiment, &train, err);
}

wisp_status wisp_runtime_run(wisp_runtime *runtime, const wisp_experiment_source *source,
                             const wisp_run_options *options, wisp_error *err)
{
    wispi_experiment *experiment = NULL;
    wispi_pool *pool = NULL;
    wispi_train_outcome outcome = {0};
    int32_t is_wanted = 0;
    runtime->stop = 0;
    WISP_TRY(wispi_runtime_start_pool(&pool, err));
    wisp_status status = wispi_experiment_load(runtime->registry, source->path, source->overrides,
                                               source->n_overrides, &experiment, err);
    if (status == WISP_OK) {
        is_wanted = experiment->run.report;
        status = train(runtime, experiment, source->path, options, &outcome, err);
    }
    wispi_experiment_destroy(experiment);
    if (status == WISP_OK && is_wanted && outcome.folder[0])
        report(runtime, &outcome);
    wispi_runtime_stop_pool(pool);
    return status;
}
