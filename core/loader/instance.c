/* instance.c - from a TOML table to a plugin that runs (ABI-7, 8, 9). */
#include "loader/registry.h"

#include <string.h>

#include "base/memory.h"
#include "config/options_fill.h"
#include "loader/containment.h"
#include "loader/host_table.h"

static wisp_status resolve_requires(const wispi_plugin *plugin, wisp_error *err)
{
    const wisp_host *host = wispi_host_table();
    for (const char *const *id = plugin->descriptor->requires_ids; id && *id; id++)
        if (!host->get_extension(host, *id))
            return wisp_fail(err, WISP_E_ABI,
                             "%s/%s requires the extension \"%s\", which this host does not offer",
                             plugin->kind, plugin->descriptor->name, *id);
    return WISP_OK;
}

static wisp_status fill_config(const wispi_plugin *plugin, const wispi_node *table,
                               const char *table_path, wispi_arena *arena, void **config,
                               wisp_error *err)
{
    static const char *const also_allowed[] = {"use", NULL};
    const wisp_descriptor *d = plugin->descriptor;
    void *filled = wispi_arena_alloc(arena, d->config_size ? d->config_size : 1);
    if (!filled)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of %s", d->name);
    WISP_TRY(wispi_options_fill(table, table_path, d->options, d->n_options, d->option_size, filled,
                                arena, also_allowed, err));
    if (d->check) {
        wisp_status status;
        wisp_error inner = {0};
        WISPI_CALL(status, plugin, "check", &inner, d->check(filled, &inner));
        if (status == WISP_E_CONFIG)
            return wispi_node_fail(table, err, NULL, "[%s]: %s", table_path, inner.message);
        if (status != WISP_OK) {
            *err = inner;
            return status;
        }
    }
    *config = filled;
    return WISP_OK;
}

static wisp_status create(const wispi_plugin *plugin, const char *table_path, void *config,
                          wispi_instance *instance, wisp_error *err)
{
    const wisp_descriptor *d = plugin->descriptor;
    wispi_instance made = {plugin, config, config, table_path};
    if (d->create) {
        wisp_status status;
        WISPI_CALL(status, plugin, "create", err,
                   d->create(wispi_host_table(), config, &made.self, err));
        if (status != WISP_OK)
            return status;
    }
    *instance = made;
    return WISP_OK;
}

wisp_status wispi_instance_create(wispi_registry *registry, const char *kind,
                                  const wispi_node *table, const char *table_path,
                                  wispi_arena *arena, wispi_instance *instance, wisp_error *err)
{
    const char *use = NULL;
    const wispi_plugin *plugin = NULL;
    WISP_TRY(wispi_node_use(table, table_path, &use, err));
    wisp_error inner = {0};
    wisp_status status = strchr(use, '/')
                             ? wispi_registry_load_file(registry, use, &plugin, &inner)
                             : wispi_registry_load(registry, kind, use, &plugin, &inner);
    if (status == WISP_OK && strcmp(plugin->kind, kind) != 0)
        status = wisp_fail(&inner, WISP_E_CONFIG, "%s is a %s, [%s] needs a %s", use, plugin->kind,
                           table_path, kind);
    if (status != WISP_OK) {
        wispi_node_fail(wispi_node_find(table, "use"), err, NULL, "%s", inner.message);
        err->code = status;
        return status;
    }
    void *config = NULL;
    const char *kept_path = wispi_arena_text(arena, table_path);
    WISP_TRY(resolve_requires(plugin, err));
    WISP_TRY(fill_config(plugin, table, table_path, arena, &config, err));
    return create(plugin, kept_path ? kept_path : "", config, instance, err);
}

wisp_status wispi_instance_again(const wispi_registry *registry, const wispi_instance *model,
                                 wispi_instance *instance, wisp_error *err)
{
    (void)registry;
    return create(model->plugin, model->table_path, model->config, instance, err);
}

void wispi_instance_destroy(wispi_instance *instance)
{
    if (!instance->plugin)
        return;
    const wisp_descriptor *d = instance->plugin->descriptor;
    if (d->create && d->destroy)
        WISPI_VISIT(instance->plugin, "destroy", d->destroy(instance->self));
    memset(instance, 0, sizeof *instance);
}
