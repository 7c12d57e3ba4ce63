/* inspect_json.c - a plugin's descriptor and options as JSON. */
#include "train/inspect_json.h"

#include <math.h>

#include "config/option_table.h"
#include "train/json_text.h"

const wispi_flag_name wispi_flag_names[] = {
    {WISP_FLAG_DETERMINISTIC, "deterministic"},
    {WISP_FLAG_NEEDS_DEVICE, "needs device"},
    {WISP_FLAG_STATEFUL, "stateful"},
    {WISP_FLAG_BATCH_COUPLED, "batch coupled"},
    {0, NULL},
};

static json_t *choices_of(const wisp_option *option)
{
    json_t *choices = json_array();
    for (const wisp_choice *choice = option->choices; choice->name; choice++)
        choices = wispi_json_push(choices,
                                  json_pack("{s:o, s:o}", "name", wispi_json_string(choice->name),
                                            "help", wispi_json_string(choice->help)));
    return choices;
}

static json_t *add_bounds(json_t *object, const wisp_option *option)
{
    const int unbounded = wispi_option_unbounded(option);
    if (!unbounded && isfinite(option->min))
        object = wispi_json_with(object, option->flags & WISP_OPTION_OPEN_MIN ? "above" : "min",
                                 json_real(option->min));
    if (!unbounded && isfinite(option->max))
        object = wispi_json_with(object, option->flags & WISP_OPTION_OPEN_MAX ? "below" : "max",
                                 json_real(option->max));
    if (option->min_count)
        object = wispi_json_with(object, "min_count", json_integer(option->min_count));
    if (option->max_count)
        object = wispi_json_with(object, "max_count", json_integer(option->max_count));
    return object;
}

static json_t *options_of(wispi_option_table table);

static json_t *option_object(wispi_option_table table, const wisp_option *option)
{
    static const char *const types[] = {"",       "bool",  "i64",  "f64",  "string", "path",
                                        "choice", "table", "i64s", "f64s", "strings"};
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:b, s:b, s:o}", "key", wispi_json_string(option->key), "type",
        types[option->type], "default", wispi_json_string(option->default_value), "required",
        (option->flags & WISP_OPTION_REQUIRED) != 0, "deprecated",
        (option->flags & WISP_OPTION_DEPRECATED) != 0, "help", wispi_json_string(option->help));
    object = add_bounds(object, option);
    if (option->unit)
        object = wispi_json_with(object, "unit", wispi_json_string(option->unit));
    if (option->former)
        object = wispi_json_with(object, "former", wispi_json_string(option->former));
    if (option->type == WISP_OPTION_ENUM)
        object = wispi_json_with(object, "choices", choices_of(option));
    if (option->type == WISP_OPTION_TABLE)
        object = wispi_json_with(object, "options", options_of(wispi_option_nested(table, option)));
    return object;
}

static json_t *options_of(wispi_option_table table)
{
    json_t *options = json_array();
    for (uint64_t i = 0; i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        if (!(option.flags & WISP_OPTION_HIDDEN))
            options = wispi_json_push(options, option_object(table, &option));
    }
    return options;
}

static json_t *words_of(const wisp_descriptor *d)
{
    json_t *words = json_array();
    for (const wispi_flag_name *f = wispi_flag_names; f->name; f++)
        if (d->flags & f->flag)
            words = wispi_json_push(words, json_string(f->name));
    return words;
}

static json_t *requires_of(const wisp_descriptor *d)
{
    json_t *ids = json_array();
    for (const char *const *id = d->requires_ids; id && *id; id++)
        ids = wispi_json_push(ids, wispi_json_string(*id));
    return ids;
}

static json_t *plugin_object(const wispi_plugin *plugin)
{
    const wisp_descriptor *d = plugin->descriptor;
    const wispi_option_table table = {d->options, d->n_options, d->option_size};
    char hash[32], abi[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)plugin->file_hash);
    snprintf(abi, sizeof abi, "%u.%u", (unsigned)plugin->abi_major, (unsigned)plugin->abi_minor);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "kind",
        plugin->kind, "name", wispi_json_string(d->name), "version", wispi_json_string(d->version),
        "summary", wispi_json_string(d->summary), "doc", wispi_json_string(d->doc), "license",
        wispi_json_string(d->license), "reference", wispi_json_string(d->reference), "path",
        wispi_json_string(plugin->path), "hash", hash, "abi", abi, "kind_id", d->kind, "flags",
        words_of(d), "requires", requires_of(d), "options", options_of(table));
}

wisp_status wispi_inspect_json(const wispi_plugin *plugin, int whole_file, char **text,
                               wisp_error *err)
{
    json_t *plugins = json_array();
    for (const wispi_plugin *p = plugin; p; p = whole_file ? p->next : NULL)
        plugins = wispi_json_push(plugins, plugin_object(p));
    return wispi_json_give(plugins ? json_pack("{s:o}", "plugins", plugins) : NULL, text, err);
}
