#include "train/option_schema.h"

#include <math.h>
#include <string.h>

#include "config/config.h"
#include "train/json_number.h"
#include "train/json_text.h"

/* --- a default, which stands in the table as it would in TOML --- */

static json_t *value_of(const wispi_node *node)
{
    json_t *list;
    switch (node->type) {
    case WISPI_NODE_STRING:
        return wispi_json_string(node->string);
    case WISPI_NODE_INTEGER:
        return json_integer(node->integer);
    case WISPI_NODE_FLOAT:
        return wispi_json_number(node->number);
    case WISPI_NODE_BOOL:
        return json_boolean(node->integer);
    case WISPI_NODE_ARRAY:
        list = json_array();
        for (const wispi_node *item = node->first; item; item = item->next)
            list = wispi_json_push(list, value_of(item));
        return list;
    default:
        return json_object();
    }
}

static json_t *with_default(json_t *schema, const wisp_option *option)
{
    char line[1024];
    wispi_config *config = NULL;
    if (!option->default_value || option->type == WISP_OPTION_TABLE)
        return schema;
    snprintf(line, sizeof line, "value = %s\n", option->default_value);
    if (wispi_config_parse_text("default", line, NULL, 0, &config, NULL) != WISP_OK)
        return schema;
    schema = wispi_json_with(schema, "default",
                             value_of(wispi_node_find(wispi_config_root(config), "value")));
    wispi_config_destroy(config);
    return schema;
}

/* --- one option --- */

/* 1 rather than 1.0 */
static json_t *number(double value)
{
    return value == nearbyint(value) && fabs(value) < 1e15 ? json_integer((json_int_t)value)
                                                           : json_real(value);
}

static json_t *with_bounds(json_t *schema, const wisp_option *option)
{
    if (wispi_option_unbounded(option))
        return schema;
    if (isfinite(option->min))
        schema = wispi_json_with(
            schema, option->flags & WISP_OPTION_OPEN_MIN ? "exclusiveMinimum" : "minimum",
            number(option->min));
    if (isfinite(option->max))
        schema = wispi_json_with(
            schema, option->flags & WISP_OPTION_OPEN_MAX ? "exclusiveMaximum" : "maximum",
            number(option->max));
    return schema;
}

static json_t *of_type(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *list_of(const wisp_option *option, json_t *item)
{
    json_t *schema = wispi_json_with(of_type("array"), "items", item);
    if (option->min_count)
        schema = wispi_json_with(schema, "minItems", json_integer(option->min_count));
    if (option->max_count)
        schema = wispi_json_with(schema, "maxItems", json_integer(option->max_count));
    return schema;
}

static json_t *choice_of(const wisp_option *option)
{
    json_t *names = json_array(), *words = json_array();
    int failed = !names || !words;
    for (const wisp_choice *c = option->choices; c->name && !failed; c++)
        failed = json_array_append_new(names, wispi_json_string(c->name)) != 0 ||
                 json_array_append_new(words, wispi_json_string(c->help ? c->help : "")) != 0;
    if (failed) {
        json_decref(names);
        json_decref(words);
        return NULL;
    }
    /* Taplo, the language server of TOML, shows these words beside the names. */
    return json_pack("{s:o, s:{s:{s:o}}}", "enum", names, "x-taplo", "docs", "enumValues", words);
}

static json_t *kind_of_value(wispi_option_table table, const wisp_option *option)
{
    switch (option->type) {
    case WISP_OPTION_BOOL:
        return of_type("boolean");
    case WISP_OPTION_I64:
        return with_bounds(of_type("integer"), option);
    case WISP_OPTION_F64:
        return with_bounds(of_type("number"), option);
    case WISP_OPTION_ENUM:
        return choice_of(option);
    case WISP_OPTION_TABLE:
        return wispi_schema_of_options(wispi_option_nested(table, option));
    case WISP_OPTION_I64_LIST:
        return list_of(option, with_bounds(of_type("integer"), option));
    case WISP_OPTION_F64_LIST:
        return list_of(option, with_bounds(of_type("number"), option));
    case WISP_OPTION_STRING_LIST:
        return list_of(option, of_type("string"));
    default:
        return of_type("string");
    }
}

static json_t *of_option(wispi_option_table table, const wisp_option *option)
{
    char text[2400];
    snprintf(text, sizeof text, "%s%s%s%s%s", option->help, option->unit ? " (" : "",
             option->unit ? option->unit : "", option->unit ? ")" : "",
             option->flags & WISP_OPTION_REQUIRED     ? "; required"
             : option->flags & WISP_OPTION_DEPRECATED ? "; deprecated"
                                                      : "");
    json_t *schema =
        wispi_json_with(kind_of_value(table, option), "description", wispi_json_string(text));
    return with_default(schema, option);
}

json_t *wispi_schema_of_options(wispi_option_table table)
{
    json_t *properties = json_object();
    for (uint64_t i = 0; properties && i < table.n; i++) {
        const wisp_option option = wispi_option_at(table, i);
        properties = wispi_json_with(properties, option.key, of_option(table, &option));
        if (option.former)
            properties = wispi_json_with(properties, option.former, of_option(table, &option));
    }
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
                     "additionalProperties", 0);
}
