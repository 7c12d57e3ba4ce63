/* verb_sweep.c - wisp sweep */
#include "command.h"

static int run(const wispi_call *call)
{
    return wispi_run_study(call, wisp_runtime_sweep);
}

static const wispi_flag flags[] = {
    {"--seeds", "N|LIST", "seeds of each cell: 3 (the default) is 0 to 2; 3,7,11 are these",
     offsetof(wispi_call, seeds)},
    WISPI_STUDY_FLAGS,
    {"--json", NULL, "the sweep as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_sweep = {
    .name = "sweep",
    .arguments = "EXP.toml key=v1,v2,... [key=value ...]",
    .summary = "run an experiment with every combination of some values",
    .details =
        "Commas within brackets and quotes belong to a value: key=[1,2],[3,4] has two. The\n"
        "same command again goes on where it was stopped, and a longer list adds to what is\n"
        "there. Exit code 1: some runs failed, or were stopped.\n",
    .example = "wisp sweep configs/quickstart.toml optimizer.lr=1e-3,2e-3 run.batch=32,64 --jobs 2",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
