/* Attention as cuDNN's frontend composes it: scores, scale, softmax by its parts, values; with the
 * logarithm of the sums for training. */
#include "cd_pattern.h"

typedef struct {
    const cd_node *scores, *highest, *shifted, *powers, *sum, *softmax, *values;
    int32_t scaled;
    int used;
} parts;

/* The product whose A is a quotient: the last of the forward pass. */
static const cd_node *find_values(const cd_graph *graph)
{
    int ignored = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].kind == CD_MATMUL &&
            cd_maker(graph, graph->nodes[i].in[CD_A], CD_POINTWISE, CUDNN_POINTWISE_DIV, &ignored))
            return &graph->nodes[i];
    return NULL;
}

static int find_parts(const cd_graph *graph, parts *p)
{
    p->values = find_values(graph);
    if (!p->values)
        return 0;
    p->used = 1;
    p->softmax = cd_maker(graph, p->values->in[CD_A], CD_POINTWISE, CUDNN_POINTWISE_DIV, &p->used);
    p->powers =
        cd_maker(graph, cd_input(p->softmax, CD_PW_X), CD_POINTWISE, CUDNN_POINTWISE_EXP, &p->used);
    p->sum = cd_maker(graph, cd_input(p->softmax, CD_PW_B), CD_REDUCTION, CUDNN_REDUCE_TENSOR_ADD,
                      &p->used);
    p->shifted =
        cd_maker(graph, cd_input(p->powers, CD_PW_X), CD_POINTWISE, CUDNN_POINTWISE_SUB, &p->used);
    p->highest = cd_maker(graph, cd_input(p->shifted, CD_PW_B), CD_REDUCTION,
                          CUDNN_REDUCE_TENSOR_MAX, &p->used);
    if (!p->powers || !p->sum || !p->shifted || !p->highest)
        return 0;
    p->scaled = p->shifted->in[CD_PW_X];
    p->scores =
        cd_maker(graph, cd_without_scale(graph, p->scaled, &p->used), CD_MATMUL, -1, &p->used);
    return p->scores && p->sum->in[0] == p->powers->out[0] && p->highest->in[0] == p->scaled;
}

/* max + log(sum), stored; 1: there, 0: not asked for, -1: something else. */
static int find_statistics(const cd_graph *graph, parts *p)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const cd_node *node = &graph->nodes[i];
        int used = 0;
        if (node->kind != CD_POINTWISE || node->mode != CUDNN_POINTWISE_ADD)
            continue;
        const cd_node *logarithm =
            cd_maker(graph, node->in[CD_PW_B], CD_POINTWISE, CUDNN_POINTWISE_LOG, &used);
        if (!logarithm || logarithm->in[CD_PW_X] != p->sum->out[0] ||
            node->in[CD_PW_X] != p->highest->out[0])
            return -1;
        p->used += 2;
        return cd_is_row_value(graph, node->out[0], &graph->tensors[p->scores->in[CD_A]]) ? 1 : -1;
    }
    return 0;
}

static const char *wrong_types(const cd_graph *graph, const parts *p)
{
    static const int feature[4] = {3, 2, 3, 3};
    int32_t heads[4] = {p->scores->in[CD_A], p->scores->in[CD_B], p->values->in[CD_B],
                        p->values->out[0]};
    for (int i = 0; i < 4; i++) {
        const char *wrong = cd_wrong_heads(graph, heads[i], feature[i]);
        if (wrong)
            return wrong;
    }
    int32_t inner[5] = {p->scores->out[0], p->highest->out[0], p->shifted->out[0],
                        p->powers->out[0], p->sum->out[0]};
    for (int i = 0; i < 5; i++)
        if (!cd_is_inner(graph, inner[i], CUDNN_DATA_FLOAT))
            return "attention: scores and sums are not virtual floats";
    if (!cd_is_inner(graph, p->softmax->out[0], CUDNN_DATA_BFLOAT16))
        return "attention: the weights of the values are not virtual bf16";
    return NULL;
}

int cd_choose_attention_forward(const cd_graph *graph, cd_choice *choice)
{
    parts p = {0};
    if (!find_parts(graph, &p))
        return 0;
    int statistics = find_statistics(graph, &p);
    if (statistics < 0 || p.used != graph->n_nodes)
        return cd_decline("attention: operations that do not belong to it");
    const char *wrong = wrong_types(graph, &p);
    if (wrong)
        return cd_decline(wrong);
    cd_offer(choice, CD_ENGINE_FUSSY);
    cd_offer(choice, CD_ENGINE_ATTENTION);
    return 1;
}
