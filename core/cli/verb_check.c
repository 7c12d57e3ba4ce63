/* verb_check.c - wisp check */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_experiment_source source = wispi_call_experiment(call, 0);
    wisp_error err = {0};
    char *text = NULL;
    wisp_status status =
        wisp_runtime_check(call->runtime, &source, wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_check = {
    .name = "check",
    .arguments = "EXP.toml [key=value ...]",
    .summary = "resolve and validate an experiment without running it",
    .details = "Prints the resolved TOML, parameters, multiply-adds and an estimate of memory.\n",
    .example = "wisp check configs/quickstart.toml backbone.use=resnet",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
