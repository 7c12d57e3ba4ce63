/* data_source.h - "PATH or TOML" of the command line as a data set: the one place where data are
 * told by their looks. */
#ifndef WISPI_TRAIN_DATA_SOURCE_H
#define WISPI_TRAIN_DATA_SOURCE_H

#include "config/config.h"
#include "loader/registry.h"

typedef struct wispi_data_request {
    const char *path; /* an experiment when it ends in .toml, else data */
    const char *use;  /* plugin, for data; NULL: the one that recognises them best */
    /* key=value. Of an experiment as for a run (data.split=test), of data the plugin's own options
     * (split=test; data.split=test is the same). */
    const char *const *overrides;
    int32_t n_overrides;
} wispi_data_request;

/* Whether a path names an experiment, and not data. */
int wispi_data_is_experiment(const char *path);

enum { WISPI_DATA_PLUGIN_NAME = 64 };

/* The plugin that is most certain of the data at `path`, an existing file or folder or a pattern;
 * failures as of wispi_data_source_open. */
wisp_status wispi_data_plugin_find(wispi_registry *registry, const char *path,
                                   char name[WISPI_DATA_PLUGIN_NAME], wisp_error *err);

/* A data set and what its options live in. */
typedef struct wispi_data_source {
    wispi_instance instance;
    wispi_config *config; /* NULL unless an experiment was named */
    wispi_arena *arena;   /* NULL if one was */
} wispi_data_source;

/* An experiment's [data] table counts and nothing else of it is made. Other paths are shown to all
 * data set plugins; the one most certain gets `path`. E_NOT_FOUND when there is no such file,
 * E_CONFIG when nobody or several know it: the message lists who was asked. The host's pool, if
 * any, is at work in the plugin's create. */
wisp_status wispi_data_source_open(wispi_registry *registry, const wispi_data_request *request,
                                   wispi_data_source *source, wisp_error *err);
void wispi_data_source_close(wispi_data_source *source); /* accepts a zeroed one */

#endif
