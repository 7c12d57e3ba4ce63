/* registry.c - the libraries that were let in, and the plugins that they hold. */
#include "loader/registry.h"

#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/memory.h"
#include "loader/containment.h"
#include "loader/gate.h"
#include "loader/search.h"
#include "loader/trust.h"

/* A library that was let in. Its device and inode tell one file under two names (ABI-13). */
typedef struct library {
    const wisp_bundle *bundle;
    char path[WISPI_PATH_BYTES];
    dev_t device;
    ino_t inode;
    uint64_t hash;
    wispi_plugin *plugins;
    uint64_t n_plugins;
    struct library *next;
} library;

struct wispi_registry {
    const wisp_host *host;
    wispi_search search;
    int32_t allow_insecure;
    library *libraries; /* newest first, so that fini runs in reverse order of init */
};

const wispi_search *wispi_registry_search(const wispi_registry *registry)
{
    return &registry->search;
}

int32_t wispi_registry_allows_insecure(const wispi_registry *registry)
{
    return registry->allow_insecure;
}

wisp_status wispi_registry_create(const wispi_registry_options *options, const wisp_host *host,
                                  wispi_registry **registry, wisp_error *err)
{
    const int32_t allow_insecure = options && options->allow_insecure;
    if (allow_insecure && wispi_is_elevated())
        return wisp_fail(err, WISP_E_INVALID,
                         "--allow-insecure-plugins is not for a program that has more rights than "
                         "its caller (docs/trust.md)");
    wispi_registry *r = wispi_alloc(sizeof *r);
    if (!r)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the registry of plugins");
    r->host = host;
    r->allow_insecure = allow_insecure;
    wisp_status status = wispi_search_init(&r->search, options, err);
    if (status == WISP_OK)
        *registry = r;
    else
        wispi_free(r);
    return status;
}

void wispi_registry_destroy(wispi_registry *registry)
{
    if (!registry)
        return;
    for (library *l = registry->libraries, *next; l; l = next) {
        next = l->next;
        if (WISP_HAS(l->bundle, wisp_bundle, fini) && l->bundle->fini)
            WISPI_VISIT(&l->plugins[0], "fini", l->bundle->fini());
        wispi_free(l->plugins);
        wispi_free(l);
    }
    wispi_free(registry);
}

/* Takes an accepted bundle in: plugins get their records, then init runs once (ABI-9). */
static wisp_status admit(wispi_registry *registry, library *l, wisp_error *err)
{
    l->n_plugins = l->bundle->n_descriptors;
    l->plugins = wispi_alloc_array(l->n_plugins, sizeof *l->plugins);
    if (!l->plugins)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its plugins", l->path);
    for (uint64_t i = 0; i < l->n_plugins; i++) {
        wispi_plugin *plugin = &l->plugins[i];
        plugin->descriptor = l->bundle->descriptors[i];
        plugin->kind = wispi_kind_short(plugin->descriptor->kind);
        plugin->path = l->path;
        plugin->file_hash = l->hash;
        plugin->abi_major = l->bundle->abi_major;
        plugin->abi_minor = l->bundle->abi_minor;
        plugin->next = i + 1 < l->n_plugins ? plugin + 1 : NULL;
        snprintf(plugin->title, sizeof plugin->title, "%s/%s", plugin->kind,
                 plugin->descriptor->name);
    }
    wisp_status status = WISP_OK;
    wisp_error inner = {0};
    if (WISP_HAS(l->bundle, wisp_bundle, init) && l->bundle->init)
        WISPI_CALL(status, &l->plugins[0], "init", &inner, l->bundle->init(registry->host, &inner));
    if (status != WISP_OK) {
        if (err)
            *err = inner;
        return status;
    }
    l->next = registry->libraries;
    registry->libraries = l;
    return WISP_OK;
}

static void discard(library *l)
{
    if (l)
        wispi_free(l->plugins);
    wispi_free(l);
}

wisp_status wispi_registry_add_static(wispi_registry *registry, const wisp_bundle *bundle,
                                      wisp_error *err)
{
    WISP_TRY(wispi_gate_judge("(linked in)", bundle, err));
    library *l = wispi_alloc(sizeof *l);
    if (!l)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a plugin");
    l->bundle = bundle;
    wisp_status status = admit(registry, l, err);
    if (status != WISP_OK)
        discard(l);
    return status;
}

static library *known_file(const wispi_registry *registry, const struct stat *info)
{
    for (library *l = registry->libraries; l; l = l->next)
        if (l->path[0] && l->device == info->st_dev && l->inode == info->st_ino)
            return l;
    return NULL;
}

/* The library stays loaded from here on, unless it was refused (ABI-14). */
static wisp_status open_library(wispi_registry *registry, const char *path, library **out,
                                wisp_error *err)
{
    struct stat info = {0};
    if (stat(path, &info) == 0 && (*out = known_file(registry, &info)))
        return WISP_OK;
    if (strlen(path) >= WISPI_PATH_BYTES)
        return wisp_fail(err, WISP_E_INVALID, "%.200s...: the path is too long", path);
    library *l = wispi_alloc(sizeof *l);
    if (!l)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory to load it", path);
    void *handle = NULL;
    snprintf(l->path, sizeof l->path, "%s", path);
    wisp_status status = wispi_gate_open(path, registry->allow_insecure, &handle, &l->bundle, err);
    l->device = info.st_dev;
    l->inode = info.st_ino;
    if (status == WISP_OK)
        status = wispi_file_hash(path, &l->hash, err);
    if (status == WISP_OK)
        status = admit(registry, l, err);
    if (status != WISP_OK) {
        discard(l);
        return status;
    }
    *out = l;
    return WISP_OK;
}

static const wispi_plugin *find_loaded(const wispi_registry *registry, const char *kind,
                                       const char *name)
{
    for (const library *l = registry->libraries; l; l = l->next)
        for (uint64_t i = 0; i < l->n_plugins; i++)
            if (strcmp(l->plugins[i].kind, kind) == 0 &&
                strcmp(l->plugins[i].descriptor->name, name) == 0)
                return &l->plugins[i];
    return NULL;
}

wisp_status wispi_registry_load(wispi_registry *registry, const char *kind, const char *name,
                                const wispi_plugin **plugin, wisp_error *err)
{
    const wispi_plugin *found = find_loaded(registry, kind, name);
    if (!found) {
        char path[WISPI_PATH_BYTES];
        library *l = NULL;
        WISP_TRY(wispi_kind_check(kind, err));
        WISP_TRY(wispi_search_find(&registry->search, kind, name, path, err));
        WISP_TRY(open_library(registry, path, &l, err));
        found = find_loaded(registry, kind, name);
        if (!found)
            return wisp_fail(err, WISP_E_ABI,
                             "%s holds %s/%s, not %s/%s: rename the file or the plugin", path,
                             l->plugins[0].kind, l->plugins[0].descriptor->name, kind, name);
    }
    *plugin = found;
    return WISP_OK;
}

wisp_status wispi_registry_load_file(wispi_registry *registry, const char *path, const char *kind,
                                     const wispi_plugin **plugin, wisp_error *err)
{
    library *l = NULL;
    WISP_TRY(open_library(registry, path, &l, err));
    for (uint64_t i = 0; i < l->n_plugins; i++) {
        if (!kind || strcmp(l->plugins[i].kind, kind) == 0) {
            *plugin = &l->plugins[i];
            return WISP_OK;
        }
    }
    return wisp_fail(err, WISP_E_CONFIG, "%s holds %s, but a %s is needed here", path,
                     l->plugins[0].title, kind);
}
