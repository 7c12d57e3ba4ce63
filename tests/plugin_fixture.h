/* plugin_fixture.h - a plugin of the build tree, made from a line of TOML the way the host does. */
#ifndef WISP_TESTS_PLUGIN_FIXTURE_H
#define WISP_TESTS_PLUGIN_FIXTURE_H

#include <check.h>

#include "config/config.h"
#include "loader/host_table.h"
#include "loader/registry.h"

typedef struct plugin_fixture {
    wispi_registry *registry;
    wispi_config *config;
    wispi_instance instance;
} plugin_fixture;

static inline void plugin_fixture_close(plugin_fixture *fixture)
{
    wispi_instance_destroy(&fixture->instance);
    wispi_config_destroy(fixture->config);
    wispi_registry_destroy(fixture->registry);
    memset(fixture, 0, sizeof *fixture);
}

/* `toml` is the plugin's table without its header: "use = \"multicrop\"\nflip = 0.5". On failure
 * nothing is left to close. */
static inline wisp_status plugin_fixture_try(plugin_fixture *fixture, const char *kind,
                                             const char *toml, wisp_error *err)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wispi_registry_options options = {folders, 1, 0};
    memset(fixture, 0, sizeof *fixture);
    wisp_status status =
        wispi_registry_create(&options, wispi_host_table(), &fixture->registry, err);
    if (status == WISP_OK)
        status = wispi_config_parse_text("test", toml, NULL, 0, &fixture->config, err);
    if (status == WISP_OK)
        status =
            wispi_instance_create(fixture->registry, kind, wispi_config_root(fixture->config), kind,
                                  wispi_config_arena(fixture->config), &fixture->instance, err);
    if (status != WISP_OK)
        plugin_fixture_close(fixture);
    return status;
}

/* As above; a failure ends the test. */
static inline const void *plugin_fixture_open(plugin_fixture *fixture, const char *kind,
                                              const char *toml)
{
    wisp_error err = {0};
    wisp_status status = plugin_fixture_try(fixture, kind, toml, &err);
    if (status != WISP_OK)
        ck_abort_msg("%s: %s: %s", toml, wisp_status_name(status), err.message);
    return fixture->instance.plugin->descriptor->vtable;
}

#endif
