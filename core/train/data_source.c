#include "train/data_source.h"

#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "config/override.h"
#include "loader/containment.h"
#include "wisp/dataset.h"

enum { NAME = WISPI_DATA_PLUGIN_NAME, CERTAIN = 100 };

/* --- who knows the data --- */

typedef struct vote {
    wispi_registry *registry;
    const char *path;
    char best[NAME];
    int32_t score, n_best;
    wisp_status status;             /* not OK: memory was short */
    wispi_text tied, asked, silent; /* names */
} vote;

static void add_name(wispi_text *list, const char *name)
{
    wispi_text_printf(list, "%s%s", list->length ? ", " : "", name);
}

static void ask(void *user, const char *name)
{
    vote *v = user;
    const wispi_plugin *plugin = NULL;
    int32_t score = 0;
    const wisp_status status = wispi_registry_load(v->registry, "dataset", name, &plugin, NULL);
    if (status == WISP_E_NOMEM)
        v->status = status;
    const wisp_dataset_v0 *set = status == WISP_OK ? plugin->descriptor->vtable : NULL;
    if (!set || !WISP_HAS(set, wisp_dataset_v0, recognises) || !set->recognises) {
        add_name(&v->silent, name);
        return;
    }
    add_name(&v->asked, name);
    WISPI_VISIT(plugin, "recognises", score = set->recognises(v->path));
    score = score < CERTAIN ? score : CERTAIN;
    if (score > v->score) {
        v->score = score;
        v->n_best = 0;
        wispi_text_truncate(&v->tied, 0);
        snprintf(v->best, sizeof v->best, "%s", name);
    }
    if (score > 0 && score == v->score) {
        v->n_best++;
        add_name(&v->tied, name);
    }
}

static const char *names_in(const wispi_text *list)
{
    return list->length ? list->data : "none";
}

static wisp_status count_votes(const vote *v, wisp_error *err)
{
    if (v->status != WISP_OK || v->asked.failed || v->silent.failed || v->tied.failed)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the names of data set plugins");
    if (v->n_best == 1)
        return WISP_OK;
    if (v->n_best > 1)
        return wisp_fail(err, WISP_E_CONFIG,
                         "\"%.500s\" may be data of several kinds: %s; say which with --use, for "
                         "example --use %s",
                         v->path, names_in(&v->tied), v->best);
    return wisp_fail(err, WISP_E_CONFIG,
                     "\"%.500s\" is no data of a kind that is known (asked: %s; cannot tell by a "
                     "path: %s); say what it is with --use NAME, with the plugin's options behind "
                     "it as key=value, or name an experiment, a .toml file",
                     v->path, names_in(&v->asked), names_in(&v->silent));
}

static wisp_status find_plugin(wispi_registry *registry, const char *path, char name[NAME],
                               wisp_error *err)
{
    vote v = {.registry = registry, .path = path};
    wisp_status status = wispi_registry_names(registry, "dataset", ask, &v, err);
    if (status == WISP_OK)
        status = count_votes(&v, err);
    if (status == WISP_OK)
        memcpy(name, v.best, NAME);
    wispi_text_free(&v.tied);
    wispi_text_free(&v.asked);
    wispi_text_free(&v.silent);
    return status;
}

/* --- data by their path --- */

/* A path with one of these may be a pattern, or several paths, that only a plugin can read. */
static int may_be_pattern(const char *path)
{
    return strpbrk(path, "*?{[") != NULL || strstr(path, "::") != NULL;
}

static wisp_status check_path(const char *path, wisp_error *err)
{
    struct stat status;
    if (may_be_pattern(path) || stat(path, &status) == 0)
        return WISP_OK;
    return wisp_fail(err, WISP_E_NOT_FOUND, "there is no file or folder \"%.500s\"", path);
}

static wisp_status add_string(wispi_node *table, const char *key, const char *value,
                              wispi_arena *arena, wisp_error *err)
{
    wispi_node *node = wispi_arena_alloc(arena, sizeof *node);
    const char *kept = wispi_arena_text(arena, value);
    if (!node || !kept)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of a data set");
    *node = (wispi_node){.type = WISPI_NODE_STRING, .key = key, .string = kept};
    wispi_node_append(table, node);
    return WISP_OK;
}

