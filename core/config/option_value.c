/* option_value.c - types, ranges, counts and choices of single values. */
#include "config/option_value.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "config/nearest.h"
#include "config/toml_parse.h"

/* A value on its way to its field, and whose fault it is if it does not fit. */
struct value {
    const struct wispi_filling *filling;
    const char *path;
    const wisp_option *option;
    wisp_status fault;
};

static wisp_status value_fail(const struct value *value, const wispi_node *node, const char *format,
                              ...) WISP_PRINTF(3, 4);
static wisp_status value_fail(const struct value *value, const wispi_node *node, const char *format,
                              ...)
{
    char message[400], what[260], hint[480];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    wispi_option_describe(value->option, what, sizeof what);
    snprintf(hint, sizeof hint, "%.60s: %s (%.120s)", value->option->key, what,
             value->option->help);
    return wispi_place_fail(node->place, value->filling->err, value->fault, hint, "%.100s.%.80s %s",
                            value->path, value->option->key, message);
}

wisp_status wispi_filling_no_memory(const struct wispi_filling *filling, const char *path)
{
    return wisp_fail(filling->err, WISP_E_NOMEM, "[%.100s]: no memory for its options", path);
}

static const char *wanted(uint32_t type)
{
    static const char *const names[] = {"",
                                        "a boolean",
                                        "an integer",
                                        "a number",
                                        "a string",
                                        "a string",
                                        "a string",
                                        "a table",
                                        "a list of integers",
                                        "a list of numbers",
                                        "a list of strings"};
    return names[type];
}

static wisp_status wrong_type(const struct value *value, const wispi_node *node, uint32_t type)
{
    return value_fail(value, node, "must be %s, not %s", wanted(type),
                      wispi_node_type_name(node->type));
}

wisp_status wispi_value_wrong_type(const struct wispi_filling *filling, const char *path,
                                   const wisp_option *option, const wispi_node *node,
                                   int from_default)
{
    struct value value = {filling, path, option, from_default ? WISP_E_PLUGIN : WISP_E_CONFIG};
    return wrong_type(&value, node, option->type);
}

static wisp_status read_integer(const struct value *value, const wispi_node *node, void *to)
{
    if (node->type != WISPI_NODE_INTEGER)
        return wrong_type(value, node, WISP_OPTION_I64);
    if (!wispi_option_in_range(value->option, (double)node->integer))
        return value_fail(value, node, "is out of range: %lld", (long long)node->integer);
    if (to)
        memcpy(to, &node->integer, sizeof node->integer);
    return WISP_OK;
}

/* An integer literal is a number too, as long as a double holds it exactly. */
static wisp_status read_number(const struct value *value, const wispi_node *node, void *to)
{
    const int64_t exact = (int64_t)1 << 53;
    double number = node->number;
    if (node->type == WISPI_NODE_INTEGER && node->integer >= -exact && node->integer <= exact)
        number = (double)node->integer;
    else if (node->type != WISPI_NODE_FLOAT)
        return wrong_type(value, node, WISP_OPTION_F64);
    if (!isfinite(number))
        return value_fail(value, node, "must be a finite number");
    if (!wispi_option_in_range(value->option, number))
        return value_fail(value, node, "is out of range: %.17g", number);
    if (to)
        memcpy(to, &number, sizeof number);
    return WISP_OK;
}

static wisp_status read_string(const struct value *value, const wispi_node *node, void *to)
{
    if (node->type != WISPI_NODE_STRING)
        return wrong_type(value, node, WISP_OPTION_STRING);
    if (!to)
        return WISP_OK;
    const char *text = wispi_arena_text(value->filling->arena, node->string);
    if (!text)
        return wispi_filling_no_memory(value->filling, value->path);
    memcpy(to, &text, sizeof text);
    return WISP_OK;
}

static wisp_status read_bool(const struct value *value, const wispi_node *node, void *to)
{
    if (node->type != WISPI_NODE_BOOL)
        return wrong_type(value, node, WISP_OPTION_BOOL);
    int32_t truth = node->integer != 0;
    if (to)
        memcpy(to, &truth, sizeof truth);
    return WISP_OK;
}

