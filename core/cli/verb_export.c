/* verb_export.c - wisp export */
#include "command.h"

static int run(const wispi_call *call)
{
    const wisp_export_options options = {.struct_size = sizeof options,
                                         .names = call->names,
                                         .network = call->network,
                                         .classifier = call->classifier};
    wisp_error err = {0};
    char *text = NULL;
    if (!call->names)
        return wispi_report_wrong_call(
            "--format is missing: whose names shall the tensors have? For instance --format "
            "torchvision");
    wisp_status status = wisp_runtime_export(call->runtime, call->arguments[0], call->arguments[1],
                                             &options, wispi_call_format(call), &text, &err);
    return wispi_report_text(status, text, &err);
}

static const wispi_flag flags[] = {
    {"--format", "NAMES", "torchvision, timm or wisp: whose names", offsetof(wispi_call, names)},
    {"--network", "NAME", "not the network that is evaluated, but this one",
     offsetof(wispi_call, network)},
    {"--classifier", "PATH", "with this linear layer as the classifier",
     offsetof(wispi_call, classifier)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_export = {
    .name = "export",
    .arguments = "RUN|WEIGHTS OUT.safetensors --format NAMES",
    .summary = "write a backbone under the names that another library expects",
    .details =
        "RUN is the folder of a run, WEIGHTS a checkpoint of one. What is printed is the Python\n"
        "that loads the file. Without --classifier the network has none and gives its embedding;\n"
        "a probe that learned beside the method is --classifier probe0.classifier.\n",
    .example = "wisp export runs/quickstart/0 out.safetensors --format wisp --network teacher",
    .flags = flags,
    .least = 2,
    .most = 2,
    .run = run,
};
