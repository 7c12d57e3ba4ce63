/* Attention: the graphs that cuDNN's frontend makes for it, and nothing else. */
#include "cd_pattern.h"

/* The one operation of newer versions. */
int cd_choose_attention_whole(const cd_graph *graph, cd_choice *choice)
{
    const cd_node *node = &graph->nodes[0];
    if (graph->n_nodes != 1 || node->kind != CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR)
        return 0;
    int32_t heads[4] = {node->in[CD_Q], node->in[CD_KEYS], node->in[CD_VALUES], node->out[CD_O]};
    for (int i = 0; i < 4; i++) {
        const char *wrong = cd_wrong_heads(graph, heads[i], 3);
        if (wrong)
            return cd_decline(wrong);
    }
    if (cudnnGetVersion() < 91301)
        return cd_decline("attention: one operation only since 9.13.1");
    if (node->out[CD_STATS] >= 0 &&
        !cd_is_row_value(graph, node->out[CD_STATS], &graph->tensors[node->in[CD_Q]]))
        return cd_decline("attention: statistics that are not floats in memory");
    if (node->in[CD_SCALE] >= 0 && (graph->tensors[node->in[CD_SCALE]].type != CUDNN_DATA_FLOAT ||
                                    cd_elements(&graph->tensors[node->in[CD_SCALE]]) != 1))
        return cd_decline("attention: a scale that is not one float");
    cd_offer(choice, CD_ENGINE_FUSSY);
    cd_offer(choice, CD_ENGINE_ATTENTION);
    return 1;
}

/* 9.10.0 and 9.10.1 are known to be wrong, and cuDNN's frontend takes neither. */
int cd_choose_attention(const cd_graph *graph, cd_choice *choice)
{
    int found = cd_choose_attention_whole(graph, choice) ||
                cd_choose_attention_forward(graph, choice) ||
                cd_choose_attention_backward(graph, choice);
    if (found && (cudnnGetVersion() == 91000 || cudnnGetVersion() == 91001))
        choice->n = 0;
    return found;
}
