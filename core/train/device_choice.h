/* device_choice.h - from run.device to a backend and one of its devices. */
#ifndef WISPI_TRAIN_DEVICE_CHOICE_H
#define WISPI_TRAIN_DEVICE_CHOICE_H

#include "loader/registry.h"
#include "tensor/ranks.h"
#include "wisp/backend.h"

/* `device` is auto, a backend's name, or a name with an index: "cuda:1". "auto" takes the backend
 * of highest score that has a device, and says of every better one why it cannot be. Without an
 * index, ranks that share a machine take one device each where there are several. `ranks` NULL: one
 * process. `asked` is for messages: "run.device =". */
wisp_status wispi_device_choose(wispi_registry *registry, wispi_arena *arena, const char *asked,
                                const char *device, const wispi_ranks *ranks,
                                wispi_instance *backend, int32_t *index, wisp_error *err);

static inline const wisp_backend_v0 *wispi_backend_of(const wispi_instance *instance)
{
    return instance->plugin->descriptor->vtable;
}

#endif
