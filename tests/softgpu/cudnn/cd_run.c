/* A launch on the device: operation after operation, every result rounded to its tensor's type,
 * those that are not virtual stored. */
#include "cd_run.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    const cd_launch *launch;
    float *values[CD_TENSORS];
} run_state;

static float *room_of(run_state *state, int t)
{
    const cd_tensor *tensor = &state->launch->plan.graph.tensors[t];
    if (!state->values[t])
        state->values[t] = soft_scratch((size_t)cd_elements(tensor) * sizeof(float));
    return state->values[t];
}

static const float *value_of(run_state *state, int t)
{
    const cd_launch *launch = state->launch;
    const cd_tensor *tensor = &launch->plan.graph.tensors[t];
    if (state->values[t])
        return state->values[t];
    float *values = room_of(state, t);
    if (tensor->by_value)
        values[0] = (float)launch->by_value[t];
    else
        cd_load(tensor, launch->pointers[t], values);
    return values;
}

static void compute(const cd_step *step)
{
    switch (step->node->kind) {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        cd_run_pointwise(step);
        break;
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        cd_run_matmul(step);
        break;
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        cd_run_reduction(step);
        break;
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        cd_run_reshape(step);
        break;
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        cd_run_statistics(step);
        break;
    case CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
        cd_run_attention(step);
        break;
    default:
        cd_run_convolution(step);
        break;
    }
}

static void keep(run_state *state, int t)
{
    const cd_tensor *tensor = &state->launch->plan.graph.tensors[t];
    int64_t n = cd_elements(tensor);
    for (int64_t i = 0; i < n; i++)
        state->values[t][i] = cd_rounded(tensor->type, state->values[t][i]);
    if (!tensor->is_virtual)
        cd_store(tensor, state->values[t], state->launch->pointers[t]);
}

/* The unordered gradient of Q is summed onto what its memory holds: the caller zeroes it. */
static int is_summed_up(const cd_plan *plan, const cd_node *node, const cd_tensor *tensor)
{
    return plan->engine == CD_ENGINE_ATTENTION_UNORDERED && !tensor->is_virtual &&
           tensor->type == CUDNN_DATA_FLOAT &&
           node->kind == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR;
}

/* beta reads what a result's memory held before; with a beta of 0 it is not looked at. */
static void prepare_result(run_state *state, const cd_node *node, int t)
{
    const cd_plan *plan = &state->launch->plan;
    const cd_tensor *tensor = &plan->graph.tensors[t];
    float *room = room_of(state, t);
    if ((node->beta != 0 && !tensor->is_virtual && node->conv.n) ||
        is_summed_up(plan, node, tensor))
        cd_load(tensor, state->launch->pointers[t], room);
}

static void run_node(run_state *state, const cd_node *node, unsigned turn)
{
    const cd_plan *plan = &state->launch->plan;
    cd_step step = {.graph = &plan->graph, .node = node, .engine = plan->engine, .turn = turn};
    step.adds = is_summed_up(plan, node, &plan->graph.tensors[node->out[0]]);
    for (int i = 0; i < CD_INPUTS; i++)
        if (node->in[i] >= 0)
            step.in[i] = value_of(state, node->in[i]);
    for (int i = 0; i < CD_OUTPUTS; i++)
        if (node->out[i] >= 0) {
            prepare_result(state, node, node->out[i]);
            step.out[i] = state->values[node->out[i]];
        }
    compute(&step);
    for (int i = 0; i < CD_OUTPUTS; i++)
        if (node->out[i] >= 0)
            keep(state, node->out[i]);
}

void cd_run(void *argument)
{
    static unsigned turns;
    const cd_launch *launch = argument;
    const cd_plan *plan = &launch->plan;
    run_state state = {.launch = launch};
    unsigned turn = __atomic_fetch_add(&turns, 1, __ATOMIC_RELAXED);
    /* Whoever keeps something in the workspace shall lose it. */
    if (plan->workspace_bytes)
        memset(launch->workspace, 0xa5, (size_t)plan->workspace_bytes);
    for (int i = 0; i < plan->graph.n_nodes; i++)
        run_node(&state, &plan->graph.nodes[i], turn);
    for (int t = 0; t < plan->graph.n_tensors; t++)
        free(state.values[t]);
}
