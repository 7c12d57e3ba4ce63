/* verb_eval.c - wisp eval */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_experiment_source source = wispi_call_experiment(call, 1);
    wisp_error err = {0};
    char *text = NULL;
    wispi_stop_on_signals(call->runtime);
    wisp_status status = wisp_runtime_eval(call->runtime, call->arguments[0], &source,
                                           wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_eval = {
    .name = "eval",
    .arguments = "RUN|WEIGHTS TASK.toml [key=value ...]",
    .summary = "run the [[task]] tables of a file on stored weights",
    .details =
        "RUN is the folder of a run, WEIGHTS a checkpoint of one. [input], [data] and [test] of\n"
        "the file, where given, replace the run's; its other tables are not used.\n",
    .example = "wisp eval runs/quickstart/0 configs/quickstart.toml",
    .flags = flags,
    .least = 2,
    .most = -1,
    .run = run,
};
