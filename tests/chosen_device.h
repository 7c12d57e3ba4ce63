/* chosen_device.h - tests only: the device that the environment names, by WISP_TEST_DEVICE and
 * WISP_PLUGIN_PATH; the reference device where it names none. */
#ifndef WISP_TESTS_CHOSEN_DEVICE_H
#define WISP_TESTS_CHOSEN_DEVICE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "loader/host_table.h"
#include "loader/registry.h"
#include "tensor/device.h"

typedef struct chosen_device {
    wispi_registry *registry;
    wispi_arena *arena;
    wispi_instance backend;
    wispi_device *device;
} chosen_device;

static inline void chosen_device_load(chosen_device *c, const char *name)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const char *from_environment = getenv("WISP_PLUGIN_PATH");
    const wispi_registry_options options = {from_environment ? NULL : folders, 0, 0};
    wisp_error err = {0};
    wisp_status status = wispi_registry_create(&options, wispi_host_table(), &c->registry, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    c->arena = wispi_arena_create(1 << 12);
    status = wispi_instance_named(c->registry, "backend", name, c->arena, &c->backend, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
}

static inline chosen_device chosen_device_open(void)
{
    const wispi_device_options options = {1, 1, 0};
    const char *name = getenv("WISP_TEST_DEVICE");
    chosen_device c;
    wisp_error err = {0};
    memset(&c, 0, sizeof c);
    if (name)
        chosen_device_load(&c, name);
    const wisp_status status = wispi_device_open(name ? c.backend.plugin->descriptor->vtable : NULL,
                                                 c.backend.self, 0, &options, &c.device, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return c;
}

static inline void chosen_device_close(chosen_device *c)
{
    wispi_device_close(c->device);
    wispi_instance_destroy(&c->backend);
    if (c->registry)
        wispi_registry_destroy(c->registry);
    if (c->arena)
        wispi_arena_destroy(c->arena);
}

#endif
