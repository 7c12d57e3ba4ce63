/* Attributes that only the library sets: results of the heuristic, notes of engines, workspaces. */
#include "cd_engine.h"
#include <string.h>

/* One engine of a graph, wrapped in a configuration that the caller has made. */
static cudnnStatus_t fill_config(cd_object *config, cd_object *graph, int64_t index)
{
    if (!config || config->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR || config->n_slots)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "results go into empty engine configurations");
    cd_object *engine = cd_make_internal(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnStatus_t status =
        cd_put(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cd_put(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
    if (status == CUDNN_STATUS_SUCCESS)
        status =
            cd_put(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine);
    config->finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

/* Without room the number of results that there are, else of those that were given. */
static cudnnStatus_t give_results(const cd_object *object, int64_t room, int64_t *n, void *elements)
{
    const cd_choice *choice = object->made;
    int64_t given = choice->n < room ? choice->n : room;
    if (n)
        *n = room ? given : choice->n;
    for (int64_t i = 0; i < given; i++) {
        cudnnStatus_t status = fill_config(
            cd_object_of(((void **)elements)[i]),
            cd_child(object, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 0), choice->engines[i]);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_notes(const int32_t *notes, int64_t count, int64_t room, int64_t *n,
                                void *elements)
{
    int64_t given = count < room ? count : room;
    if (n)
        *n = room ? given : count;
    if (given)
        memcpy(elements, notes, (size_t)given * sizeof *notes);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give_integer(int64_t value, int64_t room, int64_t *n, void *elements)
{
    if (n)
        *n = 1;
    if (room)
        memcpy(elements, &value, sizeof value);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cd_get_computed(const cd_object *object, int name, int64_t room, int64_t *n,
                              void *elements)
{
    int32_t notes[4];
    cd_choice choice = {0};
    if (room && !elements)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "GetAttribute: no room");
    int engine = (int)cd_integer(object, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        return give_results(object, room, n, elements);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        return give_notes(notes, cd_numerical_notes(engine, notes), room, n, elements);
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
        return give_notes(notes, cd_behavior_notes(engine, notes), room, n, elements);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        return give_integer(((const cd_plan *)object->made)->workspace_bytes, room, n, elements);
    case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT:
        cd_choose(object->made, &choice);
        return give_integer(choice.n ? CD_ENGINES : 0, room, n, elements);
    default: /* no knobs, no layouts */
        return give_notes(NULL, 0, 0, n, elements);
    }
}
