/* verb_run.c - wisp run */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_experiment_source source = wispi_call_experiment(call, 0);
    const wisp_run_options options = {
        .struct_size = sizeof options,
        .check_finite = call->check_finite,
        .profile = call->profile,
        .quiet = call->quiet,
        .json = call->json,
        .locked = call->locked,
    };
    wisp_error err = {0};
    wispi_stop_on_signals(call->runtime);
    wisp_status status = wisp_runtime_run(call->runtime, &source, &options, &err);
    return status == WISP_OK ? WISPI_EXIT_DONE : wispi_report_failure(status, &err);
}

static const wispi_flag flags[] = {
    {"--check-finite", NULL, "name the first operation whose result is not finite",
     offsetof(wispi_call, check_finite)},
    {"--profile", NULL, "show where the time went", offsetof(wispi_call, profile)},
    {"--locked", NULL, "refuse other plugins than the run was made with",
     offsetof(wispi_call, locked)},
    {"--json", NULL, "results as JSON lines", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_run = {
    .name = "run",
    .arguments = "EXP.toml [key=value ...]",
    .summary = "train, probe and evaluate an experiment",
    .details =
        "Keys are dotted (method.out_dim=65536) and override the file. Ctrl-C and SIGTERM end\n"
        "on a checkpoint, with exit code 1; the same command again resumes the run.\n",
    .example = "wisp run configs/quickstart.toml run.seed=1 sampler.local.count=6",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
