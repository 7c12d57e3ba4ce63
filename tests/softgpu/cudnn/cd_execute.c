/* cudnnBackendExecute: a plan meets its data. */
#include "cd_handle.h"
#include "cd_run.h"
#include <stdlib.h>
#include <string.h>

/* Is everything that a plan was made of still there? */
static int all_live(const cd_object *object)
{
    for (int s = 0; s < object->n_slots; s++)
        for (int64_t i = 0;
             object->slots[s].type == CUDNN_TYPE_BACKEND_DESCRIPTOR && i < object->slots[s].count;
             i++) {
            const cd_object *child = ((cd_object **)object->slots[s].data)[i];
            if (child->destroyed || !all_live(child))
                return 0;
        }
    return 1;
}

static int find_tensor(const cd_graph *graph, int64_t uid)
{
    for (int t = 0; t < graph->n_tensors; t++)
        if (graph->tensors[t].uid == uid && !graph->tensors[t].is_virtual)
            return t;
    return -1;
}

/* A value on the host, as the tensor's type has it. */
static double value_of(const cd_tensor *tensor, const void *memory)
{
    float value;
    cd_load(tensor, memory, &value);
    return tensor->type == CUDNN_DATA_DOUBLE ? *(const double *)memory : (double)value;
}

static cudnnStatus_t bind(const soft_device *device, const cd_tensor *tensor, void *memory,
                          void **pointer, double *value)
{
    if (!memory)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "tensor %lld: NULL",
                       (long long)tensor->uid);
    if (tensor->by_value) {
        *value = value_of(tensor, memory);
        return CUDNN_STATUS_SUCCESS;
    }
    if ((uintptr_t)memory % (uint64_t)tensor->alignment)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "tensor %lld: misaligned",
                       (long long)tensor->uid);
    if (!soft_device_has(device, "cudnnBackendExecute", "a tensor", memory,
                         (size_t)cd_extent(tensor) * cd_element_bytes(tensor->type)))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "tensor %lld: not the device's memory",
                       (long long)tensor->uid);
    *pointer = memory;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t bind_all(const soft_device *device, const cd_object *pack, cd_launch *launch)
{
    const cd_graph *graph = &launch->plan.graph;
    const cd_slot *uids = cd_slot_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    void *const *data = cd_slot_of(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)->data;
    uint8_t bound[CD_TENSORS] = {0};
    for (int64_t i = 0; i < uids->count; i++) {
        int64_t uid = ((const int64_t *)uids->data)[i];
        int t = find_tensor(graph, uid);
        if (t < 0)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "variant pack: the graph has no tensor %lld",
                           (long long)uid);
        cudnnStatus_t status =
            bind(device, &graph->tensors[t], data[i], &launch->pointers[t], &launch->by_value[t]);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
        bound[t] = 1;
    }
    for (int t = 0; t < graph->n_tensors; t++)
        if (!graph->tensors[t].is_virtual && !bound[t])
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "variant pack: no data for tensor %lld",
                           (long long)graph->tensors[t].uid);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t bind_workspace(const soft_device *device, const cd_object *pack,
                                    cd_launch *launch)
{
    const cd_slot *slot = cd_slot_of(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    if (!launch->plan.workspace_bytes)
        return CUDNN_STATUS_SUCCESS;
    launch->workspace = slot ? *(void **)slot->data : NULL;
    if ((uintptr_t)launch->workspace % 16)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "workspace: misaligned");
    if (!launch->workspace ||
        !soft_device_has(device, "cudnnBackendExecute", "the workspace", launch->workspace,
                         (size_t)launch->plan.workspace_bytes))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "workspace: less than the plan's %lld bytes",
                       (long long)launch->plan.workspace_bytes);
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t launch_plan(cudnnHandle_t handle, const cd_plan *plan, const cd_object *pack,
                                 cd_launch *launch)
{
    launch->plan = *plan;
    cudnnStatus_t status = bind_all(handle->device, pack, launch);
    if (status == CUDNN_STATUS_SUCCESS)
        status = bind_workspace(handle->device, pack, launch);
    if (status == CUDNN_STATUS_SUCCESS &&
        handle->device->enqueue(handle->stream, cd_run, launch, sizeof *launch, "cudnn"))
        status = cd_fail(CUDNN_STATUS_EXECUTION_FAILED, "the device refused the launch");
    return status;
}

SOFT_API cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                           cudnnBackendDescriptor_t variant_pack)
{
    const cd_object *of_plan = cd_object_of(plan), *pack = cd_object_of(variant_pack);
    if (!handle || !of_plan || !pack)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "Execute: NULL");
    if (of_plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
        pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "Execute: no plan or no pack");
    if (!of_plan->finalized || !pack->finalized)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "Execute: not finalized");
    if (!all_live(of_plan))
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "Execute: a descriptor of the plan was destroyed");
    cd_launch *launch = calloc(1, sizeof *launch);
    if (!launch)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    cudnnStatus_t status = launch_plan(handle, of_plan->made, pack, launch);
    free(launch);
    return status;
}
