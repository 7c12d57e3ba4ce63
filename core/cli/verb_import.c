/* verb_import.c - wisp import */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_experiment_source source = wispi_call_experiment(call, 1);
    const wisp_import_options options = {.struct_size = sizeof options,
                                         .names = call->names,
                                         .from = call->from,
                                         .into = call->into};
    wisp_error err = {0};
    char *text = NULL;
    if (!call->names)
        return wispi_report_wrong_call(
            "--format is missing: whose names do the tensors have? For instance --format "
            "torchvision");
    wisp_status status = wisp_runtime_import(call->runtime, call->arguments[0], &source, &options,
                                             wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--format", "NAMES", "torchvision, timm or wisp: whose names", offsetof(wispi_call, names)},
    {"--from", "PATH", "what of the file; default all", offsetof(wispi_call, from)},
    {"--into", "PATH", "what here; default the backbone that is evaluated",
     offsetof(wispi_call, into)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_import = {
    .name = "import",
    .arguments = "FILE.safetensors EXP.toml --format NAMES [key=value ...]",
    .summary = "make a run from weights of another library",
    .details = "The experiment's backbone must be the network that the file is of. A classifier in "
               "the\nfile is left out. The run stands before its first step: wisp eval judges the "
               "weights,\nwisp run with the config.toml of its folder trains them on.\n",
    .example = "wisp import resnet18.safetensors exp.toml --format torchvision run.name=supervised",
    .flags = flags,
    .least = 2,
    .most = -1,
    .run = run,
};
