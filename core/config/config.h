/* config.h - an experiment's configuration: a TOML file, what it extends, and overrides.
 *
 * All functions are [setup]. */
#ifndef WISPI_CONFIG_CONFIG_H
#define WISPI_CONFIG_CONFIG_H

#include "config/node.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wispi_config wispi_config;

/* Reads `path`. A top-level `extends = "other.toml"` (relative to the file that says it) is read
 * first and the file laid over it: tables merge key by key, later wins, arrays are replaced whole,
 * and a `use` that names another plugin drops the other keys of its table. Then the overrides (see
 * override.h) in their order. */
wisp_status wispi_config_load(const char *path, const char *const *overrides, int32_t n_overrides,
                              wispi_config **out, wisp_error *err);

/* The same from a text, which must not extend anything. `name` stands for the file in messages. */
wisp_status wispi_config_parse_text(const char *name, const char *text,
                                    const char *const *overrides, int32_t n_overrides,
                                    wispi_config **out, wisp_error *err);

void wispi_config_destroy(wispi_config *config); /* accepts NULL */

/* Removes each of the tables `keys` (NULL-terminated) that it has. */
void wispi_config_drop_tables(wispi_config *config, const char *const *keys);
/* Replaces each of the tables `keys` (NULL-terminated) that `over` has, whole. Takes `over` over.
 */
void wispi_config_take_tables(wispi_config *config, wispi_config *over, const char *const *keys);

/* The top-level table. Nodes live until destroy. */
const wispi_node *wispi_config_root(const wispi_config *config);

/* What the file extends, with all that that extends: the path, and the top-level table before the
 * file was laid over it. NULL when it extends nothing. */
const char *wispi_config_base_path(const wispi_config *config);
const wispi_node *wispi_config_base(const wispi_config *config);

/* Memory that lives as long as the configuration, for structs filled from it. */
wispi_arena *wispi_config_arena(const wispi_config *config);

#ifdef __cplusplus
}
#endif
#endif
