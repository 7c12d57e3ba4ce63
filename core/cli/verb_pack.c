/* verb_pack.c - wisp pack */
#include "command.h"

static int read_options(const wispi_call *call, wisp_pack_options *options)
{
    long long short_side = 0, quality = 0, limit = 0, jobs = 0;
    int code = wispi_read_number("--short-side", call->short_side, 1, 65500, &short_side);
    if (code == WISPI_EXIT_DONE)
        code = wispi_read_number("--quality", call->quality, 1, 100, &quality);
    if (code == WISPI_EXIT_DONE)
        code = wispi_read_number("--limit", call->limit, 1, INT64_MAX, &limit);
    if (code == WISPI_EXIT_DONE)
        code = wispi_read_number("--jobs", call->jobs, 1, 1024, &jobs);
    if (code != WISPI_EXIT_DONE)
        return code;
    if (!call->output)
        return wispi_report_wrong_call("-o is missing: which file shall be made? -o FILE.wisp");
    if (call->quality && !call->short_side)
        return wispi_report_wrong_call(
            "--quality without --short-side: files are kept as they are, so nothing has a quality");
    *options = (wisp_pack_options){.struct_size = sizeof *options,
                                   .short_side = (int32_t)short_side,
                                   .quality = (int32_t)quality,
                                   .jobs = (int32_t)jobs,
                                   .limit = limit,
                                   .skip_broken = call->skip_broken,
                                   .unchecked = call->unchecked,
                                   .quiet = call->quiet || call->json,
                                   .use = call->use};
    return WISPI_EXIT_DONE;
}

static int run(const wispi_call *call)
{
    const wisp_experiment_source source = wispi_call_experiment(call, 0);
    wisp_pack_options options;
    wisp_error err = {0};
    char *text = NULL;
    int code = read_options(call, &options);
    if (code != WISPI_EXIT_DONE)
        return code;
    wispi_stop_on_signals(call->runtime);
    wisp_status status = wisp_runtime_pack(call->runtime, &source, call->output, &options,
                                           wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--output", "FILE", "the file to make; -o for short", offsetof(wispi_call, output)},
    {"--use", "PLUGIN", "the data set plugin, where the data are not told by their looks",
     offsetof(wispi_call, use)},
    {"--short-side", "N", "make pictures smaller whose shorter side is longer than N px",
     offsetof(wispi_call, short_side)},
    {"--quality", "Q", "JPEG quality of the pictures made smaller, 95 by default",
     offsetof(wispi_call, quality)},
    {"--limit", "N", "only the first N samples", offsetof(wispi_call, limit)},
    {"--jobs", "N", "threads; one for each processor by default", offsetof(wispi_call, jobs)},
    {"--skip-broken", NULL, "name broken samples and leave them out",
     offsetof(wispi_call, skip_broken)},
    {"--unchecked", NULL, "do not decode files that are kept, to see whether they can be",
     offsetof(wispi_call, unchecked)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_pack = {
    .name = "pack",
    .arguments = "PATH|EXP.toml -o FILE.wisp [key=value ...]",
    .summary = "pack a data set into one file, for the plugin packed",
    .details =
        "JPEG and PNG files stay the bytes that they are, raw pictures stay raw; with "
        "--short-side\n"
        "larger ones become JPEG files of that size. The file is the same for any --jobs. It is\n"
        "there when it is whole; until then, and when it fails, an older FILE stays. PATH is "
        "shown\n"
        "to all data set plugins; key=value are options of the one that knows it.\n",
    .example = "wisp pack photos -o photos.wisp --short-side 256 --jobs 8",
    .flags = flags,
    .least = 1,
    .most = -1,
    .run = run,
};
