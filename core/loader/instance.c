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
                             "%s requires the extension \"%s\", which this host does not offer: "
                             "take a host that has it",
                             plugin->title, *id);
    return WISP_OK;
}

/* A failure of the plugin that `node` asked for: its own words, with the place in the TOML. */
static wisp_status fail_at(const wispi_node *node, const wisp_error *inner, const char *table_path,
                           wisp_error *err)
{
    if (!err)
        return inner->code;
    wispi_node_fail(node, err, NULL, "[%s]: %s", table_path, inner->message);
    err->code = inner->code;
    memcpy(err->plugin, inner->plugin, sizeof err->plugin);
    memcpy(err->function, inner->function, sizeof err->function);
    return inner->code;
}

static wisp_status fill_config(const wispi_plugin *plugin, const wispi_node *table,
                               const char *table_path, wispi_arena *arena, void **config,
                               wisp_error *err)
{
    static const char *const also_allowed[] = {"use", NULL};
    const wisp_descriptor *d = plugin->descriptor;
    void *filled = wispi_arena_alloc(arena, d->config_size ? d->config_size : 1);
    if (!filled)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of %s", plugin->title);
    WISP_TRY(wispi_options_fill(table, table_path, d->options, d->n_options, d->option_size, filled,
                                arena, also_allowed, err));
    if (d->check) {
        wisp_status status;
        wisp_error inner = {0};
        WISPI_CALL(status, plugin, "check", &inner, d->check(filled, &inner));
        if (status != WISP_OK)
            return fail_at(table, &inner, table_path, err);
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
        wisp_error inner = {0};
        WISPI_CALL(status, plugin, "create", &inner,
                   d->create(wispi_host_table(), config, &made.self, &inner));
        if (status != WISP_OK) {
            if (err)
                *err = inner;
            return status;
        }
    }
    *instance = made;
    return WISP_OK;
}

static wisp_status find_plugin(wispi_registry *registry, const char *kind, const char *use,
                               const wispi_plugin **plugin, wisp_error *err)
{
    WISP_TRY(strchr(use, '/') ? wispi_registry_load_file(registry, use, kind, plugin, err)
                              : wispi_registry_load(registry, kind, use, plugin, err));
    return resolve_requires(*plugin, err);
}

wisp_status wispi_instance_create(wispi_registry *registry, const char *kind,
                                  const wispi_node *table, const char *table_path,
                                  wispi_arena *arena, wispi_instance *instance, wisp_error *err)
{
    const char *use = NULL;
    const wispi_plugin *plugin = NULL;
    void *config = NULL;
    wisp_error inner = {0};
    WISP_TRY(wispi_node_use(table, table_path, &use, err));
    if (find_plugin(registry, kind, use, &plugin, &inner) != WISP_OK)
        return fail_at(wispi_node_find(table, "use"), &inner, table_path, err);
    WISP_TRY(fill_config(plugin, table, table_path, arena, &config, err));
    const char *kept_path = wispi_arena_text(arena, table_path);
    if (!kept_path)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for [%s]", table_path);
    if (create(plugin, kept_path, config, instance, &inner) != WISP_OK)
        return fail_at(table, &inner, table_path, err);
    return WISP_OK;
}

wisp_status wispi_instance_named(wispi_registry *registry, const char *kind, const char *name,
                                 wispi_arena *arena, wispi_instance *instance, wisp_error *err)
{
    wispi_node use = {.type = WISPI_NODE_STRING, .key = "use", .string = name};
    const wispi_node table = {
        .type = WISPI_NODE_TABLE, .key = kind, .n_children = 1, .first = &use, .last = &use};
    return wispi_instance_create(registry, kind, &table, kind, arena, instance, err);
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
