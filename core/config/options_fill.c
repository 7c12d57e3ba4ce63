/* options_fill.c - from a TOML table to a config struct, level by level. */
#include "config/options_fill.h"

#include <string.h>

#include "base/log.h"
#include "config/nearest.h"
#include "config/option_value.h"
#include "config/toml_parse.h"

/* One table on its way into one struct. */
struct level {
    const struct wispi_filling *filling;
    const wispi_node *user;     /* what the TOML says; may be NULL */
    const wispi_node *fallback; /* what the default of the enclosing TABLE option says, or NULL */
    const char *path;
    wispi_option_table table;
    char *config; /* NULL: check only */
    const char *const *also_allowed;
};

static int is_allowed(const struct level *level, const char *key)
{
    for (const char *const *word = level->also_allowed; word && *word; word++)
        if (strcmp(*word, key) == 0)
            return 1;
    return 0;
}

static wisp_status unknown_key(const struct level *level, const wispi_node *node, int from_default)
{
    wispi_nearest best = wispi_nearest_begin(node->key);
    for (uint64_t i = 0; i < level->table.n; i++) {
        wisp_option option = wispi_option_at(level->table, i);
        if (!(option.flags & (WISP_OPTION_HIDDEN | WISP_OPTION_DEPRECATED)))
            wispi_nearest_offer(&best, option.key);
    }
    for (const char *const *word = level->also_allowed; word && *word; word++)
        wispi_nearest_offer(&best, *word);
    char hint[160];
    if (best.found)
        snprintf(hint, sizeof hint, "nearest known key: %.100s", best.found);
    else
        snprintf(hint, sizeof hint, "this table has no options");
    return wispi_place_fail(node->key_place, level->filling->err,
                            from_default ? WISP_E_PLUGIN : WISP_E_CONFIG, hint,
                            "unknown key \"%.80s\" in [%.100s]", node->key, level->path);
}

/* A warning for what is on its way out; an error when an option is given under both its names. */
static wisp_status check_name(const struct level *level, const wispi_node *node,
                              const wisp_option *option)
{
    const char *file = node->key_place.source ? node->key_place.source->name : "";
    if (strcmp(node->key, option->key) != 0) {
        if (wispi_node_find(level->user, option->key))
            return wispi_node_fail_key(node, level->filling->err, "remove this line",
                                       "\"%.80s\" is the former name of \"%.80s\", which is given"
                                       " too",
                                       node->key, option->key);
        wispi_log(WISP_LOG_WARNING, "%s:%d:%d: %s.%s is now called %s", file,
                  (int)node->key_place.line, (int)node->key_place.column, level->path, node->key,
                  option->key);
    }
    if (option->flags & WISP_OPTION_DEPRECATED) {
        wispi_node *usual = NULL;
        if (option->default_value)
            WISP_TRY(wispi_filling_default(level->filling, level->path, option, &usual));
        /* A stored, resolved configuration names every option; only a choice deserves a warning. */
        if (!wispi_node_equal(node, usual))
            wispi_log(WISP_LOG_WARNING, "%s:%d:%d: %s.%s is deprecated: %s", file,
                      (int)node->key_place.line, (int)node->key_place.column, level->path,
                      node->key, option->help);
    }
    return WISP_OK;
}

static wisp_status check_keys(const struct level *level)
{
    wisp_option option;
    for (const wispi_node *node = level->user ? level->user->first : NULL; node;
         node = node->next) {
        if (is_allowed(level, node->key))
            continue;
        if (!wispi_option_find(level->table, node->key, &option))
            return unknown_key(level, node, 0);
        WISP_TRY(check_name(level, node, &option));
    }
    for (const wispi_node *node = level->fallback ? level->fallback->first : NULL; node;
         node = node->next)
        if (!wispi_option_find(level->table, node->key, &option))
            return unknown_key(level, node, 1);
    return WISP_OK;
}

static wisp_status missing(const struct level *level, const wisp_option *option)
{
    char what[300], hint[640];
    wispi_option_describe(option, what, sizeof what);
    snprintf(hint, sizeof hint, "add to [%.100s] a line %.60s = ... (%s): %.150s", level->path,
             option->key, what, option->help);
    return wispi_node_fail(level->user, level->filling->err, hint, "%.100s.%.80s is required",
                           level->path, option->key);
}

static const wispi_node *given(const struct level *level, const wisp_option *option)
{
    const wispi_node *node = wispi_node_find(level->user, option->key);
    return node || !option->former ? node : wispi_node_find(level->user, option->former);
}

