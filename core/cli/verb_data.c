/* verb_data.c - wisp data */
#include "arguments.h"

#include <string.h>

static int run(const wispi_call *call)
{
    static const char *const subjects[] = {"info"};
    if (strcmp(call->arguments[0], subjects[0]) != 0)
        return wispi_report_wrong_call("there is no \"wisp data %s\"; the nearest known is \"%s\"",
                                       call->arguments[0],
                                       wispi_nearest_word(call->arguments[0], subjects, 1));
    const wisp_experiment_source source = wispi_call_experiment(call, 1);
    const wisp_data_info_options options = {
        .struct_size = sizeof options, .full = call->full, .use = call->use};
    int64_t n_broken = 0;
    wisp_error err = {0};
    char *text = NULL;
    wispi_stop_on_signals(call->runtime);
    wisp_status status = wisp_runtime_data_info(call->runtime, &source, &options,
                                                wispi_call_format(call), &text, &n_broken, &err);
    int code = wispi_report_text(status, text, &err);
    return code == WISPI_EXIT_DONE && n_broken > 0 ? WISPI_EXIT_FAILED : code;
}

static const wispi_flag flags[] = {
    {"--full", NULL, "decode every sample, on all processors; otherwise headers alone",
     offsetof(wispi_call, full)},
    {"--use", "NAME", "plugin of data that are named by a PATH", offsetof(wispi_call, use)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_data = {
    .name = "data",
    .arguments = "info PATH|EXP.toml [key=value ...]",
    .summary = "tell what a data set holds, and what in it cannot be used",
    .details =
        "Counts samples and classes, looks at the headers of 20,000 samples (of a larger set,\n"
        "drawn at random) or with --full at every pixel of all, and prints the fingerprint that\n"
        "runs store. Exit code 1 when a sample is broken, which is then named. Keys are options "
        "of\n"
        "the plugin for a PATH (split=test), dotted for an experiment (data.split=test), of which\n"
        "[data] counts. Ctrl-C shows what was seen until then.\n",
    .example = "wisp data info photos --full",
    .flags = flags,
    .least = 2,
    .most = -1,
    .run = run,
};