static wisp_status add_overrides(wispi_node *root, const wispi_data_request *request,
                                 wispi_arena *arena, wisp_error *err)
{
    for (int32_t i = 0; i < request->n_overrides; i++) {
        const char *given = request->overrides[i];
        const char *whole =
            strncmp(given, "data.", 5) == 0 ? given : wispi_arena_printf(arena, "data.%s", given);
        if (!whole)
            return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of a data set");
        WISP_TRY(wispi_override_apply(root, whole, arena, err));
    }
    return WISP_OK;
}

/* The [data] table that an experiment would have. */
static wisp_status make_table(const wispi_data_request *request, const char *use,
                              wispi_arena *arena, const wispi_node **table, wisp_error *err)
{
    wispi_node *root = wispi_arena_alloc(arena, sizeof *root);
    wispi_node *data = wispi_arena_alloc(arena, sizeof *data);
    if (!root || !data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of a data set");
    root->type = data->type = WISPI_NODE_TABLE;
    data->key = "data";
    wispi_node_append(root, data);
    WISP_TRY(add_string(data, "use", use, arena, err));
    WISP_TRY(add_string(data, "path", request->path, arena, err));
    WISP_TRY(add_overrides(root, request, arena, err));
    *table = wispi_node_find(root, "data");
    return WISP_OK;
}

wisp_status wispi_data_plugin_find(wispi_registry *registry, const char *path,
                                   char name[WISPI_DATA_PLUGIN_NAME], wisp_error *err)
{
    WISP_TRY(check_path(path, err));
    return find_plugin(registry, path, name, err);
}

static wisp_status open_path(wispi_registry *registry, const wispi_data_request *request,
                             wispi_data_source *made, wisp_error *err)
{
    char found[NAME];
    const char *use = request->use;
    const wispi_node *table = NULL;
    WISP_TRY(check_path(request->path, err));
    if (!use) {
        WISP_TRY(find_plugin(registry, request->path, found, err));
        use = found;
    }
    made->arena = wispi_arena_create(4096);
    if (!made->arena)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the options of a data set");
    WISP_TRY(make_table(request, use, made->arena, &table, err));
    return wispi_instance_create(registry, "dataset", table, "data", made->arena, &made->instance,
                                 err);
}

/* --- an experiment's data --- */

static wisp_status open_experiment(wispi_registry *registry, const wispi_data_request *request,
                                   wispi_data_source *made, wisp_error *err)
{
    if (request->use)
        return wisp_fail(err, WISP_E_CONFIG,
                         "--use goes with data, but \"%.500s\" is an experiment: write "
                         "data.use=%s to replace its plugin",
                         request->path, request->use);
    WISP_TRY(wispi_config_load(request->path, request->overrides, request->n_overrides,
                               &made->config, err));
    const wispi_node *root = wispi_config_root(made->config),
                     *table = wispi_node_find(root, "data");
    if (!table)
        return wispi_node_fail(root, err, NULL, "the experiment has no table [data]");
    return wispi_instance_create(registry, "dataset", table, "data",
                                 wispi_config_arena(made->config), &made->instance, err);
}

int wispi_data_is_experiment(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".toml") == 0;
}

wisp_status wispi_data_source_open(wispi_registry *registry, const wispi_data_request *request,
                                   wispi_data_source *source, wisp_error *err)
{
    wispi_data_source made = {0};
    const wisp_status status =
        (wispi_data_is_experiment(request->path) ? open_experiment : open_path)(registry, request,
                                                                                &made, err);
    if (status == WISP_OK)
        *source = made;
    else
        wispi_data_source_close(&made);
    return status;
}

void wispi_data_source_close(wispi_data_source *source)
{
    wispi_instance_destroy(&source->instance);
    wispi_config_destroy(source->config);
    wispi_arena_destroy(source->arena);
    memset(source, 0, sizeof *source);
}