static wisp_status fill_level(const struct level *level);

/* A nested table falls back first on what the enclosing default says, then on its own default. */
static wisp_status fill_nested(const struct level *level, const wisp_option *option)
{
    const wispi_node *node = given(level, option);
    const wispi_node *outer = wispi_node_find(level->fallback, option->key);
    const struct wispi_filling *filling = level->filling;
    if (!node && option->flags & WISP_OPTION_REQUIRED && !filling->defaults_only)
        return missing(level, option);
    if (node && node->type != WISPI_NODE_TABLE)
        return wispi_value_wrong_type(filling, level->path, option, node, 0);
    if (outer && outer->type != WISPI_NODE_TABLE)
        return wispi_value_wrong_type(filling, level->path, option, outer, 1);
    wispi_node *fallback = NULL;
    if (option->default_value) {
        WISP_TRY(wispi_filling_default(filling, level->path, option, &fallback));
        if (fallback->type != WISPI_NODE_TABLE)
            return wispi_value_wrong_type(filling, level->path, option, fallback, 1);
        for (wispi_node *next, *child = outer ? outer->first : NULL; child; child = next) {
            next = child->next;
            wispi_node_merge(fallback, child);
        }
    }
    struct level nested = {filling,
                           node,
                           fallback ? fallback : outer,
                           NULL,
                           wispi_option_nested(level->table, option),
                           level->config,
                           NULL};
    nested.path = wispi_arena_printf(filling->arena, "%s.%s", level->path, option->key);
    if (!nested.path)
        return wispi_filling_no_memory(filling, level->path);
    if (nested.config)
        nested.config += option->offset;
    return fill_level(&nested);
}

static wisp_status fill_option(const struct level *level, const wisp_option *option)
{
    const struct wispi_filling *filling = level->filling;
    void *to = level->config ? level->config + option->offset : NULL;
    const wispi_node *node = given(level, option);
    if (node)
        return wispi_value_read(filling, level->path, option, node, 0, to);
    node = wispi_node_find(level->fallback, option->key);
    if (node)
        return wispi_value_read(filling, level->path, option, node, 1, to);
    if (option->flags & WISP_OPTION_REQUIRED)
        return filling->defaults_only ? WISP_OK : missing(level, option);
    if (!option->default_value) {
        const char *nothing = NULL; /* only strings and paths come here */
        if (to)
            memcpy(to, &nothing, sizeof nothing);
        return WISP_OK;
    }
    wispi_node *usual = NULL;
    WISP_TRY(wispi_filling_default(filling, level->path, option, &usual));
    return wispi_value_read(filling, level->path, option, usual, 1, to);
}

static wisp_status fill_level(const struct level *level)
{
    WISP_TRY(check_keys(level));
    for (uint64_t i = 0; i < level->table.n; i++) {
        wisp_option option = wispi_option_at(level->table, i);
        if (option.type == WISP_OPTION_TABLE)
            WISP_TRY(fill_nested(level, &option));
        else
            WISP_TRY(fill_option(level, &option));
    }
    return WISP_OK;
}

wisp_status wispi_options_fill(const wispi_node *table, const char *table_path,
                               const wisp_option *options, uint64_t n, uint32_t option_size,
                               void *config, wispi_arena *arena, const char *const *also_allowed,
                               wisp_error *err)
{
    struct wispi_filling filling = {arena, err, 0};
    wispi_option_table known = {options, n, option_size};
    WISP_TRY(wispi_option_table_check(known, table_path, err));
    if (table && table->type != WISPI_NODE_TABLE)
        return wispi_node_fail(table, err, "write it as a [table]",
                               "%.100s must be a table, not %s", table_path,
                               wispi_node_type_name(table->type));
    struct level level = {&filling, table, NULL, table_path, known, config, also_allowed};
    return fill_level(&level);
}

wisp_status wispi_options_check(const char *table_path, const wisp_option *options, uint64_t n,
                                uint32_t option_size, wisp_error *err)
{
    wispi_option_table known = {options, n, option_size};
    WISP_TRY(wispi_option_table_check(known, table_path, err));
    wispi_arena *arena = wispi_arena_create((size_t)16 << 10);
    if (!arena)
        return wisp_fail(err, WISP_E_NOMEM, "[%.100s]: no memory to check its options", table_path);
    struct wispi_filling filling = {arena, err, 1};
    struct level level = {&filling, NULL, NULL, table_path, known, NULL, NULL};
    wisp_status status = fill_level(&level);
    wispi_arena_destroy(arena);
    return status;
}
