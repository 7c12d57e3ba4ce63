/* search.h - the folders in which plugin files are looked for, in order (ABI-17). */
#ifndef WISPI_LOADER_SEARCH_H
#define WISPI_LOADER_SEARCH_H

#include <sys/types.h>

#include "loader/registry.h"

enum { WISPI_MAX_FOLDERS = 64, WISPI_PATH_BYTES = 1024 };

typedef struct wispi_search {
    char folders[WISPI_MAX_FOLDERS][WISPI_PATH_BYTES]; /* each folder once */
    dev_t devices[WISPI_MAX_FOLDERS];
    ino_t inodes[WISPI_MAX_FOLDERS];
    int32_t n_folders;
} wispi_search;

/* The folders of a registry. */
const wispi_search *wispi_registry_search(const wispi_registry *registry);

wisp_status wispi_search_init(wispi_search *search, const wispi_registry_options *options,
                              wisp_error *err);
/* First file wisp-<kind>-<name>.so on the path; later ones are logged as shadowed. */
wisp_status wispi_search_find(const wispi_search *search, const char *kind, const char *name,
                              char path[WISPI_PATH_BYTES], wisp_error *err);
/* Splits a file's name; 0 when it is not that of a plugin. */
int wispi_plugin_file_name(const char *file, char kind[32], char name[128]);

#endif
