#include "report/config_changes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/option_table.h"
#include "train/node_json.h"
#include "train/settings.h"

enum { KEY = 200 };

/* One comparison of a table with what it is based on. */
typedef struct changes {
    wispi_registry *registry;
    json_t *list;
    int32_t failed;
} changes;

/* --- defaults --- */

/* "key = default" of each option that has one. */
static void write_defaults(wispi_text *text, wispi_option_table table, const char *path)
{
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        if (option.type != WISP_OPTION_TABLE && option.default_value)
            wispi_text_printf(text, "%s = %s\n", option.key, option.default_value);
    }
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        char below[KEY];
        if (option.type != WISP_OPTION_TABLE)
            continue;
        snprintf(below, sizeof below, "%.90s%s%.90s", path, path[0] ? "." : "", option.key);
        wispi_text_printf(text, "[%s]\n", below);
        write_defaults(text, wispi_option_nested(table, &option), below);
    }
}

static json_t *defaults_of(wispi_option_table table)
{
    wispi_text text = {0};
    wispi_config *config = NULL;
    json_t *defaults = NULL;
    wispi_text_append(&text, "");
    write_defaults(&text, table, "");
    if (!text.failed &&
        wispi_config_parse_text("defaults", text.data, NULL, 0, &config, NULL) == WISP_OK)
        defaults = wispi_node_json(wispi_config_root(config));
    wispi_config_destroy(config);
    wispi_text_free(&text);
    return defaults;
}

/* The host's own tables, and the kinds of the plugins' ones. */
static json_t *defaults_for(const changes *c, const char *table, const char *use)
{
    static const char *const kinds[][2] = {
        {"data", "dataset"},  {"test", "dataset"}, {"sampler", "sampler"}, {"backbone", "backbone"},
        {"method", "method"}, {"probe", "task"},   {"task", "task"}};
    const struct {
        const char *table;
        const wisp_option *options;
        uint64_t n;
    } own[] = {{"run", wispi_run_options_table, wispi_n_run_options},
               {"input", wispi_input_options_table, wispi_n_input_options},
               {"optimizer", wispi_optimizer_options_table, wispi_n_optimizer_options},
               {"init", wispi_init_options_table, wispi_n_init_options}};
    const wispi_plugin *plugin = NULL;
    for (size_t i = 0; i < WISP_COUNT(own); i++)
        if (strcmp(own[i].table, table) == 0)
            return defaults_of((wispi_option_table){own[i].options, own[i].n, sizeof(wisp_option)});
    for (size_t i = 0; i < WISP_COUNT(kinds) && c->registry && use; i++)
        if (strcmp(kinds[i][0], table) == 0 &&
            wispi_registry_load(c->registry, kinds[i][1], use, &plugin, NULL) == WISP_OK)
            return defaults_of((wispi_option_table){plugin->descriptor->options,
                                                    plugin->descriptor->n_options,
                                                    plugin->descriptor->option_size});
    return NULL;
}

/* --- what differs --- */

/* 1 and 1.0 are the same number. */
static int same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) <=
               1e-12 * fabs(json_number_value(a));
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b);
    if (json_array_size(a) != json_array_size(b))
        return 0;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!same_value(json_array_get(a, i), json_array_get(b, i)))
            return 0;
    return 1;
}

static json_t *value_text(const json_t *value)
{
    char *text = value
                     ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10) | JSON_SORT_KEYS)
                     : NULL;
    json_t *string = text ? json_string(text) : json_null();
    free(text);
    return string;
}

static void add_change(changes *c, const char *key, const json_t *here, const json_t *base)
{
    json_t *change = json_pack("{s:s, s:o, s:o}", "key", key, "here", value_text(here), "base",
                               value_text(base));
    c->failed |= json_array_append_new(c->list, change) != 0;
}

/* `base` counts before `defaults`; either may be NULL. A setting that neither knows is a change
 * only where defaults are known: it had to be given. */
static void compare_tables(changes *c, const char *path, const json_t *here, const json_t *base,
                           const json_t *defaults)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)here, key, value)
    {
        char below[KEY];
        const json_t *own = json_object_get(base, key), *usual = json_object_get(defaults, key);
        const json_t *was = own ? own : usual;
        snprintf(below, sizeof below, "%.99s.%.99s", path, key);
        if (json_is_object(value))
            compare_tables(c, below, value, own, usual);
        else if (strcmp(key, "use") != 0 && (was || defaults) && !(was && same_value(value, was)))
            add_change(c, below, value, was);
    }
}

/* A table of a plugin. Where the base names another one, its other settings say nothing here. */
static void compare_plugin(changes *c, const char *table, const char *path, const json_t *here,
                           const json_t *base)
{
    const json_t *use = json_object_get(here, "use"), *former = json_object_get(base, "use");
    if (former && use && !json_equal(former, use)) {
        char key[KEY];
        snprintf(key, sizeof key, "%.180s.use", path);
        add_change(c, key, use, former);
        base = NULL;
    }
    json_t *defaults = defaults_for(c, table, json_string_value(use));
    compare_tables(c, path, here, base, defaults);
    json_decref(defaults);
}

static void compare_all(changes *c, const json_t *here, const json_t *base)
{
    const char *table;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)here, table, value)
    {
        const json_t *former = json_object_get(base, table);
        if (!json_is_array(value)) {
            compare_plugin(c, table, table, value, former);
            continue;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            char path[KEY];
            snprintf(path, sizeof path, "%.100s.%zu", table, i);
            compare_plugin(c, table, path, json_array_get(value, i), json_array_get(former, i));
        }
    }
}

wisp_status wispi_config_changes(wispi_registry *registry, const wispi_config *config,
                                 const json_t *manifest, json_t **out, wisp_error *err)
{
    const json_t *base = json_object_get(json_object_get(manifest, "base"), "values");
    changes c = {.registry = registry, .list = json_array()};
    json_t *here = wispi_node_json(wispi_config_root(config));
    if (here && c.list)
        compare_all(&c, here, base);
    c.failed |= !here || !c.list;
    json_decref(here);
    if (c.failed) {
        json_decref(c.list);
        return wisp_fail(err, WISP_E_NOMEM, "no memory for what differs");
    }
    *out = c.list;
    return WISP_OK;
}
