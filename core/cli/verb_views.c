/* verb_views.c - wisp views */
#include "command.h"

#include <string.h>

/* Files and overrides in any order. */
typedef struct words {
    const char *paths[WISPI_MOST_ARGUMENTS], *overrides[WISPI_MOST_ARGUMENTS];
    int32_t n_paths, n_overrides;
} words;

/* As comparisons and sweeps tell them apart: what stands before the "=" could be a key. */
static int is_override(const char *word)
{
    static const char key_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ";
    return word[strspn(word, key_bytes)] == '=';
}

static void sort_words(const wispi_call *call, words *w)
{
    for (int32_t i = 0; i < call->n_arguments; i++) {
        const char *word = call->arguments[i];
        if (is_override(word))
            w->overrides[w->n_overrides++] = word;
        else
            w->paths[w->n_paths++] = word;
    }
}

static int run(const wispi_call *call)
{
    words w = {0};
    wisp_error err = {0};
    char *text = NULL;
    long long images = 0, samples = 0;
    int code = wispi_read_number("--images", call->images, 1, 64, &images);
    if (code == WISPI_EXIT_DONE)
        code = wispi_read_number("--samples", call->samples, 1, 10000000, &samples);
    if (code != WISPI_EXIT_DONE)
        return code;
    sort_words(call, &w);
    if (w.n_paths == 0)
        return wispi_report_wrong_call("which experiment? wisp views EXP.toml");
    const wisp_experiment_source source = {sizeof source, w.n_overrides, w.paths[0], w.overrides};
    const wisp_views_options options = {.struct_size = sizeof options,
                                        .images = (int32_t)images,
                                        .samples = samples,
                                        .file = call->output,
                                        .use = call->use,
                                        .others = w.paths + 1,
                                        .n_others = w.n_paths - 1};
    wispi_stop_on_signals(call->runtime);
    const wisp_status status =
        wisp_runtime_views(call->runtime, &source, &options, wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--output", "FILE.png", "draw a contact sheet; -o for short", offsetof(wispi_call, output)},
    {"--images", "N", "images on the sheet, 6 by default", offsetof(wispi_call, images)},
    {"--samples", "N", "plans that the numbers come from, 10000 by default",
     offsetof(wispi_call, samples)},
    {"--use", "NAME", "plugin of data that are named by a PATH", offsetof(wispi_call, use)},
    {"--json", NULL, "as JSON, with histograms", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_views = {
    .name = "views",
    .arguments = "EXP.toml|PATH [MORE.toml ...] [key=value ...] [-o FILE.png]",
    .summary = "what samplers draw: a contact sheet and the numbers",
    .details =
        "Several files stand side by side, with the same images, seed and keys: those of the "
        "first.\n"
        "key=value holds for all of them. Of each file [data], [sampler], [input] and [run] "
        "count.\n"
        "A PATH to images stands for its data with the multicrop sampler's defaults. FILE.png is\n"
        "there whole or not at all.\n",
    .example = "wisp views baseline.toml sslight.toml data.path=photos -o views.png",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
