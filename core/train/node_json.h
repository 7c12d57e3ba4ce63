/* node_json.h - a configuration's tree as JSON. */
#ifndef WISPI_TRAIN_NODE_JSON_H
#define WISPI_TRAIN_NODE_JSON_H

#include <jansson.h>

#include "config/node.h"

/* Numbers that are not finite become null. NULL for lack of memory. */
json_t *wispi_node_json(const wispi_node *node);

#endif
