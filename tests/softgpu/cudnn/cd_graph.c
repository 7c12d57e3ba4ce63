/* Operation graphs: operations may come in any order, the tensors say what depends on what. */
#include "cd_graph.h"
#include <stdlib.h>
#include <string.h>

static int writes(const cd_node *node, int32_t tensor)
{
    for (int i = 0; i < CD_OUTPUTS; i++)
        if (node->out[i] == tensor)
            return 1;
    return 0;
}

static int reads(const cd_node *node, int32_t tensor)
{
    for (int i = 0; i < CD_INPUTS; i++)
        if (node->in[i] == tensor)
            return 1;
    return 0;
}

/* Every tensor is written once at most; virtual ones are written and read. */
static cudnnStatus_t check_tensors(const cd_graph *graph)
{
    for (int32_t t = 0; t < graph->n_tensors; t++) {
        const cd_tensor *tensor = &graph->tensors[t];
        int written = 0, read = 0;
        for (int i = 0; i < graph->n_nodes; i++) {
            written += writes(&graph->nodes[i], t);
            read += reads(&graph->nodes[i], t);
        }
        if (written > 1)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "tensor %lld has two writers",
                           (long long)tensor->uid);
        if (tensor->is_virtual && (!written || !read))
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "virtual tensor %lld is not written and read",
                           (long long)tensor->uid);
        if (tensor->by_value && written)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "tensor %lld by value is written",
                           (long long)tensor->uid);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* An operation in place may stand alone, but not among others. */
static int is_ready(const cd_graph *graph, const cd_node *node, const uint8_t *done)
{
    if (graph->n_nodes == 1)
        return 1;
    for (int i = 0; i < CD_INPUTS; i++)
        for (int other = 0; node->in[i] >= 0 && other < graph->n_nodes; other++)
            if (!done[other] && writes(&graph->nodes[other], node->in[i]))
                return 0;
    return 1;
}

/* A graph whose operations wait for each other, or for themselves, has no order. */
static cudnnStatus_t sort(cd_graph *graph)
{
    cd_graph *sorted = malloc(sizeof *sorted);
    if (!sorted)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    uint8_t done[CD_NODES] = {0};
    int n = 0, found = 1;
    while (found) {
        found = 0;
        for (int i = 0; i < graph->n_nodes; i++)
            if (!done[i] && is_ready(graph, &graph->nodes[i], done)) {
                sorted->nodes[n++] = graph->nodes[i];
                done[i] = 1;
                found = 1;
            }
    }
    int complete = n == graph->n_nodes;
    if (complete)
        memcpy(graph->nodes, sorted->nodes, (size_t)n * sizeof *graph->nodes);
    free(sorted);
    return complete ? CUDNN_STATUS_SUCCESS
                    : cd_fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a graph with a cycle");
}

cudnnStatus_t cd_make_graph(const cd_object *object, cd_graph *graph)
{
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    memset(graph, 0, sizeof *graph);
    for (int64_t i = 0; i < cd_count(object, CUDNN_ATTR_OPERATIONGRAPH_OPS); i++) {
        const cd_object *operation = cd_child(object, CUDNN_ATTR_OPERATIONGRAPH_OPS, i);
        if (operation->destroyed)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "an operation was destroyed before its graph");
        status = cd_add_node(graph, operation);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
    }
    status = check_tensors(graph);
    return status == CUDNN_STATUS_SUCCESS ? sort(graph) : status;
}
