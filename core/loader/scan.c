/* scan.c - every plugin file on the search path, for listings. */
#include "loader/registry.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loader/gate.h"
#include "loader/probe.h"
#include "loader/search.h"

typedef struct found_file {
    char path[WISPI_PATH_BYTES], kind[32], name[128];
    int32_t folder; /* position on the search path */
} found_file;

typedef struct scan {
    found_file *files;
    int32_t n, capacity;
} scan;

static int32_t kind_order(const char *kind)
{
    int32_t i = 0;
    while (wispi_kinds[i] && strcmp(wispi_kinds[i], kind) != 0)
        i++;
    return i;
}

static int by_kind_and_name(const void *a, const void *b)
{
    const found_file *left = a, *right = b;
    int32_t order = kind_order(left->kind) - kind_order(right->kind);
    order = order ? order : strcmp(left->kind, right->kind);
    order = order ? order : strcmp(left->name, right->name);
    return order ? order : left->folder - right->folder;
}

static wisp_status grow(scan *s, wisp_error *err)
{
    int32_t wanted = s->capacity ? 2 * s->capacity : 32;
    found_file *files =
        wispi_grow(s->files, (size_t)s->capacity * sizeof *files, (size_t)wanted * sizeof *files);
    if (!files)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to list plugins");
    s->files = files;
    s->capacity = wanted;
    return WISP_OK;
}

static wisp_status collect_folder(scan *s, const char *folder, int32_t index, const char *wanted,
                                  wisp_error *err)
{
    wisp_status status = WISP_OK;
    DIR *entries = opendir(folder);
    struct dirent *entry;
    while (status == WISP_OK && entries && (entry = readdir(entries))) {
        found_file file = {.folder = index};
        if (!wispi_plugin_file_name(entry->d_name, file.kind, file.name) ||
            (wanted && strcmp(file.kind, wanted) != 0))
            continue;
        int n = snprintf(file.path, sizeof file.path, "%s/%s", folder, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof file.path)
            continue; /* could not be loaded under this name either */
        if (s->n == s->capacity)
            status = grow(s, err);
        if (status == WISP_OK)
            s->files[s->n++] = file;
    }
    if (entries)
        closedir(entries);
    return status;
}

static wisp_status show(const scan *s, int32_t allow_insecure,
                        void (*each)(void *user, const wispi_listed *listed), void *user,
                        wisp_error *err)
{
    size_t n = s->n ? (size_t)s->n : 1;
    wispi_probe_result *results = wispi_alloc_array(n, sizeof *results);
    const char **paths = wispi_alloc_array(n, sizeof *paths);
    if (results && paths) {
        for (int32_t i = 0; i < s->n; i++)
            paths[i] = s->files[i].path;
        wispi_probe_files(paths, s->n, allow_insecure, results);
        for (int32_t i = 0; i < s->n; i++) {
            const found_file *file = &s->files[i], *before = i ? file - 1 : NULL;
            const wispi_listed listed = {
                .kind = file->kind,
                .name = file->name,
                .version = results[i].version,
                .summary = results[i].summary,
                .path = file->path,
                .error = results[i].error,
                .shadowed = before && strcmp(before->kind, file->kind) == 0 &&
                            strcmp(before->name, file->name) == 0,
            };
            each(user, &listed);
        }
    }
    int complete = results && paths;
    wispi_free(results);
    wispi_free(paths);
    return complete ? WISP_OK : wisp_fail(err, WISP_E_NOMEM, "no memory to list plugins");
}

static wisp_status find_files(wispi_registry *registry, const char *kind, scan *s, wisp_error *err)
{
    const wispi_search *search = wispi_registry_search(registry);
    WISP_TRY(wispi_kind_check(kind, err));
    wisp_status status = WISP_OK;
    for (int32_t i = 0; i < search->n_folders && status == WISP_OK; i++)
        status = collect_folder(s, search->folders[i], i, kind, err);
    if (s->n)
        qsort(s->files, (size_t)s->n, sizeof *s->files, by_kind_and_name);
    return status;
}

wisp_status wispi_registry_names(wispi_registry *registry, const char *kind,
                                 void (*each)(void *user, const char *name), void *user,
                                 wisp_error *err)
{
    scan s = {0};
    const wisp_status status = find_files(registry, kind, &s, err);
    for (int32_t i = 0; status == WISP_OK && i < s.n; i++)
        if (i == 0 || strcmp(s.files[i].name, s.files[i - 1].name) != 0)
            each(user, s.files[i].name);
    wispi_free(s.files);
    return status;
}

wisp_status wispi_registry_scan(wispi_registry *registry, const char *kind,
                                void (*each)(void *user, const wispi_listed *listed), void *user,
                                wisp_error *err)
{
    scan s = {0};
    wisp_status status = find_files(registry, kind, &s, err);
    if (status == WISP_OK)
        status = show(&s, wispi_registry_allows_insecure(registry), each, user, err);
    wispi_free(s.files);
    return status;
}
