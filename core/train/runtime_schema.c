/* runtime_schema.c - wisp_runtime_schema: the JSON Schema of experiments, from the option tables of
 * the host and of every plugin that is found.
 *
 * A table with `use` is judged by that plugin's options. Without `use`, which it may have from the
 * file that it extends, its keys must be those of some plugin of the kind. */
#include <string.h>

#include "base/log.h"
#include "train/json_text.h"
#include "train/option_schema.h"
#include "train/runtime_handle.h"
#include "train/settings.h"

/* The plugins of one kind. Each value is NULL once memory was lacking. */
typedef struct kind_schemas {
    wispi_registry *registry;
    const char *kind;
    json_t *by_name;           /* their schemas */
    json_t *names, *summaries; /* side by side */
    json_t *keys;              /* of all of them: {"anyOf": [where it is described, ...]} */
} kind_schemas;

static json_t *reference_to(const char *kind, const char *name, const char *option)
{
    char path[400];
    snprintf(path, sizeof path, "#/definitions/%s/%s%s%s", kind, name, option ? "/properties/" : "",
             option ? option : "");
    return json_pack("{s:s}", "$ref", path);
}

/* What a language server offers before it knows the plugin. */
static void add_keys(kind_schemas *k, const char *name, json_t *properties)
{
    const char *key;
    json_t *option;
    json_object_foreach(properties, key, option)
    {
        json_t *known = json_object_get(json_object_get(k->keys, key), "anyOf");
        json_t *here = reference_to(k->kind, name, key);
        if (!known)
            k->keys = wispi_json_with(k->keys, key, json_pack("{s:[o]}", "anyOf", here));
        else
            json_array_append_new(known, here);
    }
}

/* The listing has looked into the file in a child process: what crashes there is not loaded here.
 */
static void add_plugin(void *user, const wispi_listed *listed)
{
    kind_schemas *k = user;
    const wispi_plugin *plugin = NULL;
    const char *name = listed->name;
    wisp_error err = {0};
    if (listed->shadowed)
        return;
    if (listed->error[0])
        snprintf(err.message, sizeof err.message, "%s", listed->error);
    else if (wispi_registry_load(k->registry, k->kind, name, &plugin, &err) != WISP_OK)
        plugin = NULL;
    if (!plugin) {
        wispi_log(WISP_LOG_WARNING, "%s/%s is left out: %s", k->kind, name, err.message);
        return;
    }
    const wisp_descriptor *d = plugin->descriptor;
    const wispi_option_table table = {d->options, d->n_options, d->option_size};
    json_t *schema = wispi_schema_of_options(table);
    json_t *properties = json_object_get(schema, "properties");
    add_keys(k, name, properties);
    json_object_set_new(
        properties, "use",
        json_pack("{s:s, s:o}", "const", name, "description", wispi_json_string(d->summary)));
    k->by_name = wispi_json_with(k->by_name, name,
                                 wispi_json_with(schema, "description", wispi_json_string(d->doc)));
    k->names = wispi_json_push(k->names, json_string(name));
    k->summaries = wispi_json_push(k->summaries, wispi_json_string(d->summary));
}

static json_t *schema_of_use(const kind_schemas *k)
{
    json_t *known = json_pack("{s:O, s:{s:{s:O}}}", "enum", k->names, "x-taplo", "docs",
                              "enumValues", k->summaries);
    return json_pack("{s:[o, {s:s, s:s}], s:s}", "anyOf", known, "type", "string", "pattern", "/",
                     "description", "the plugin: a name, or the path of its file, which holds a /");
}

/* {"properties": {"use": {word: value}}, "required": ["use"]} */
static json_t *use_is(const char *word, const char *value)
{
    return json_pack("{s:{s:{s:s}}, s:[s]}", "properties", "use", word, value, "required", "use");
}

/* if use = a then a's options, else if use = b ...; else, unless a file is named, known keys only.
 */
static json_t *judged_by_use(const kind_schemas *k, json_t *table)
{
    json_t *keys = json_array(), *value, *chain;
    const char *key;
    json_object_foreach(k->keys, key, value) keys = wispi_json_push(keys, json_string(key));
    keys = wispi_json_push(keys, json_string("use"));
    chain = json_pack("{s:o, s:b, s:{s:{s:o}}}", "if", use_is("pattern", "/"), "then", 1, "else",
                      "propertyNames", "enum", keys);
    for (size_t i = json_array_size(k->names); i-- > 0;) {
        const char *name = json_string_value(json_array_get(k->names, i));
        chain = json_pack("{s:o, s:o, s:o}", "if", use_is("const", name), "then",
                          reference_to(k->kind, name, NULL), "else", chain);
    }
    if (chain && json_object_update(table, chain) != 0) {
        json_decref(table);
        table = NULL;
    }
    json_decref(chain);
    return table;
}

