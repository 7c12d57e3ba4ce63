/* study_run.c - what compare and sweep have in common. */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Each run is a process of this very command. */
static int find_program(char *program, size_t bytes)
{
    const ssize_t n = readlink("/proc/self/exe", program, bytes - 1);
    if (n > 0 && (size_t)n < bytes - 1) {
        program[n] = '\0';
        return WISPI_EXIT_DONE;
    }
    fprintf(stderr, "wisp: the path of this command is not known: %s\n", strerror(errno));
    return WISPI_EXIT_FAILED;
}

static wisp_study_options read_options(const wispi_call *call, const char *program, int32_t jobs)
{
    return (wisp_study_options){.struct_size = sizeof(wisp_study_options),
                                .jobs = jobs,
                                .quiet = call->quiet,
                                .program = program,
                                .plugin_folders = call->plugin_folders,
                                .seeds = call->seeds,
                                .devices = call->devices,
                                .out = call->out_folder,
                                .name = call->study_name,
                                .emit = call->emit,
                                .seed_offset = call->seed_offset,
                                .metrics = call->metrics};
}

int wispi_run_study(const wispi_call *call, wispi_study_function study)
{
    char program[4096];
    long long jobs = 0;
    wisp_study_outcome outcome = {0};
    wisp_error err = {0};
    char *text = NULL;
    int code = wispi_read_number("--jobs", call->jobs, 1, 1024, &jobs);
    if (code == WISPI_EXIT_DONE)
        code = find_program(program, sizeof program);
    if (code != WISPI_EXIT_DONE)
        return code;
    const wisp_study_options options = read_options(call, program, (int32_t)jobs);
    wispi_stop_on_signals(call->runtime);
    const wisp_status status = study(call->runtime, call->arguments, call->n_arguments, &options,
                                     wispi_call_format(call), &text, &outcome, &err);
    code = wispi_report_text(status, text, &err);
    if (code != WISPI_EXIT_DONE)
        return code;
    return outcome.stopped || outcome.n_failed ? WISPI_EXIT_FAILED : WISPI_EXIT_DONE;
}
