/* verb_report.c - wisp report */
#include "command.h"

#include <stdio.h>

static void tell_address(void *user, const char *address)
{
    (void)user;
    printf("%s\n", address);
    fflush(stdout); /* whoever reads it from a pipe waits for it */
}

static int serve(const wispi_call *call)
{
    long long port = 0;
    if (call->output || call->json)
        return wispi_report_wrong_call("--serve makes no file: leave out %s",
                                       call->output ? "--output" : "--json");
    if (wispi_read_number("--port", call->port, 0, 65535, &port) != WISPI_EXIT_DONE)
        return WISPI_EXIT_WRONG_CALL;
    const wisp_serve_options options = {
        .struct_size = sizeof options, .port = (int32_t)port, .ready = tell_address};
    wisp_error err = {0};
    wispi_stop_on_signals(call->runtime);
    const wisp_status status =
        wisp_runtime_serve(call->runtime, call->arguments, call->n_arguments, &options, &err);
    return status == WISP_OK ? WISPI_EXIT_DONE : wispi_report_failure(status, &err);
}

static int run(const wispi_call *call)
{
    if (call->serve)
        return serve(call);
    if (call->port)
        return wispi_report_wrong_call("--port is for --serve");
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
    {"--serve", NULL, "show the page to this machine's browsers instead, and follow what is logged",
     offsetof(wispi_call, serve)},
    {"--port", "P", "of --serve, on 127.0.0.1; 0, or nothing: the system chooses",
     offsetof(wispi_call, port)},
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
