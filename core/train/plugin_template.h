/* plugin_template.h - the folders that `wisp new` writes: one template for each kind of plugin.
 *
 * The files stand in sdk/templates and are part of the library. */
#ifndef WISPI_TRAIN_PLUGIN_TEMPLATE_H
#define WISPI_TRAIN_PLUGIN_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

typedef struct wispi_template_file {
    const char *kind; /* "method"; "every_kind" for what all kinds share */
    const char *name;
    const uint8_t *data;
    size_t bytes;
} wispi_template_file;

/* Made by the build; ends with a NULL kind. */
extern const wispi_template_file wispi_template_files[];

typedef struct wispi_new_plugin {
    const char *kind;   /* a folder of sdk/templates */
    const char *name;   /* [a-z][a-z0-9_]* */
    const char *folder; /* must not be there; NULL: the name */
} wispi_new_plugin;

/* Refuses a kind without a template and a name that no plugin can have. */
wisp_status wispi_new_plugin_check(const wispi_new_plugin *plugin, wisp_error *err);

/* Is `file` one of the plugin's? Then its name there is put into `name`. */
int wispi_template_applies(const wispi_template_file *file, const wispi_new_plugin *plugin,
                           char *name, size_t bytes);

/* The file as it is for this plugin; `out->failed` tells a lack of memory. */
void wispi_template_fill(const wispi_template_file *file, const wispi_new_plugin *plugin,
                         wispi_text *out);

/* Writes the folder, all of it or nothing. */
wisp_status wispi_new_plugin_write(const wispi_new_plugin *plugin, wisp_error *err);

#endif
