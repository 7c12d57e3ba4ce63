/* verb_bench.c - wisp bench */
#include "arguments.h"

#include <stdlib.h>
#include <string.h>

/* 0 when the text is no number or has something behind it. */
static int read_number(const char *text, double *number)
{
    char *end = NULL;
    *number = strtod(text, &end);
    return end != text && *end == '\0';
}

static int read_options(const wispi_call *call, wisp_bench_views_options *options)
{
    double workers = -1, seconds = 5;
    if (call->workers && (!read_number(call->workers, &workers) || workers < 0 || workers > 1024 ||
                          workers != (double)(int32_t)workers))
        return wispi_report_wrong_call("--workers %s: it must be a number from 0 to 1024",
                                       call->workers);
    if (call->seconds && (!read_number(call->seconds, &seconds) || !(seconds > 0)))
        return wispi_report_wrong_call("--seconds %s: it must be a number above 0", call->seconds);
    *options = (wisp_bench_views_options){.struct_size = sizeof *options,
                                          .workers = (int32_t)workers,
                                          .in_memory = call->memory,
                                          .seconds = seconds,
                                          .use = call->use};
    return WISPI_EXIT_DONE;
}

static int run(const wispi_call *call)
{
    static const char *const subjects[] = {"views"};
    if (strcmp(call->arguments[0], subjects[0]) != 0)
        return wispi_report_wrong_call(
            "there is no benchmark \"%s\"; the nearest known one is \"%s\"", call->arguments[0],
            wispi_nearest_word(call->arguments[0], subjects, 1));
    const wisp_experiment_source source = wispi_call_experiment(call, 1);
    wisp_bench_views_options options;
    wisp_error err = {0};
    char *text = NULL;
    int code = read_options(call, &options);
    if (code != WISPI_EXIT_DONE)
        return code;
    wispi_stop_on_signals(call->runtime);
    wisp_status status = wisp_runtime_bench_views(call->runtime, &source, &options,
                                                  wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--workers", "N", "threads that make views; 0: the calling one; default: run.workers",
     offsetof(wispi_call, workers)},
    {"--seconds", "S", "how long to measure, 5 by default", offsetof(wispi_call, seconds)},
    {"--memory", NULL, "read the files before, so that no disk is measured",
     offsetof(wispi_call, memory)},
    {"--use", "NAME", "plugin of data that are named by a PATH", offsetof(wispi_call, use)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_bench = {
    .name = "bench",
    .arguments = "views EXP.toml|PATH [key=value ...]",
    .summary = "measure how fast views are made, and where the time goes",
    .details =
        "Makes batches as a run would, without a network: [data], [sampler], [input] and [run] of\n"
        "the file count, other tables are passed over. A PATH to images stands for its data with\n"
        "the multicrop sampler's defaults in batches of 32. Overrides change either.\n",
    .example = "wisp bench views photos --memory --workers 1 sampler.local.count=0",
    .flags = flags,
    .least = 2,
    .most = -1,
    .run = run,
};
