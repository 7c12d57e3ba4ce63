/* verb_validate.c - wisp validate */
#include "command.h"

#include <stdlib.h>

/* 1: `text` is NULL or a positive number. */
static int read_seconds(const char *text, double *seconds)
{
    char *end = NULL;
    if (!text)
        return 1;
    *seconds = strtod(text, &end);
    return *end == '\0' && *seconds > 0 && *seconds < 1e6;
}

static int run(const wispi_call *call)
{
    wisp_validate_options options = {
        .struct_size = sizeof options,
        .in_process = call->in_process,
        .only = call->only,
        .overrides = call->arguments + 1,
        .n_overrides = call->n_arguments > 0 ? call->n_arguments - 1 : 0,
    };
    wisp_error err = {0};
    char *text = NULL;
    int32_t n_failed = 0;
    if (!call->list == (call->n_arguments == 0))
        return wispi_report_wrong_call("name one plugin file, or --list alone");
    if (!read_seconds(call->time_limit, &options.time_limit))
        return wispi_report_wrong_call("--time-limit takes seconds, not \"%s\"", call->time_limit);
    const char *file = call->list ? NULL : call->arguments[0];
    wispi_stop_on_signals(call->runtime);
    const wisp_status status = wisp_runtime_validate(
        call->runtime, file, &options, wispi_call_format(call), &text, &n_failed, &err);
    const int code = wispi_report_text(status, text, &err);
    return code == WISPI_EXIT_DONE && n_failed > 0 ? WISPI_EXIT_FAILED : code;
}

static const wispi_flag flags[] = {
    {"--only", "ID", "this test alone", offsetof(wispi_call, only)},
    {"--list", NULL, "name the tests, and run none", offsetof(wispi_call, list)},
    {"--in-process", NULL, "in this process, without time limit, for a debugger",
     offsetof(wispi_call, in_process)},
    {"--time-limit", "S", "seconds for each test, 60 if not given",
     offsetof(wispi_call, time_limit)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_validate = {
    .name = "validate",
    .arguments = "FILE.so [key=value ...]",
    .summary = "try a plugin file: does it keep the rules of the interface?",
    .details =
        "Each test runs in a process of its own. key=value are options of the plugin, such as\n"
        "path=DIR for a data set. A test that another one has failed for is skipped, and says\n"
        "so. Exit code 1: at least one test failed.\n",
    .example = "wisp validate build/wisp-method-my_idea.so",
    .flags = flags,
    .least = 0,
    .most = -1,
    .run = run,
};
