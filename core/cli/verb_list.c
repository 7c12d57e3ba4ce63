/* verb_list.c - wisp list */
#include "command.h"

static int run(const wispi_call *call)
{
    wisp_error err = {0};
    char *text = NULL;
    wisp_status status =
        wisp_runtime_list(call->runtime, call->arguments[0], wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_list = {
    .name = "list",
    .arguments = "[KIND]",
    .summary = "show the plugins that are found",
    .details =
        "Kinds are backend, dataset, sampler, backbone, method, task and comm. Plugins are looked\n"
        "for in --plugin-path, then in the folders of WISP_PLUGIN_PATH (ignored under elevated\n"
        "privileges), then beside the program. A file that cannot be used is listed with the "
        "reason.\n",
    .example = "wisp list method",
    .flags = flags,
    .least = 0,
    .most = 1,
    .run = run,
};
