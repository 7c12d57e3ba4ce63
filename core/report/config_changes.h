/* config_changes.h - which settings of an experiment are not those of its base: of the file that it
 * extends, and of the defaults where that says nothing. */
#ifndef WISPI_REPORT_CONFIG_CHANGES_H
#define WISPI_REPORT_CONFIG_CHANGES_H

#include <jansson.h>

#include "config/config.h"
#include "loader/registry.h"

/* [{"key", "here", "base"} ...]: values as text, "base" null where a setting has no default, or
 * where its plugin is not to be had. `config` is a resolved experiment, `manifest` (may be NULL)
 * may know its base. `registry` NULL: no plugin is asked, and settings of plugins that the base
 * does not name are left out. */
wisp_status wispi_config_changes(wispi_registry *registry, const wispi_config *config,
                                 const json_t *manifest, json_t **changes, wisp_error *err);

#endif
