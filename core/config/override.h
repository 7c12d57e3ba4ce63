/* override.h - `key=value` of the command line, laid over a configuration. */
#ifndef WISPI_CONFIG_OVERRIDE_H
#define WISPI_CONFIG_OVERRIDE_H

#include "config/node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `text` is PATH=VALUE. PATH is dotted; a number in it picks an entry of an array (`probe.0.k=5`).
 * VALUE is TOML, and a bare word is a string (`sampler.use=sslight`, `data.path=/mnt/x`). Tables
 * merge key by key; tables on the way that are not there are made. */
wisp_status wispi_override_apply(wispi_node *root, const char *text, wispi_arena *arena,
                                 wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
