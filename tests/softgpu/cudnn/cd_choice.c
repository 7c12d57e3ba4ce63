/* The heuristic: which pattern is it, and what do the engines say of themselves? */
#include "cd_engine.h"
#include <stdlib.h>
#include <string.h>

void cd_offer(cd_choice *choice, int engine)
{
    choice->engines[choice->n++] = engine;
}

int cd_decline(const char *why)
{
    cd_fail(CUDNN_STATUS_NOT_SUPPORTED, "no engine: %s", why);
    return 1;
}

/* SOFTGPU_CUDNN_REFUSE names kinds of patterns that this device shall have no engines for, so that
 * callers' ways round can be tested: convolution, attention, matmul, pointwise. */
static int is_switched_off(const char *pattern)
{
    const char *patterns = getenv("SOFTGPU_CUDNN_REFUSE");
    return patterns && strstr(patterns, pattern) != NULL;
}

static int chosen(int is_pattern, const char *pattern, cd_choice *choice)
{
    if (is_pattern && is_switched_off(pattern))
        choice->n = 0;
    return is_pattern;
}

cudnnStatus_t cd_choose(const cd_graph *graph, cd_choice *choice)
{
    choice->n = 0;
    if (chosen(cd_choose_convolution(graph, choice), "convolution", choice) ||
        chosen(cd_choose_attention(graph, choice), "attention", choice) ||
        chosen(cd_choose_matmul(graph, choice), "matmul", choice) ||
        chosen(cd_choose_pointwise(graph, choice), "pointwise", choice))
        return CUDNN_STATUS_SUCCESS;
    return cd_fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine has this pattern");
}

/* The fallbacks are the slow engines that always work; only they keep floats as they are. */
void cd_keep_for_mode(cd_choice *choice, int mode)
{
    int n = 0, cuts = 0;
    for (int i = 0; i < choice->n; i++)
        cuts |= choice->engines[i] == CD_ENGINE_TF32;
    for (int i = 0; i < choice->n; i++) {
        int engine = choice->engines[i];
        int is_fallback = engine == CD_ENGINE_PLAIN || engine == CD_ENGINE_FUSION ||
                          engine == CD_ENGINE_FUSION_TF32 || engine == CD_ENGINE_ATTENTION;
        int is_kept =
            mode == CUDNN_HEUR_MODE_FALLBACK ? is_fallback : !(cuts && engine == CD_ENGINE_PLAIN);
        if (is_kept)
            choice->engines[n++] = engine;
    }
    choice->n = n;
}

/* As the real engines: TF32 is TENSOR_CORE and says no more, and the gradient of attention does not
 * say that it is another every time. */
int cd_numerical_notes(int engine, int32_t notes[4])
{
    int n = 0;
    if (engine != CD_ENGINE_PLAIN)
        notes[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (engine == CD_ENGINE_UNORDERED)
        notes[n++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    return n;
}

int cd_behavior_notes(int engine, int32_t notes[4])
{
    if (engine < CD_ENGINE_FUSION)
        return 0;
    notes[0] = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    return 1;
}

/* Some, so that a caller who gives none is found out. */
int64_t cd_workspace_bytes(const cd_graph *graph, int engine)
{
    return engine == CD_ENGINE_FUSION ? 0 : 4096 + 256 * (int64_t)graph->n_nodes;
}
