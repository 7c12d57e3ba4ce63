/* Making, filling, reading and destroying descriptors. */
#include "cd_object.h"
#include <stdlib.h>
#include <string.h>

cd_object *cd_object_of(const void *descriptor)
{
    cd_object *object;
    memcpy(&object, &descriptor, sizeof object);
    return object && object->magic == CD_MAGIC && !object->destroyed ? object : NULL;
}

const cd_slot *cd_slot_of(const cd_object *object, int name)
{
    for (int i = 0; i < object->n_slots; i++)
        if (object->slots[i].name == name)
            return &object->slots[i];
    return NULL;
}

int64_t cd_count(const cd_object *object, int name)
{
    const cd_slot *slot = cd_slot_of(object, name);
    return slot ? slot->count : 0;
}

int64_t cd_integer(const cd_object *object, int name, int64_t fallback)
{
    const cd_slot *slot = cd_slot_of(object, name);
    if (!slot)
        return fallback;
    switch (cd_type_bytes(slot->type)) {
    case 1:
        return *(const uint8_t *)slot->data;
    case 4:
        return *(const int32_t *)slot->data;
    default:
        return *(const int64_t *)slot->data;
    }
}

double cd_real(const cd_object *object, int name, double fallback)
{
    const cd_slot *slot = cd_slot_of(object, name);
    if (!slot)
        return fallback;
    return slot->type == CUDNN_TYPE_FLOAT ? *(const float *)slot->data
                                          : *(const double *)slot->data;
}

cd_object *cd_child(const cd_object *object, int name, int64_t i)
{
    const cd_slot *slot = cd_slot_of(object, name);
    return slot && i < slot->count ? ((cd_object **)slot->data)[i] : NULL;
}

static void release(cd_object *object);

static void empty_slot(cd_slot *slot)
{
    if (slot->type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < slot->count; i++) {
            cd_object *child = ((cd_object **)slot->data)[i];
            child->held--;
            release(child);
        }
    free(slot->data);
}

/* Frees a destroyed object as soon as nobody holds it. */
static void release(cd_object *object)
{
    if (!(object->destroyed || object->internal) || object->held > 0)
        return;
    for (int i = 0; i < object->n_slots; i++)
        empty_slot(&object->slots[i]);
    object->magic = 0;
    free(object->made);
    free(object);
}

cudnnStatus_t cd_put(cd_object *object, int name, int type, int64_t n, const void *elements)
{
    size_t bytes = (size_t)n * cd_type_bytes(type);
    void *data = malloc(bytes);
    cd_slot *slot = NULL;
    for (int i = 0; i < object->n_slots; i++)
        if (object->slots[i].name == name)
            slot = &object->slots[i];
    if (!data || (!slot && object->n_slots == CD_SLOTS)) {
        free(data);
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    }
    memcpy(data, elements, bytes);
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < n; i++)
            ((cd_object **)data)[i]->held++;
    if (slot)
        empty_slot(slot);
    else
        slot = &object->slots[object->n_slots++];
    *slot = (cd_slot){.name = name, .type = type, .count = n, .data = data};
    return CUDNN_STATUS_SUCCESS;
}

/* alpha and beta may be float or double. */
static int is_type_of(const cd_rule *rule, int type)
{
    return rule->type == type || (rule->type == CUDNN_TYPE_FLOAT && type == CUDNN_TYPE_DOUBLE);
}

static cudnnStatus_t check_children(const cd_rule *rule, int64_t n, const void *elements)
{
    for (int64_t i = 0; i < n; i++) {
        cd_object *child = cd_object_of(((void *const *)elements)[i]);
        if (!child)
            return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "attribute %d: no descriptor",
                           rule->name);
        if (!child->finalized)
            return cd_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED,
                           "attribute %d: a descriptor that is not finalized", rule->name);
        if (rule->child == CD_ANY_OPERATION ? !cd_is_operation(child->type)
                                            : child->type != rule->child)
            return cd_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE,
                           "attribute %d: a descriptor of type %d", rule->name, child->type);
    }
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                                cudnnBackendAttributeName_t name,
                                                cudnnBackendAttributeType_t type, int64_t n,
                                                const void *elements)
{
    cd_object *object = cd_object_of(descriptor);
    if (!object || !elements)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "SetAttribute: NULL");
    if (object->finalized)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "SetAttribute: finalized already");
    const cd_rule *rule = cd_rule_of(object->type, (int)name);
    if (!rule || rule->flags & CD_READ_ONLY)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "descriptor %d has no attribute %d to set",
                       object->type, (int)name);
    if (!is_type_of(rule, (int)type))
        return cd_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d is not of type %d",
                       (int)name, (int)type);
    if (n < rule->least || n > rule->most)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "attribute %d has %d to %d elements, not %lld",
                       (int)name, rule->least, rule->most, (long long)n);
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        cudnnStatus_t status = check_children(rule, n, elements);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
    }
    return cd_put(object, (int)name, (int)type, n, elements);
}

