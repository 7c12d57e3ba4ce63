/* config.c - loads a file with everything that it extends and lays overrides over it. */
#include "config/config.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "config/override.h"
#include "config/toml_parse.h"

enum { MOST_FILES = 16 };

struct wispi_config {
    wispi_arena *arena;
    wispi_node *root;
    struct wispi_config *over; /* owns nodes that were laid over this one */
    const char *base_path;     /* NULL: extends nothing */
    wispi_node *base;
};

/* The files that are being read, from the one asked for down to the newest. */
struct chain {
    dev_t device[MOST_FILES];
    ino_t inode[MOST_FILES];
    int n;
};

static wisp_status enter(struct chain *chain, const char *path, const wispi_node *reason,
                         wisp_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return WISP_OK; /* reading it gives the better message */
    for (int i = 0; i < chain->n; i++)
        if (chain->device[i] == info.st_dev && chain->inode[i] == info.st_ino)
            return wispi_node_fail(reason, err, "end the circle in one of the files",
                                   "%.300s extends itself", path);
    if (chain->n == MOST_FILES)
        return wispi_node_fail(reason, err, NULL, "more than %d files extend each other",
                               MOST_FILES);
    chain->device[chain->n] = info.st_dev;
    chain->inode[chain->n] = info.st_ino;
    chain->n++;
    return WISP_OK;
}

static wisp_status read_tree(const char *path, const wispi_node *reason, wispi_arena *arena,
                             wispi_node **root, wisp_error *err)
{
    uint8_t *data = NULL;
    size_t n = 0;
    wisp_error cause = {0};
    wisp_status status = wispi_file_read(path, WISPI_TOML_MOST_BYTES, &data, &n, &cause);
    if (status != WISP_OK && status != WISP_E_NOMEM && reason)
        return wispi_node_fail(reason, err, "the path is taken from the folder of this file",
                               "%.400s", cause.message);
    if (status != WISP_OK)
        return wisp_fail(err, status, "%s", cause.message);
    status = wispi_toml_parse(path, (const char *)data, n, arena, root, err);
    wispi_free(data);
    return status;
}

/* The path that a file means by `extends`. */
static wisp_status extended_path(const char *path, const wispi_node *extends, char *out, size_t n,
                                 wisp_error *err)
{
    char folder[PATH_MAX];
    if (extends->type != WISPI_NODE_STRING)
        return wispi_node_fail(extends, err, "write the path of one file in quotes",
                               "extends must be a string, not %s",
                               wispi_node_type_name(extends->type));
    const char *base = strchr(path, '/') ? folder : "";
    if (wispi_path_folder(folder, sizeof folder, path) != WISP_OK ||
        wispi_path_join(out, n, base, extends->string) != WISP_OK)
        return wispi_node_fail(extends, err, NULL, "the path is too long");
    return WISP_OK;
}

/* Recursion ends at MOST_FILES. */
static wisp_status load_tree(struct chain *chain, const char *path, const wispi_node *reason,
                             wispi_arena *arena, wispi_node **root, wisp_error *err)
{
    wispi_node *own = NULL;
    WISP_TRY(enter(chain, path, reason, err));
    WISP_TRY(read_tree(path, reason, arena, &own, err));
    const wispi_node *extends = wispi_node_remove(own, "extends");
    if (!extends) {
        *root = own;
        return WISP_OK;
    }
    char *below = wispi_arena_alloc(arena, PATH_MAX);
    if (!below)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", path);
    WISP_TRY(extended_path(path, extends, below, PATH_MAX, err));
    wispi_node *base = NULL;
    WISP_TRY(load_tree(chain, below, extends, arena, &base, err));
    for (wispi_node *next, *child = own->first; child; child = next) {
        next = child->next;
        wispi_node_merge(base, child);
    }
    base->place = own->place;
    base->key_place = own->key_place;
    *root = base;
    return WISP_OK;
}

