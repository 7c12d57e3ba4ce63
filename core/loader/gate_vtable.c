/* gate_vtable.c - the fields that no plugin of a kind may leave out, functions but for one, so that
 * the host need not ask again before each call. */
#include "loader/gate_vtable.h"

#include <string.h>

#include "wisp/backbone.h"
#include "wisp/backend.h"
#include "wisp/comm.h"
#include "wisp/dataset.h"
#include "wisp/method.h"
#include "wisp/sampler.h"
#include "wisp/task.h"

typedef struct mandatory {
    const char *kind, *name;
    size_t offset, instead; /* `instead`: another field that may stand for it; 0: none */
} mandatory;

#define MUST(kind, type, field)                                                                    \
    {                                                                                              \
        kind, #field, offsetof(type, field), 0                                                     \
    }
#define ONE_OF(kind, type, field, other)                                                           \
    {                                                                                              \
        kind, #field " or " #other, offsetof(type, field), offsetof(type, other)                   \
    }

static const mandatory fields[] = {
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, score),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, n_devices),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, device_info),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, open),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, close),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, alloc),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, free),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, to_device),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, to_host),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, sync),
    MUST(WISP_KIND_BACKEND, wisp_backend_v0, prepare),
    MUST(WISP_KIND_DATASET, wisp_dataset_v0, count),
    MUST(WISP_KIND_DATASET, wisp_dataset_v0, n_classes),
    MUST(WISP_KIND_DATASET, wisp_dataset_v0, read),
    MUST(WISP_KIND_DATASET, wisp_dataset_v0, sample_name),
    MUST(WISP_KIND_DATASET, wisp_dataset_v0, fingerprint),
    MUST(WISP_KIND_SAMPLER, wisp_sampler_v0, groups),
    MUST(WISP_KIND_SAMPLER, wisp_sampler_v0, plan),
    MUST(WISP_KIND_BACKBONE, wisp_backbone_v0, build),
    MUST(WISP_KIND_BACKBONE, wisp_backbone_v0, forward),
    MUST(WISP_KIND_METHOD, wisp_method_v0, requirements),
    MUST(WISP_KIND_METHOD, wisp_method_v0, build),
    MUST(WISP_KIND_METHOD, wisp_method_v0, step),
    MUST(WISP_KIND_METHOD, wisp_method_v0, evaluated_network),
    MUST(WISP_KIND_TASK, wisp_task_v0, needs),
    ONE_OF(WISP_KIND_TASK, wisp_task_v0, evaluate, predict),
    MUST(WISP_KIND_COMM, wisp_comm_v0, open),
    MUST(WISP_KIND_COMM, wisp_comm_v0, close),
    MUST(WISP_KIND_COMM, wisp_comm_v0, all_reduce),
    MUST(WISP_KIND_COMM, wisp_comm_v0, all_gather),
    MUST(WISP_KIND_COMM, wisp_comm_v0, broadcast),
    MUST(WISP_KIND_COMM, wisp_comm_v0, barrier),
    MUST(WISP_KIND_COMM, wisp_comm_v0, memory_kind),
    MUST(WISP_KIND_COMM, wisp_comm_v0, abandon),
};

/* Is there something at the offset? What lies beyond the table's size is absent (ABI-4). */
static int has(const void *vtable, uint32_t size, size_t offset)
{
    uintptr_t pointer = 0; /* of a function or not, it is NULL or it is there */
    if (offset == 0 || offset + sizeof pointer > size)
        return 0;
    memcpy(&pointer, (const char *)vtable + offset, sizeof pointer);
    return pointer != 0;
}

wisp_status wispi_gate_vtable(const char *path, const wisp_descriptor *d, wisp_error *err)
{
    uint32_t size;
    if (!d->vtable)
        return wisp_fail(err, WISP_E_ABI, "%s: %s: it has no vtable (ABI-7)", path, d->name);
    memcpy(&size, d->vtable, sizeof size);
    for (size_t i = 0; i < WISP_COUNT(fields); i++) {
        const mandatory *f = &fields[i];
        if (strcmp(f->kind, d->kind) != 0)
            continue;
        if (size == 0)
            return wisp_fail(err, WISP_E_ABI,
                             "%s: %s: the struct_size of its vtable is 0: set it to the sizeof of "
                             "the table (ABI-4)",
                             path, d->name);
        if (!has(d->vtable, size, f->offset) && !has(d->vtable, size, f->instead))
            return wisp_fail(err, WISP_E_ABI, "%s: %s: its vtable lacks the mandatory %s (ABI-21)",
                             path, d->name, f->name);
    }
    return WISP_OK;
}
