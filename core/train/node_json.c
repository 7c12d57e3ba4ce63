#include "train/node_json.h"

#include "train/json_text.h"

static json_t *table_json(const wispi_node *table)
{
    json_t *object = json_object();
    int failed = !object;
    for (const wispi_node *child = table->first; child && !failed; child = child->next)
        failed = json_object_set_new_nocheck(object, child->key, wispi_node_json(child)) != 0;
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *array_json(const wispi_node *array)
{
    json_t *list = json_array();
    int failed = !list;
    for (const wispi_node *child = array->first; child && !failed; child = child->next)
        failed = json_array_append_new(list, wispi_node_json(child)) != 0;
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

json_t *wispi_node_json(const wispi_node *node)
{
    json_t *number;
    switch (node->type) {
    case WISPI_NODE_TABLE:
        return table_json(node);
    case WISPI_NODE_ARRAY:
        return array_json(node);
    case WISPI_NODE_STRING:
        return wispi_json_string(node->string);
    case WISPI_NODE_INTEGER:
        return json_integer(node->integer);
    case WISPI_NODE_FLOAT:
        number = json_real(node->number); /* NULL when it is not finite */
        return number ? number : json_null();
    default:
        return json_boolean(node->integer != 0);
    }
}
