/* verb_new.c - wisp new */
#include "command.h"

static int run(const wispi_call *call)
{
    wisp_error err = {0};
    char *text = NULL;
    wisp_status status = wisp_runtime_new(call->runtime, call->arguments[0], call->arguments[1],
                                          call->n_arguments > 2 ? call->arguments[2] : NULL,
                                          wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_new = {
    .name = "new",
    .arguments = "KIND NAME [DIR]",
    .summary = "write the folder of a new plugin, which builds and runs as it stands",
    .details =
        "KIND is method, sampler, backbone, task, dataset or backend (a device with one\n"
        "operation of its own). The folder, NAME by default, must not be there; it gets the\n"
        "plugin in C, a CMakeLists.txt, a Makefile, an experiment of some seconds and a\n"
        "README. wisp itself is not built for it: its installed headers are enough.\n",
    .example = "wisp new method my_idea",
    .flags = flags,
    .least = 2,
    .most = 3,
    .run = run,
};