cudnnStatus_t cd_copy(cd_object *to, const cd_object *from)
{
    for (int s = 0; s < from->n_slots; s++) {
        cudnnStatus_t status = cd_put(to, from->slots[s].name, from->slots[s].type,
                                      from->slots[s].count, from->slots[s].data);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
    }
    to->finalized = 1;
    return CUDNN_STATUS_SUCCESS;
}

cd_object *cd_make_internal(int type)
{
    cd_object *object = soft_scratch(sizeof *object);
    memset(object, 0, sizeof *object);
    object->magic = CD_MAGIC;
    object->type = type;
    object->internal = 1;
    object->finalized = 1;
    return object;
}

/* Descriptors come out as copies into descriptors that the caller has made. */
static cudnnStatus_t give_children(const cd_slot *slot, int64_t n, void *elements)
{
    for (int64_t i = 0; i < n; i++) {
        const cd_object *from = ((cd_object **)slot->data)[i];
        cd_object *to = cd_object_of(((void **)elements)[i]);
        if (!to || to->type != from->type || to->n_slots)
            return cd_fail(CUDNN_STATUS_BAD_PARAM, "GetAttribute: no empty descriptor to fill");
        cudnnStatus_t status = cd_copy(to, from);
        if (status != CUDNN_STATUS_SUCCESS)
            return status;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t give(const cd_slot *slot, int64_t room, int64_t *n, void *elements)
{
    int64_t given = slot->count < room ? slot->count : room;
    if (n)
        *n = slot->count;
    if (given == 0)
        return CUDNN_STATUS_SUCCESS;
    if (!elements)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "GetAttribute: no room");
    if (slot->type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        return give_children(slot, given, elements);
    memcpy(elements, slot->data, (size_t)given * cd_type_bytes(slot->type));
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                                cudnnBackendAttributeName_t name,
                                                cudnnBackendAttributeType_t type, int64_t room,
                                                int64_t *n, void *elements)
{
    const cd_object *object = cd_object_of(descriptor);
    if (!object || room < 0)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "GetAttribute: NULL");
    if (!object->finalized)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "GetAttribute: not finalized");
    const cd_rule *rule = cd_rule_of(object->type, (int)name);
    if (!rule)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "descriptor %d has no attribute %d", object->type,
                       (int)name);
    if (!is_type_of(rule, (int)type))
        return cd_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d is not of type %d",
                       (int)name, (int)type);
    if (rule->flags & CD_READ_ONLY)
        return cd_get_computed(object, (int)name, room, n, elements);
    const cd_slot *slot = cd_slot_of(object, (int)name);
    cd_slot nothing = {.name = (int32_t)name, .type = (int32_t)type};
    return give(slot ? slot : &nothing, room, n, elements);
}

SOFT_API cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                    cudnnBackendDescriptor_t *descriptor)
{
    if (!descriptor)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "CreateDescriptor: NULL");
    if (!cd_is_known((int)type))
        return cd_fail(CUDNN_STATUS_NOT_SUPPORTED, "descriptors of type %d are not served",
                       (int)type);
    cd_object *object = calloc(1, sizeof *object);
    if (!object)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    object->magic = CD_MAGIC;
    object->type = (int32_t)type;
    *descriptor = object;
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    cd_object *object = cd_object_of(descriptor);
    if (!object)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "DestroyDescriptor: no descriptor");
    object->destroyed = 1;
    release(object);
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    cd_object *object = cd_object_of(descriptor);
    if (!object)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "Finalize: no descriptor");
    if (object->finalized)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "Finalize: finalized already");
    int missing = cd_missing(object);
    if (missing >= 0)
        return cd_fail(CUDNN_STATUS_BAD_PARAM, "Finalize: descriptor %d lacks attribute %d",
                       object->type, missing);
    cudnnStatus_t status = cd_finalize(object);
    object->finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}
