/* option_value.h - one TOML value into one field of a config struct. */
#ifndef WISPI_CONFIG_OPTION_VALUE_H
#define WISPI_CONFIG_OPTION_VALUE_H

#include "base/arena.h"
#include "config/node.h"
#include "config/option_table.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What all steps of filling one struct share. */
struct wispi_filling {
    wispi_arena *arena;
    wisp_error *err;
    int defaults_only; /* the table is judged without a user: required options may be absent */
};

/* Checks `node` against `option` and writes it to `to`, unless that is NULL. Nothing is coerced. A
 * bad value that comes `from_default` is the plugin's fault: E_PLUGIN, else E_CONFIG. */
wisp_status wispi_value_read(const struct wispi_filling *filling, const char *path,
                             const wisp_option *option, const wispi_node *node, int from_default,
                             void *to);

/* The error for a value of another type than the option's. */
wisp_status wispi_value_wrong_type(const struct wispi_filling *filling, const char *path,
                                   const wisp_option *option, const wispi_node *node,
                                   int from_default);

/* Parses an option's default_value. */
wisp_status wispi_filling_default(const struct wispi_filling *filling, const char *path,
                                  const wisp_option *option, wispi_node **node);

wisp_status wispi_filling_no_memory(const struct wispi_filling *filling, const char *path);

#ifdef __cplusplus
}
#endif
#endif