static wisp_status read_choice(const struct value *value, const wispi_node *node, void *to)
{
    if (node->type != WISPI_NODE_STRING)
        return wrong_type(value, node, WISP_OPTION_ENUM);
    wispi_nearest best = wispi_nearest_begin(node->string);
    for (const wisp_choice *choice = value->option->choices; choice->name; choice++) {
        if (strcmp(choice->name, node->string) == 0) {
            if (to)
                memcpy(to, &choice->value, sizeof choice->value);
            return WISP_OK;
        }
        wispi_nearest_offer(&best, choice->name);
    }
    return value_fail(value, node, "has no choice \"%.80s\"; nearest known choice: %.80s",
                      node->string, best.found);
}

static wisp_status read_list(const struct value *value, const wispi_node *node, void *to)
{
    const wisp_option *option = value->option;
    if (node->type != WISPI_NODE_ARRAY)
        return wrong_type(value, node, option->type);
    uint32_t count = (uint32_t)node->n_children;
    if (count < option->min_count || (option->max_count && count > option->max_count))
        return value_fail(value, node, "has the wrong number of items: %u", (unsigned)count);
    char *items = NULL;
    if (to && count) {
        items = wispi_arena_array(value->filling->arena, count, 8);
        if (!items)
            return wispi_filling_no_memory(value->filling, value->path);
    }
    char *item = items;
    for (const wispi_node *child = node->first; child; child = child->next) {
        if (option->type == WISP_OPTION_I64_LIST)
            WISP_TRY(read_integer(value, child, item));
        else if (option->type == WISP_OPTION_F64_LIST)
            WISP_TRY(read_number(value, child, item));
        else
            WISP_TRY(read_string(value, child, item));
        item = item ? item + 8 : NULL;
    }
    wisp_list list = {(int64_t)count, items};
    if (to)
        memcpy(to, &list, sizeof list);
    return WISP_OK;
}

wisp_status wispi_value_read(const struct wispi_filling *filling, const char *path,
                             const wisp_option *option, const wispi_node *node, int from_default,
                             void *to)
{
    struct value value = {filling, path, option, from_default ? WISP_E_PLUGIN : WISP_E_CONFIG};
    switch (option->type) {
    case WISP_OPTION_BOOL:
        return read_bool(&value, node, to);
    case WISP_OPTION_I64:
        return read_integer(&value, node, to);
    case WISP_OPTION_F64:
        return read_number(&value, node, to);
    case WISP_OPTION_STRING:
    case WISP_OPTION_PATH:
        return read_string(&value, node, to);
    case WISP_OPTION_ENUM:
        return read_choice(&value, node, to);
    default:
        return read_list(&value, node, to);
    }
}

wisp_status wispi_filling_default(const struct wispi_filling *filling, const char *path,
                                  const wisp_option *option, wispi_node **node)
{
    char name[200];
    snprintf(name, sizeof name, "default of %.80s.%.80s", path, option->key);
    wispi_text line = {0};
    wispi_text_printf(&line, "%s = %s", option->key, option->default_value);
    if (line.failed)
        return wispi_filling_no_memory(filling, path);
    wispi_node *root = NULL;
    wisp_status status =
        wispi_toml_parse(name, line.data, line.length, filling->arena, &root, filling->err);
    wispi_text_free(&line);
    if (status == WISP_E_CONFIG || (status == WISP_OK && root->n_children != 1)) {
        /* The message stands as the parser wrote it; the fault is the plugin's. */
        if (status == WISP_OK)
            wisp_fail(filling->err, WISP_E_PLUGIN, "%s: more than one value", name);
        if (filling->err)
            filling->err->code = WISP_E_PLUGIN;
        return WISP_E_PLUGIN;
    }
    WISP_TRY(status);
    *node = root->first;
    return WISP_OK;
}
