/* verb_compare.c - wisp compare */
#include "command.h"

static int run(const wispi_call *call)
{
    return wispi_run_study(call, wisp_runtime_compare);
}

static const wispi_flag flags[] = {
    {"--seeds", "N|LIST", "seeds of each arm: 5 (the default) is 0 to 4; 3,7,11 are these",
     offsetof(wispi_call, seeds)},
    {"--set", "X:KEY=VALUE", "what arm A, B ... has otherwise; more may follow",
     offsetof(wispi_call, arguments)},
    {"--metrics", "LIST", "k_nn_top_1,...: only these; fewer tests see smaller effects",
     offsetof(wispi_call, metrics)},
    {"--seed-offset", "X:N", "add N to arm X's seeds, so that the arms share no randomness",
     offsetof(wispi_call, seed_offset)},
    WISPI_STUDY_FLAGS,
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
