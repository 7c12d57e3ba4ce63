/* outcome.c - how the command shows results and failures, and what it exits with. */
#include "command.h"

#include <string.h>

/* A mistake of the caller, which trying again will not cure. */
static int is_wrong_call(wisp_status status)
{
    return status == WISP_E_CONFIG || status == WISP_E_INVALID || status == WISP_E_NOT_FOUND ||
           status == WISP_E_ABI;
}

int wispi_report_failure(wisp_status status, const wisp_error *err)
{
    const char *message = err->message[0] ? err->message : wisp_status_text(status);
    char where[200] = "";
    if (err->plugin[0] && status != WISP_E_STOPPED) /* being asked to stop is nobody's fault */
        snprintf(where, sizeof where, "%s(in plugin %.63s, function %.63s)",
                 strchr(message, '\n') ? "\n" : " ", err->plugin, err->function);
    fprintf(stderr, "wisp: %s%s\n", message, where); /* in one: ranks write to one terminal */
    return is_wrong_call(status) ? WISPI_EXIT_WRONG_CALL : WISPI_EXIT_FAILED;
}

int wispi_report_wrong_call(const char *format, ...)
{
    va_list args;
    fputs("wisp: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return WISPI_EXIT_WRONG_CALL;
}

int wispi_report_text(wisp_status status, char *text, const wisp_error *err)
{
    if (status != WISP_OK)
        return wispi_report_failure(status, err);
    int failed = fputs(text, stdout) == EOF || fflush(stdout) == EOF;
    wisp_runtime_free(text);
    if (!failed)
        return WISPI_EXIT_DONE;
    fputs("wisp: cannot write to standard output\n", stderr);
    return WISPI_EXIT_FAILED;
}

wisp_experiment_source wispi_call_experiment(const wispi_call *call, int32_t first)
{
    return (wisp_experiment_source){
        .struct_size = sizeof(wisp_experiment_source),
        .n_overrides = call->n_arguments - first - 1,
        .path = call->arguments[first],
        .overrides = call->arguments + first + 1,
    };
}
