/* verb_report.c - wisp report */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_report_options options = {.struct_size = sizeof options, .file = call->output};
    wisp_error err = {0};
    char *text = NULL;
    wispi_stop_on_signals(call->runtime);
    const wisp_status status =
        wisp_runtime_report(call->runtime, call->arguments, call->n_arguments, &options,
                            wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--output", "FILE", "the page to make; -o for short; report.html in the first RUN by default",
     offsetof(wispi_call, output)},
    {"--json", NULL, "what the page shows, as JSON; a page is then made with -o only",
     offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_report = {
    .name = "report",
    .arguments = "RUN... [-o FILE.html]",
    .summary = "one HTML page about runs: curves, views, embeddings, configuration",
    .details = "RUN is the folder of a run, of a comparison or of a sweep. The page is one file\n"
               "that needs no network. Folders are read and never locked, so a run may go on.\n",
    .example = "wisp report runs/quickstart/0 -o quickstart.html",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