/* Looks at the plugins of a kind and fills `definitions`. */
static wisp_status open_kind(wisp_runtime *runtime, const char *kind, json_t *definitions,
                             kind_schemas *k, wisp_error *err)
{
    *k = (kind_schemas){.registry = runtime->registry,
                        .kind = kind,
                        .by_name = json_object(),
                        .names = json_array(),
                        .summaries = json_array(),
                        .keys = json_object()};
    WISP_TRY(wispi_registry_scan(runtime->registry, kind, add_plugin, k, err));
    if (json_object_set(definitions, kind, k->by_name) != 0)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a schema");
    return WISP_OK;
}

static void close_kind(kind_schemas *k)
{
    json_decref(k->by_name);
    json_decref(k->names);
    json_decref(k->summaries);
    json_decref(k->keys);
    memset(k, 0, sizeof *k);
}

/* The schema of a table of this kind. */
static json_t *table_of(const kind_schemas *k, const char *text)
{
    json_t *properties = wispi_json_with(json_copy(k->keys), "use", schema_of_use(k));
    return judged_by_use(k, json_pack("{s:s, s:s, s:o}", "type", "object", "description", text,
                                      "properties", properties));
}

/* --- the host's own tables --- */

static json_t *own(const wisp_option *options, uint64_t n, const char *text)
{
    const wispi_option_table table = {options, n, sizeof(wisp_option)};
    return wispi_json_with(wispi_schema_of_options(table), "description", json_string(text));
}

static json_t *array_of(json_t *item, const char *text)
{
    return json_pack("{s:s, s:s, s:o}", "type", "array", "description", text, "items", item);
}

static json_t *optimizer_names(void)
{
    json_t *names = json_array();
    for (int32_t kind = WISPI_OPTIMIZER_SGD; kind <= WISPI_OPTIMIZER_ADAMW; kind++)
        names = wispi_json_push(names, json_string(wispi_optimizer_name(kind)));
    return json_pack("{s:o}", "enum", names);
}

static json_t *optimizer_schema(void)
{
    json_t *schema = own(wispi_optimizer_options_table, wispi_n_optimizer_options,
                         "the optimizer and its learning rate");
    json_t *properties = json_object_get(schema, "properties");
    json_object_set_new(properties, "use", optimizer_names());
    json_object_set_new(
        properties, "rule",
        array_of(own(wispi_rule_options_table, wispi_n_rule_options, "factors for some parameters"),
                 "factors for parameters by name"));
    return schema;
}

static json_t *schedule_schema(void)
{
    return json_pack("{s:s, s:s, s:o}", "type", "object", "description",
                     "one table for each scheduled scalar: [schedule.lr]", "additionalProperties",
                     own(wispi_schedule_options_table, wispi_n_schedule_options,
                         "a scalar as a function of time"));
}

static json_t *own_tables(void)
{
    return json_pack(
        "{s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o}", "extends", "type", "string", "description",
        "a TOML file that this one is laid over; the path is relative to this file", "run",
        own(wispi_run_options_table, wispi_n_run_options, "how long, how much, where"), "input",
        own(wispi_input_options_table, wispi_n_input_options, "normalisation and evaluation views"),
        "optimizer", optimizer_schema(), "schedule", schedule_schema(), "init",
        array_of(own(wispi_init_options_table, wispi_n_init_options, "weights to begin with"),
                 "weights that networks begin with"));
}

/* --- all --- */

/* Tables of one kind stand side by side, so that its plugins are looked at once. */
static wisp_status add_plugin_tables(wisp_runtime *runtime, json_t *definitions, json_t **tables,
                                     wisp_error *err)
{
    static const struct {
        const char *table, *kind, *text;
        int is_array;
    } all[] = {
        {"data", "dataset", "the images that are trained on", 0},
        {"test", "dataset", "the images that tasks judge by", 0},
        {"sampler", "sampler", "which views are drawn from an image", 0},
        {"backbone", "backbone", "the network that is trained", 0},
        {"method", "method", "what it is trained by", 0},
        {"probe", "task", "watched while training", 1},
        {"task", "task", "run when training ends", 1},
    };
    kind_schemas k = {0};
    wisp_status status = WISP_OK;
    for (size_t i = 0; i < WISP_COUNT(all) && status == WISP_OK; i++) {
        if (!k.kind || strcmp(k.kind, all[i].kind) != 0) {
            close_kind(&k);
            status = open_kind(runtime, all[i].kind, definitions, &k, err);
        }
        json_t *table = table_of(&k, all[i].text);
        if (all[i].is_array)
            table = array_of(table, all[i].text);
        *tables = wispi_json_with(*tables, all[i].table, table);
    }
    close_kind(&k);
    return status;
}

wisp_status wisp_runtime_schema(wisp_runtime *runtime, char **text, wisp_error *err)
{
    json_t *definitions = json_object(), *tables = own_tables();
    wisp_status status = add_plugin_tables(runtime, definitions, &tables, err);
    if (status != WISP_OK) {
        json_decref(definitions);
        json_decref(tables);
        return status;
    }
    return wispi_json_give(
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:o}", "$schema",
                  "http://json-schema.org/draft-07/schema#", "title", "an experiment of wisp",
                  "description",
                  "Nothing is required: an experiment may extend another file, and take options "
                  "from the command line.",
                  "type", "object", "properties", tables, "additionalProperties", 0, "definitions",
                  definitions),
        text, err);
}
