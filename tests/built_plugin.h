/* built_plugin.h - tests only: the plugins of this build, loaded and configured as an experiment
 * does it. Fails the running test when something is wrong. */
#ifndef WISP_TESTS_BUILT_PLUGIN_H
#define WISP_TESTS_BUILT_PLUGIN_H

#include <check.h>
#include <string.h>

#include "config/config.h"
#include "loader/host_table.h"
#include "loader/registry.h"
#include "nn/model.h"
#include "wisp/backend.h"

typedef struct built_plugins {
    wispi_registry *registry;
    wispi_config *config;
    wispi_instance instances[16];
    int32_t n;
} built_plugins;

/* `toml` holds the tables that the plugins are configured from. */
static inline built_plugins built_plugins_open(const char *toml)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wispi_registry_options options = {folders, 1, 0};
    wisp_error err = {0};
    built_plugins p;
    memset(&p, 0, sizeof p);
    wisp_status status = wispi_registry_create(&options, wispi_host_table(), &p.registry, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    status = wispi_config_parse_text("test", toml, NULL, 0, &p.config, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return p;
}

static inline void built_plugins_close(built_plugins *p)
{
    while (p->n > 0)
        wispi_instance_destroy(&p->instances[--p->n]);
    wispi_config_destroy(p->config);
    wispi_registry_destroy(p->registry);
}

/* An instance of the plugin that the table [`table`] names. */
static inline const wispi_instance *built_plugin(built_plugins *p, const char *kind,
                                                 const char *table)
{
    const wispi_node *node = wispi_node_find(wispi_config_root(p->config), table);
    wisp_error err = {0};
    ck_assert_int_lt(p->n, 16);
    wisp_status status = wispi_instance_create(
        p->registry, kind, node, table, wispi_config_arena(p->config), &p->instances[p->n], &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return &p->instances[p->n++];
}

/* For wispi_model_set_backbone_maker(); `user` is the built_plugins. */
static inline wisp_status built_backbone(void *user, const char *path,
                                         wispi_backbone_instance *made, wisp_error *err)
{
    const wispi_instance *instance = built_plugin(user, "backbone", "backbone");
    (void)path;
    (void)err;
    *made = (wispi_backbone_instance){instance->plugin->descriptor->vtable, instance->self, NULL};
    return WISP_OK;
}

/* The device of the table [`backend`]; NULL: the reference kernels. */
static inline wispi_device *built_device(built_plugins *p, const char *table)
{
    const wispi_device_options options = {1, 1, 0};
    const wispi_instance *backend = table ? built_plugin(p, "backend", table) : NULL;
    wispi_device *device = NULL;
    wisp_error err = {0};
    wisp_status status =
        wispi_device_open(backend ? backend->plugin->descriptor->vtable : NULL,
                          backend ? backend->self : NULL, 0, &options, &device, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    return device;
}

#endif
