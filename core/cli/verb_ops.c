/* verb_ops.c - wisp ops */
#include "arguments.h"

#include <string.h>

static const char *const checks[] = {"test", "grad", "support", "perf"};
static const int32_t values[] = {WISP_OPS_TEST, WISP_OPS_GRAD, WISP_OPS_SUPPORT, WISP_OPS_PERF};

enum { N_CHECKS = sizeof checks / sizeof checks[0] };

static int run(const wispi_call *call)
{
    int32_t n_failed = 0;
    size_t i = 0;
    wisp_error err = {0};
    char *text = NULL;
    while (i < N_CHECKS && strcmp(checks[i], call->arguments[0]) != 0)
        i++;
    if (i == N_CHECKS)
        return wispi_report_wrong_call("there is no check \"%s\"; the nearest known one is \"%s\"",
                                       call->arguments[0],
                                       wispi_nearest_word(call->arguments[0], checks, N_CHECKS));
    wisp_status status =
        wisp_runtime_ops(call->runtime, values[i], call->backend, call->arguments[1],
                         wispi_call_format(call), &text, &n_failed, &err);
    int code = wispi_report_text(status, text, &err);
    return code == WISPI_EXIT_DONE && n_failed > 0 ? WISPI_EXIT_FAILED : code;
}

static const wispi_flag flags[] = {
    {"--device", "NAME", "whose kernels: cpu (default), cuda, cuda:1, reference (the host's own)",
     offsetof(wispi_call, backend)},
    {"--backend", "NAME", "the same", offsetof(wispi_call, backend)},
    {"--json", NULL, "as JSON", offsetof(wispi_call, json)},
    {NULL, NULL, NULL, 0},
};

const wispi_verb wispi_verb_ops = {
    .name = "ops",
    .arguments = "test|grad|support|perf [FILTER]",
    .summary = "check operations against their references, or measure them",
    .details = "  test     kernels of a backend against the reference kernels\n"
               "  grad     gradient rules against finite differences\n"
               "  support  what a backend has kernels for\n"
               "  perf     time and throughput at sizes that networks have\n\n"
               "FILTER is op, op/case or op/case/dtype; * stands for any one part.\n",
    .example = "wisp ops test conv2d/*/bf16 --backend cpu",
    .flags = flags,
    .least = 1,
    .most = 2,
    .run = run,
};
