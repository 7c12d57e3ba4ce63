/* node.c - finding, merging and comparing nodes of a configuration. */
#include "config/node.h"

#include <stdarg.h>
#include <string.h>

#include "config/nearest.h"

const char *wispi_node_type_name(int32_t type)
{
    static const char *const names[] = {"nothing",    "a table", "an array", "a string",
                                        "an integer", "a float", "a boolean"};
    return type >= 1 && type <= WISPI_NODE_BOOL ? names[type] : names[0];
}

wispi_node *wispi_node_find(const wispi_node *table, const char *key)
{
    if (!table || table->type != WISPI_NODE_TABLE)
        return NULL;
    for (wispi_node *child = table->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

wispi_node *wispi_node_at(const wispi_node *array, int64_t index)
{
    if (!array || array->type != WISPI_NODE_ARRAY || index < 0)
        return NULL;
    wispi_node *child = array->first;
    while (child && index--)
        child = child->next;
    return child;
}

void wispi_node_append(wispi_node *parent, wispi_node *child)
{
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n_children++;
}

/* The old node takes the new content and keeps its place among its siblings. */
static void overwrite(wispi_node *old, const wispi_node *with)
{
    wispi_node *next = old->next;
    *old = *with;
    old->next = next;
}

static int names_another(const wispi_node *old, const wispi_node *use)
{
    return old && use && old->type == WISPI_NODE_STRING && use->type == WISPI_NODE_STRING &&
           strcmp(old->string, use->string) != 0;
}

/* The other keys of a table belong to the plugin that its `use` names, and go with it. */
static void empty_table(wispi_node *table)
{
    table->first = table->last = NULL;
    table->n_children = 0;
}

void wispi_node_merge(wispi_node *table, wispi_node *child)
{
    if (strcmp(child->key, "use") == 0 && names_another(wispi_node_find(table, "use"), child))
        empty_table(table);
    wispi_node *old = wispi_node_find(table, child->key);
    if (!old) {
        wispi_node_append(table, child);
        return;
    }
    if (old->type != WISPI_NODE_TABLE || child->type != WISPI_NODE_TABLE) {
        overwrite(old, child);
        return;
    }
    old->place = child->place;
    old->key_place = child->key_place;
    if (names_another(wispi_node_find(old, "use"), wispi_node_find(child, "use")))
        empty_table(old);
    for (wispi_node *next, *grandchild = child->first; grandchild; grandchild = next) {
        next = grandchild->next;
        wispi_node_merge(old, grandchild);
    }
}

wispi_node *wispi_node_remove(wispi_node *table, const char *key)
{
    wispi_node *before = NULL, *child = table->first;
    while (child && strcmp(child->key, key) != 0) {
        before = child;
        child = child->next;
    }
    if (!child)
        return NULL;
    if (before)
        before->next = child->next;
    else
        table->first = child->next;
    if (table->last == child)
        table->last = before;
    table->n_children--;
    child->next = NULL;
    return child;
}

static int equal_children(const wispi_node *a, const wispi_node *b)
{
    if (a->n_children != b->n_children)
        return 0;
    const wispi_node *twin = b->first;
    for (const wispi_node *child = a->first; child; child = child->next) {
        const wispi_node *other =
            a->type == WISPI_NODE_TABLE ? wispi_node_find(b, child->key) : twin;
        if (!wispi_node_equal(child, other))
            return 0;
        twin = twin->next;
    }
    return 1;
}

int wispi_node_equal(const wispi_node *a, const wispi_node *b)
{
    if (!a || !b || a->type != b->type)
        return a == b;
    switch (a->type) {
    case WISPI_NODE_STRING:
        return strcmp(a->string, b->string) == 0;
    case WISPI_NODE_FLOAT:
        return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case WISPI_NODE_INTEGER:
    case WISPI_NODE_BOOL:
        return a->integer == b->integer;
    default:
        return equal_children(a, b);
    }
}

wisp_status wispi_node_fail(const wispi_node *node, wisp_error *err, const char *hint,
                            const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    wispi_place nowhere = {0};
    return wispi_place_fail(node ? node->place : nowhere, err, WISP_E_CONFIG, hint, "%s", message);
}

wisp_status wispi_node_fail_key(const wispi_node *node, wisp_error *err, const char *hint,
                                const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    wispi_place nowhere = {0};
    return wispi_place_fail(node ? node->key_place : nowhere, err, WISP_E_CONFIG, hint, "%s",
                            message);
}

wisp_status wispi_node_use(const wispi_node *table, const char *path, const char **use,
                           wisp_error *err)
{
    const wispi_node *node = wispi_node_find(table, "use");
    if (!node)
        return wispi_node_fail(table, err, "add a line such as: use = \"name\"",
                               "[%.80s] does not say which plugin to use", path);
    if (node->type != WISPI_NODE_STRING || !node->string[0])
        return wispi_node_fail(node, err, "write the plugin's name in quotes",
                               "%.80s.use must be a string that names a plugin, not %s", path,
                               node->type == WISPI_NODE_STRING ? "empty"
                                                               : wispi_node_type_name(node->type));
    *use = node->string;
    return WISP_OK;
}

wisp_status wispi_node_check_keys(const wispi_node *table, const char *path,
                                  const char *const *allowed, wisp_error *err)
{
    if (!table)
        return WISP_OK;
    for (const wispi_node *child = table->first; child; child = child->next) {
        wispi_nearest best = wispi_nearest_begin(child->key);
        for (int i = 0; allowed[i]; i++)
            wispi_nearest_offer(&best, allowed[i]);
        if (best.found && best.distance == 0)
            continue;
        char hint[160];
        snprintf(hint, sizeof hint, "nearest known key: %.100s", best.found ? best.found : "none");
        return wispi_node_fail_key(child, err, hint, "unknown key \"%.80s\"%s%.80s%s", child->key,
                                   path[0] ? " in [" : "", path, path[0] ? "]" : "");
    }
    return WISP_OK;
}
