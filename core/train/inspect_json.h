/* inspect_json.h - a plugin's descriptor and options as JSON. */
#ifndef WISPI_TRAIN_INSPECT_JSON_H
#define WISPI_TRAIN_INSPECT_JSON_H

#include "loader/registry.h"

/* Names of the descriptor's flags; ends with a NULL name. */
typedef struct wispi_flag_name {
    uint64_t flag;
    const char *name;
} wispi_flag_name;
extern const wispi_flag_name wispi_flag_names[];

/* {"plugins": [...]}: `plugin` alone, or with those that follow it in its file. The text is freed
 * with wispi_free. */
wisp_status wispi_inspect_json(const wispi_plugin *plugin, int whole_file, char **text,
                               wisp_error *err);

#endif
