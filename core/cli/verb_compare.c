/* verb_compare.c - wisp compare */
#include "command.h"

static int run(const wispi_call *call)
{
    char program[4096];
    wisp_study_options options;
    wisp_study_outcome outcome = {0};
    wisp_error err = {0};
    char *text = NULL;
    const int code = wispi_call_study(call, program, sizeof program, &options);
    if (code != WISPI_EXIT_DONE)
        return code;
    wispi_stop_on_signals(call->runtime);
    const wisp_status status =
        wisp_runtime_compare(call->runtime, call->arguments, call->n_arguments, &options,
                             wispi_call_format(call), &text, &outcome, &err);
    return wispi_study_code(&outcome, wispi_report_text(status, text, &err));
}

static const wispi_flag flags[] = {
    {"--seeds", "N|LIST", "seeds of each arm: 5 (the default) is 0 to 4; 3,7,11 are these",
     offsetof(wispi_call, seeds)},
    {"--set", "X:KEY=VALUE", "what arm A, B ... has otherwise; more may follow",
     offsetof(wispi_call, arguments)},
    {"--jobs", "J", "runs at one time, which share the processors; 1 by default",
     offsetof(wispi_call, jobs)},
    {"--devices", "LIST", "cuda:0,cuda:1: runs are dealt over these",
     offsetof(wispi_call, devices)},
    {"--out", "DIR", "folder of its folder; runs by default", offsetof(wispi_call, out_folder)},
    {"--name", "NAME", "its folder; after the files by default", offsetof(wispi_call, study_name)},
    {"--emit", "slurm", "make no run, write a job array; again: gather what is done",
     offsetof(wispi_call, emit)},
    {"--seed-offset", "X:N", "add N to arm X's seeds, so that the arms share no randomness",
     offsetof(wispi_call, seed_offset)},
    {"--json", NULL, "the comparison as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_compare = {
    .name = "compare",
    .arguments = "A.toml B.toml ... [key=value ...] [--set X:key=value ...]",
    .summary = "run experiments with the same seeds, and tell whether they differ",
    .details =
        "Files are the arms A, B, C ...; of one file there are as many arms as --set names. All\n"
        "share seeds, first weights, order of data and evaluation. The same command again goes\n"
        "on where it was stopped. Exit code 1: some runs failed, or were stopped.\n",
    .example = "wisp compare configs/quickstart.toml --set B:sampler.jitter=0.5 --seeds 5 --jobs 2",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
