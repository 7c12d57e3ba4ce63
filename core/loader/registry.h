/* registry.h - finds plugin files, lets them in or refuses them, and makes instances.
 *
 * Search order (ABI-17): paths named by the caller, WISP_PLUGIN_PATH (ignored under elevated
 * privileges), the build tree, the installed folder. A file is wisp-<kind>-<name>.so; the first
 * match wins and shadowed files are reported. An accepted library stays loaded for the process
 * (ABI-14). */
#ifndef WISPI_LOADER_REGISTRY_H
#define WISPI_LOADER_REGISTRY_H

#include "base/arena.h"
#include "config/node.h"
#include "wisp/host.h"

typedef struct wispi_registry wispi_registry;

typedef struct wispi_registry_options {
    const char *const *folders; /* NULL-terminated, searched first; or NULL */
    int32_t ignore_environment;
    int32_t allow_insecure; /* files that everybody may change are loaded too (trust.h) */
} wispi_registry_options;

/* An accepted plugin. Lives as long as its registry; descriptor and code as long as the process. */
typedef struct wispi_plugin {
    const wisp_descriptor *descriptor;
    const char *kind; /* "method": the kind id without "wisp." and version */
    const char *path; /* "" for statically linked plugins */
    uint64_t file_hash;
    uint16_t abi_major, abi_minor;
    char title[64];                  /* "method/dino" */
    const struct wispi_plugin *next; /* another one of the same file, or NULL */
} wispi_plugin;

/* A plugin configured from one TOML table. */
typedef struct wispi_instance {
    const wispi_plugin *plugin;
    void *config; /* the plugin's config struct, filled */
    void *self;
    const char *table_path; /* "method", "probe.0" */
} wispi_instance;

/* `host` is handed to every plugin. */
wisp_status wispi_registry_create(const wispi_registry_options *options, const wisp_host *host,
                                  wispi_registry **registry, wisp_error *err);
void wispi_registry_destroy(wispi_registry *registry); /* calls fini in reverse; no dlclose */
int32_t wispi_registry_allows_insecure(const wispi_registry *registry);

/* Adds the bundle of a plugin that is linked into the program (ABI-1). */
wisp_status wispi_registry_add_static(wispi_registry *registry, const wisp_bundle *bundle,
                                      wisp_error *err);

/* Finds and loads one plugin. The error names the folders searched and the nearest known names. */
wisp_status wispi_registry_load(wispi_registry *registry, const char *kind, const char *name,
                                const wispi_plugin **plugin, wisp_error *err);
/* Loads one file, whatever its name, and gives its first plugin (of `kind`, unless that is NULL).
 */
wisp_status wispi_registry_load_file(wispi_registry *registry, const char *path, const char *kind,
                                     const wispi_plugin **plugin, wisp_error *err);

/* One file found by a scan. `error` is empty for a good one. Probing happens in a child process, so
 * a file that crashes costs one line (ABI-11). */
typedef struct wispi_listed {
    const char *kind, *name, *version, *summary, *path, *error;
    int32_t shadowed; /* a folder searched earlier has the same plugin */
} wispi_listed;

/* Calls `each` for every plugin file on the search path, by kind and name; `kind` NULL: all. */
wisp_status wispi_registry_scan(wispi_registry *registry, const char *kind,
                                void (*each)(void *user, const wispi_listed *listed), void *user,
                                wisp_error *err);

/* The names alone, each once, without loading anything; `kind` as in "backend". */
wisp_status wispi_registry_names(wispi_registry *registry, const char *kind,
                                 void (*each)(void *user, const char *name), void *user,
                                 wisp_error *err);

/* Loads what the table's `use` names (a name, or a path to a .so), fills its options from the
 * table, checks and creates. Strings live in `arena`. `table_path` names the table in messages. */
wisp_status wispi_instance_create(wispi_registry *registry, const char *kind,
                                  const wispi_node *table, const char *table_path,
                                  wispi_arena *arena, wispi_instance *instance, wisp_error *err);
/* The same by a plugin's name alone, with the options' defaults. */
wisp_status wispi_instance_named(wispi_registry *registry, const char *kind, const char *name,
                                 wispi_arena *arena, wispi_instance *instance, wisp_error *err);
/* One more instance from an existing one's configuration (a backbone in a second network). */
wisp_status wispi_instance_again(const wispi_registry *registry, const wispi_instance *model,
                                 wispi_instance *instance, wisp_error *err);
void wispi_instance_destroy(wispi_instance *instance); /* accepts a zeroed one */

/* Extensions that host.get_extension finds. `table` lives as long as the process. */
wisp_status wispi_provide_extension(const char *id, const void *table, wisp_error *err);

#endif
