/* options_fill.h - checks a TOML table against a plugin's options and fills its config struct. */
#ifndef WISPI_CONFIG_OPTIONS_FILL_H
#define WISPI_CONFIG_OPTIONS_FILL_H

#include "base/arena.h"
#include "config/node.h"
#include "wisp/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills every option's field of `config` from `table`, or from its default where the table does not
 * give it; a NULL table means all defaults. `table_path` ("method") names the table in messages.
 * Keys in `also_allowed` (NULL-terminated, or NULL), such as "use", are let pass.
 *
 * Strings and lists are put into `arena`. Errors in the TOML are E_CONFIG, errors in the plugin's
 * table E_PLUGIN; the fields are then undefined. With a NULL `config` everything is checked and
 * nothing is filled. Deprecated and renamed options are let pass with a warning. [setup] */
wisp_status wispi_options_fill(const wispi_node *table, const char *table_path,
                               const wisp_option *options, uint64_t n, uint32_t option_size,
                               void *config, wispi_arena *arena, const char *const *also_allowed,
                               wisp_error *err);

/* Judges the plugin's table alone, its defaults included: E_PLUGIN when something is wrong. [setup]
 */
wisp_status wispi_options_check(const char *table_path, const wisp_option *options, uint64_t n,
                                uint32_t option_size, wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
