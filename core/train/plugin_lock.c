#include "train/plugin_lock.h"

#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "train/manifest.h"

/* What fits into a message, with the words around it. */
enum { LONGEST_LIST = 1000 };

typedef struct differences {
    wispi_text lines;
    int n_left_out;
} differences;

static void add(differences *d, const char *line)
{
    if (d->lines.length + strlen(line) > LONGEST_LIST)
        d->n_left_out++;
    else
        wispi_text_printf(&d->lines, "\n  %s", line);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "?";
}

/* --- two lists of plugins --- */

static int is_same_plugin(const json_t *a, const json_t *b)
{
    return strcmp(text_of(a, "kind"), text_of(b, "kind")) == 0 &&
           strcmp(text_of(a, "name"), text_of(b, "name")) == 0;
}

/* The first entry of that plugin: a list has one for each table that names it. */
static const json_t *find(const json_t *plugins, const json_t *plugin)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(plugins, i, entry)
    {
        if (is_same_plugin(entry, plugin))
            return entry;
    }
    return NULL;
}

static void compare_plugin(differences *d, const json_t *before, const json_t *plugin)
{
    char line[400];
    const json_t *former = find(before, plugin);
    if (former && strcmp(text_of(former, "hash"), text_of(plugin, "hash")) == 0)
        return;
    if (former)
        snprintf(line, sizeof line, "%s/%s is another build: %s (hash %s), not %s (hash %s)",
                 text_of(plugin, "kind"), text_of(plugin, "name"), text_of(plugin, "version"),
                 text_of(plugin, "hash"), text_of(former, "version"), text_of(former, "hash"));
    else
        snprintf(line, sizeof line, "%s/%s is new: %s (hash %s)", text_of(plugin, "kind"),
                 text_of(plugin, "name"), text_of(plugin, "version"), text_of(plugin, "hash"));
    add(d, line);
}

static void compare_plugins(differences *d, const json_t *before, const json_t *now)
{
    size_t i;
    const json_t *plugin;
    char line[400];
    json_array_foreach(now, i, plugin)
    {
        if (find(now, plugin) == plugin)
            compare_plugin(d, before, plugin);
    }
    json_array_foreach(before, i, plugin)
    {
        if (find(before, plugin) != plugin || find(now, plugin))
            continue;
        snprintf(line, sizeof line, "%s/%s is missing: %s (hash %s)", text_of(plugin, "kind"),
                 text_of(plugin, "name"), text_of(plugin, "version"), text_of(plugin, "hash"));
        add(d, line);
    }
}

static void compare_host(differences *d, const json_t *before, const json_t *now)
{
    char line[400];
    if (strcmp(text_of(before, "wisp"), text_of(now, "wisp")) == 0 &&
        strcmp(text_of(before, "compiler"), text_of(now, "compiler")) == 0)
        return;
    snprintf(line, sizeof line, "wisp is another one: %s (compiler %s), not %s (compiler %s)",
             text_of(now, "wisp"), text_of(now, "compiler"), text_of(before, "wisp"),
             text_of(before, "compiler"));
    add(d, line);
}

static void compare(differences *d, const json_t *before, const json_t *now)
{
    compare_host(d, before, now);
    compare_plugins(d, json_object_get(before, "plugins"), json_object_get(now, "plugins"));
}

/* --- against a manifest --- */

static wisp_status refuse(const differences *d, const char *manifest, wisp_error *err)
{
    char more[40] = "";
    if (d->n_left_out)
        snprintf(more, sizeof more, "\n  ... and %d more", d->n_left_out);
    if (d->lines.failed)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to compare plugins");
    if (d->lines.length == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_CONFIG,
                     "--locked: %.160s was written with other means:%s%s\nput them back, or go "
                     "without --locked",
                     manifest, d->lines.data, more);
}

/* A run goes on with what it had last; one that is repeated has to have been made with one set of
 * plugins from its begin to its end. */
static wisp_status hold_to(const char *path, int is_own, const json_t *now, wisp_error *err)
{
    json_t *manifest = wispi_manifest_read(path);
    if (!manifest)
        return wisp_fail(err, WISP_E_CONFIG,
                         "--locked: %.500s is damaged, so there is nothing to hold plugins to: put "
                         "it back, or go without --locked",
                         path);
    differences d = {{0}, 0};
    const json_t *parts = json_object_get(manifest, "resumed");
    const size_t n = json_array_size(parts);
    if (n == 0 || !is_own)
        compare(&d, manifest, now);
    for (size_t i = is_own && n ? n - 1 : 0; i < n && d.lines.length == 0; i++)
        compare(&d, json_array_get(parts, i), now);
    const wisp_status status = refuse(&d, path, err);
    wispi_text_free(&d.lines);
    json_decref(manifest);
    return status;
}

static int is_there(const char *path, struct stat *info)
{
    return stat(path, info) == 0;
}

static wisp_status hold(const wispi_run_folder *folder, const char *beside, const json_t *now,
                        wisp_error *err)
{
    char path[WISPI_FOLDER_BYTES + 64];
    struct stat own, other;
    snprintf(path, sizeof path, "%s/manifest.json", folder->path);
    const int has_own = is_there(path, &own), has_other = is_there(beside, &other);
    if (has_own)
        WISP_TRY(hold_to(path, 1, now, err));
    else if (wispi_run_folder_has_checkpoint(folder))
        return wisp_fail(err, WISP_E_CONFIG,
                         "--locked: %.500s is missing, so there is nothing to hold plugins to: put "
                         "it back, or go without --locked",
                         path);
    if (has_other && !(has_own && own.st_dev == other.st_dev && own.st_ino == other.st_ino))
        return hold_to(beside, 0, now, err);
    if (!has_own && !has_other)
        wispi_log(WISP_LOG_INFO, "--locked: a new run, which the plugins of this call are written "
                                 "down for");
    return WISP_OK;
}

wisp_status wispi_plugin_lock_check(const wispi_run_folder *folder, const char *experiment_file,
                                    const wispi_session *session, wisp_error *err)
{
    char above[WISPI_FOLDER_BYTES], beside[WISPI_FOLDER_BYTES];
    WISP_TRY(wispi_path_folder(above, sizeof above, experiment_file));
    WISP_TRY(wispi_path_join(beside, sizeof beside, above, "manifest.json"));
    json_t *now = wispi_manifest_now(session);
    const wisp_status status = now ? hold(folder, beside, now, err)
                                   : wisp_fail(err, WISP_E_NOMEM, "no memory to compare plugins");
    json_decref(now);
    return status;
}