static wisp_status new_config(const char *name, wispi_config **out, wisp_error *err)
{
    wispi_config *config = wispi_alloc(sizeof *config);
    if (config)
        config->arena = wispi_arena_create((size_t)64 << 10);
    if (!config || !config->arena) {
        wispi_free(config);
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", name);
    }
    *out = config;
    return WISP_OK;
}

/* Ends both ways of loading: overrides, then hand over or take back. */
static wisp_status finish(wispi_config *config, wisp_status status, const char *const *overrides,
                          int32_t n_overrides, wispi_config **out, wisp_error *err)
{
    for (int32_t i = 0; i < n_overrides && status == WISP_OK; i++)
        status = wispi_override_apply(config->root, overrides[i], config->arena, err);
    if (status == WISP_OK)
        *out = config;
    else
        wispi_config_destroy(config);
    return status;
}

/* Merging has changed the tree that the file was laid over: it is read once more, to be shown. */
static wisp_status keep_base(wispi_config *config, const char *path, wisp_error *err)
{
    wispi_node *own = NULL;
    struct chain chain = {0};
    WISP_TRY(read_tree(path, NULL, config->arena, &own, err));
    const wispi_node *extends = wispi_node_find(own, "extends");
    if (!extends)
        return WISP_OK;
    char *below = wispi_arena_alloc(config->arena, PATH_MAX);
    if (!below)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for its content", path);
    WISP_TRY(extended_path(path, extends, below, PATH_MAX, err));
    WISP_TRY(load_tree(&chain, below, extends, config->arena, &config->base, err));
    config->base_path = below;
    return WISP_OK;
}

wisp_status wispi_config_load(const char *path, const char *const *overrides, int32_t n_overrides,
                              wispi_config **out, wisp_error *err)
{
    wispi_config *config = NULL;
    struct chain chain = {0};
    WISP_TRY(new_config(path, &config, err));
    wisp_status status = load_tree(&chain, path, NULL, config->arena, &config->root, err);
    if (status == WISP_OK)
        status = keep_base(config, path, err);
    return finish(config, status, overrides, n_overrides, out, err);
}

wisp_status wispi_config_parse_text(const char *name, const char *text,
                                    const char *const *overrides, int32_t n_overrides,
                                    wispi_config **out, wisp_error *err)
{
    wispi_config *config = NULL;
    WISP_TRY(new_config(name, &config, err));
    wisp_status status =
        wispi_toml_parse(name, text, strlen(text), config->arena, &config->root, err);
    if (status == WISP_OK && wispi_node_find(config->root, "extends"))
        status = wispi_node_fail_key(wispi_node_find(config->root, "extends"), err, NULL,
                                     "only a file can extend another");
    return finish(config, status, overrides, n_overrides, out, err);
}

void wispi_config_destroy(wispi_config *config)
{
    if (!config)
        return;
    wispi_config_destroy(config->over);
    wispi_arena_destroy(config->arena);
    wispi_free(config);
}

void wispi_config_drop_tables(wispi_config *config, const char *const *keys)
{
    for (; *keys; keys++)
        wispi_node_remove(config->root, *keys);
}

void wispi_config_take_tables(wispi_config *config, wispi_config *over, const char *const *keys)
{
    for (; *keys; keys++) {
        wispi_node *node = wispi_node_remove(over->root, *keys);
        if (!node)
            continue;
        wispi_node_remove(config->root, *keys);
        wispi_node_append(config->root, node);
    }
    wispi_config_destroy(config->over);
    config->over = over;
}

const wispi_node *wispi_config_root(const wispi_config *config)
{
    return config->root;
}

const char *wispi_config_base_path(const wispi_config *config)
{
    return config->base_path;
}

const wispi_node *wispi_config_base(const wispi_config *config)
{
    return config->base;
}

wispi_arena *wispi_config_arena(const wispi_config *config)
{
    return config->arena;
}
