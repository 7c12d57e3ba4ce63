/* Finalizing: what is computed and checked when a descriptor is closed, by its type. */
#include "cd_engine.h"
#include <stdlib.h>

static cudnnStatus_t finalize_convolution(const cd_object *object)
{
    static const int lists[4] = {
        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
        CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_ATTR_CONVOLUTION_DILATIONS};
    int64_t n = cd_integer(object, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
    for (int l = 0; l < 4; l++) {
        const cd_slot *slot = cd_slot_of(object, lists[l]);
        if (slot->count != n)
            return cd_fail(CUDNN_STATUS_BAD_PARAM,
                           "convolution: %lld spatial dimensions, but "
                           "attribute %d has %lld",
                           (long long)n, lists[l], (long long)slot->count);
        for (int64_t i = 0; i < n; i++)
            if (((const int64_t *)slot->data)[i] < (l >= 2))
                return cd_fail(CUDNN_STATUS_BAD_PARAM, "convolution: attribute %d is too small",
                               lists[l]);
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_operation(const cd_object *object)
{
    cd_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    cudnnStatus_t status = cd_add_node(graph, object);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cd_check_node(graph, &graph->nodes[0]);
    free(graph);
    return status;
}

static cudnnStatus_t finalize_graph(cd_object *object)
{
    cd_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    cudnnStatus_t status = cd_make_graph(object, graph);
    if (status == CUDNN_STATUS_SUCCESS)
        object->made = graph;
    else
        free(graph);
    return status;
}

static const cd_graph *graph_of(const cd_object *object, int name)
{
    const cd_object *graph = cd_child(object, name, 0);
    return graph->destroyed ? NULL : graph->made;
}

static cudnnStatus_t destroyed(void)
{
    return cd_fail(CUDNN_STATUS_BAD_PARAM, "a descriptor was destroyed while others need it");
}

static cudnnStatus_t finalize_heuristic(cd_object *object)
{
    const cd_graph *graph = graph_of(object, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    int64_t mode = cd_integer(object, CUDNN_ATTR_ENGINEHEUR_MODE, -1);
    if (mode < CUDNN_HEUR_MODE_INSTANT || mode > CUDNN_HEUR_MODE_A)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "no heuristic mode %lld", (long long)mode);
    cd_choice *choice = calloc(1, sizeof *choice);
    if (!choice)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    cudnnStatus_t status = graph ? cd_choose(graph, choice) : destroyed();
    if (status == CUDNN_STATUS_SUCCESS) {
        cd_keep_for_mode(choice, (int)mode);
        object->made = choice;
    } else {
        free(choice);
    }
    return status;
}

static int takes(const cd_choice *choice, int64_t engine)
{
    for (int i = 0; i < choice->n; i++)
        if (choice->engines[i] == engine)
            return 1;
    return 0;
}

static cudnnStatus_t finalize_engine(const cd_object *object)
{
    const cd_graph *graph = graph_of(object, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    int64_t engine = cd_integer(object, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
    cd_choice choice;
    if (!graph)
        return destroyed();
    if (engine < 0 || engine >= CD_ENGINES)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "no engine %lld", (long long)engine);
    cudnnStatus_t status = cd_choose(graph, &choice);
    if (status == CUDNN_STATUS_SUCCESS && !takes(&choice, engine))
        status = cd_fail(CUDNN_STATUS_NOT_SUPPORTED, "engine %lld does not take this graph",
                         (long long)engine);
    return status;
}

static cudnnStatus_t finalize_plan(cd_object *object)
{
    const cd_object *config = cd_child(object, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    const cd_object *engine = cd_child(config, CUDNN_ATTR_ENGINECFG_ENGINE, 0);
    if (config->destroyed || engine->destroyed)
        return destroyed();
    const cd_graph *graph = graph_of(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    int index = (int)cd_integer(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
    if (!graph)
        return destroyed();
    if (index == CD_ENGINE_FUSSY)
        return cd_fail(CUDNN_STATUS_NOT_SUPPORTED,
                       "this engine takes the graph only in theory: try the next");
    cd_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    plan->graph = *graph;
    plan->engine = index;
    plan->workspace_bytes = cd_workspace_bytes(graph, index);
    object->made = plan;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_pack(const cd_object *object)
{
    const cd_slot *uids = cd_slot_of(object, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    if (uids->count != cd_count(object, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "variant pack: uids and pointers differ in number");
    const int64_t *list = uids->data;
    for (int64_t i = 0; i < uids->count; i++)
        for (int64_t j = 0; j < i; j++)
            if (list[i] == list[j])
                return cd_fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
                               "variant pack: uid %lld twice", (long long)list[i]);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cd_finalize(cd_object *object)
{
    if (cd_is_operation(object->type))
        return finalize_operation(object);
    switch (object->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return cd_check_tensor(object);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return finalize_convolution(object);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return finalize_graph(object);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        return finalize_heuristic(object);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        return finalize_engine(object);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        return finalize_plan(object);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        return finalize_pack(object);
    default:
        return CUDNN_STATUS_SUCCESS;
    }
}
