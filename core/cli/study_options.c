/* study_options.c - what compare and sweep have in common. */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int wispi_call_study(const wispi_call *call, char *program, size_t bytes,
                     wisp_study_options *options)
{
    long long jobs = 0;
    const int code = wispi_read_number("--jobs", call->jobs, 1, 1024, &jobs);
    if (code != WISPI_EXIT_DONE)
        return code;
    const ssize_t n = readlink("/proc/self/exe", program, bytes - 1);
    if (n <= 0 || (size_t)n == bytes - 1) {
        fprintf(stderr, "wisp: the path of this command is not known: %s\n", strerror(errno));
        return WISPI_EXIT_FAILED;
    }
    program[n] = '\0';
    *options = (wisp_study_options){.struct_size = sizeof *options,
                                    .jobs = (int32_t)jobs,
                                    .quiet = call->quiet,
                                    .program = program,
                                    .plugin_folders = call->plugin_folders,
                                    .seeds = call->seeds,
                                    .devices = call->devices,
                                    .out = call->out_folder,
                                    .name = call->study_name,
                                    .emit = call->emit,
                                    .seed_offset = call->seed_offset};
    return WISPI_EXIT_DONE;
}

int wispi_study_code(const wisp_study_outcome *outcome, int printed)
{
    if (printed != WISPI_EXIT_DONE)
        return printed;
    return outcome->stopped || outcome->n_failed ? WISPI_EXIT_FAILED : WISPI_EXIT_DONE;
}
