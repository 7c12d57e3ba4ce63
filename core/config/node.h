/* node.h - a parsed configuration as a plain tree that remembers where each value came from. */
#ifndef WISPI_CONFIG_NODE_H
#define WISPI_CONFIG_NODE_H

#include <stdint.h>

#include "base/arena.h"
#include "config/source_position.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WISPI_NODE_TABLE = 1,
    WISPI_NODE_ARRAY = 2,
    WISPI_NODE_STRING = 3,
    WISPI_NODE_INTEGER = 4,
    WISPI_NODE_FLOAT = 5,
    WISPI_NODE_BOOL = 6
};

/* Lives in the arena of its configuration. Children stand in the order of the source. */
typedef struct wispi_node {
    int32_t type; /* WISPI_NODE_... */
    int32_t n_children;
    const char *key;       /* NULL for the root and for the items of an array */
    wispi_place key_place; /* where the key stands; the value where there is none */
    wispi_place place;     /* where the value stands; the header for [table] */
    const char *string;    /* STRING */
    int64_t integer;       /* INTEGER, BOOL */
    double number;         /* FLOAT */
    struct wispi_node *first, *last, *next;
} wispi_node;

/* "a table", "an integer" ... */
const char *wispi_node_type_name(int32_t type);

/* Child by key or by index; NULL when there is none, when `parent` is NULL or of another type. */
wispi_node *wispi_node_find(const wispi_node *table, const char *key);
wispi_node *wispi_node_at(const wispi_node *array, int64_t index);

/* Hangs `child` behind the last child. */
void wispi_node_append(wispi_node *parent, wispi_node *child);

/* Puts `child` where the child of the same key stands, else behind the last. Two tables merge key
 * by key; everything else, arrays included, is replaced whole. A `use` that names another plugin
 * drops the table's other keys, which were the former plugin's. Takes `child` over. */
void wispi_node_merge(wispi_node *table, wispi_node *child);

/* Takes a child out of a table; NULL when there is none. */
wispi_node *wispi_node_remove(wispi_node *table, const char *key);

/* Same types and values, wherever they stand; order of keys does not matter. */
int wispi_node_equal(const wispi_node *a, const wispi_node *b);

/* Errors for other rooms, E_CONFIG in the form of source_position.h: pointing at the value or at
 * the key of a node. A NULL node gives the message and the hint alone. */
wisp_status wispi_node_fail(const wispi_node *node, wisp_error *err, const char *hint,
                            const char *format, ...) WISP_PRINTF(4, 5);
wisp_status wispi_node_fail_key(const wispi_node *node, wisp_error *err, const char *hint,
                                const char *format, ...) WISP_PRINTF(4, 5);

/* Reads the mandatory `use` of a table: the name of a plugin. `path` names the table in messages.
 * `table` may be NULL. */
wisp_status wispi_node_use(const wispi_node *table, const char *path, const char **use,
                           wisp_error *err);

/* Refuses keys of a table that are not in `allowed` (NULL-terminated), naming the nearest. */
wisp_status wispi_node_check_keys(const wispi_node *table, const char *path,
                                  const char *const *allowed, wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
