/* main.c - the wisp command: reads the call, makes a runtime, runs one verb. */
#include "arguments.h"

#include <signal.h>

const wispi_verb *const wispi_verbs[] = {
    &wispi_verb_run,
    &wispi_verb_check,
    &wispi_verb_list,
    &wispi_verb_inspect,
    &wispi_verb_eval,
    &wispi_verb_export,
    &wispi_verb_import,
    &wispi_verb_ops,
    &wispi_verb_bench,
    &wispi_verb_pack,
    &wispi_verb_data,
    &wispi_verb_report,
    &wispi_verb_new,
    &wispi_verb_views,
    &wispi_verb_compare,
    &wispi_verb_sweep,
    &wispi_verb_validate,
    &wispi_verb_schema,
    NULL,
};

static int run_verb(wispi_call *call)
{
    const wisp_runtime_options options = {
        .struct_size = sizeof options,
        .log_level = call->verbose ? WISP_LOG_DEBUG
                     : call->quiet ? WISP_LOG_WARNING
                                   : WISP_LOG_INFO,
        .plugin_folders = call->plugin_folders,
        .fault_handler = 1,
        .allow_insecure_plugins = call->allow_insecure,
    };
    wisp_error err = {0};
    wisp_status status = wisp_runtime_create(&options, &call->runtime, &err);
    if (status != WISP_OK)
        return wispi_report_failure(status, &err);
    int code = call->verb->run(call);
    wisp_runtime_destroy(call->runtime);
    return code;
}

int main(int argc, char **argv)
{
    static wispi_call call;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of writing, not the end */
    int code = wispi_parse_arguments(argc, argv, &call);
    if (code != WISPI_EXIT_DONE)
        return code;
    if (call.help)
        wispi_print_help(call.verb);
    else if (call.version)
        printf("wisp %s\n", wisp_version());
    else
        return run_verb(&call);
    return fflush(stdout) == EOF ? WISPI_EXIT_FAILED : WISPI_EXIT_DONE;
}
