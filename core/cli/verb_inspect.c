/* verb_inspect.c - wisp inspect */
#include "command.h"

static int run(const wispi_call *call)
{
    wisp_error err = {0};
    char *text = NULL;
    wisp_status status = wisp_runtime_inspect(call->runtime, call->arguments[0],
                                              wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_inspect = {
    .name = "inspect",
    .arguments = "KIND/NAME|FILE.so",
    .summary = "show everything about one plugin, options included",
    .example = "wisp inspect method/dino",
    .flags = flags,
    .least = 1,
    .most = 1,
    .run = run,
};
