/* verb_schema.c - wisp schema */
#include "command.h"

static int run(const wispi_call *call)
{
    wisp_error err = {0};
    char *text = NULL;
    wisp_status status = wisp_runtime_schema(call->runtime, &text, &err);
    return wispi_report_text(status, text, &err);
}

const wispi_verb wispi_verb_schema = {
    .name = "schema",
    .arguments = "",
    .summary = "print the JSON Schema of experiments, for editors",
    .details =
        "From the option tables of wisp and of all plugins that are found. A language server\n"
        "for TOML completes and checks experiments by it, for example where the first line\n"
        "of the experiment is  #:schema ./wisp.schema.json\n",
    .example = "wisp schema --plugin-path my_idea",
    .flags = NULL,
    .least = 0,
    .most = 0,
    .run = run,
};
