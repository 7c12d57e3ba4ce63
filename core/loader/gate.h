/* gate.h - opens one plugin file and decides whether it may come in (ABI-1, 2, 3, 7, 8, 13). */
#ifndef WISPI_LOADER_GATE_H
#define WISPI_LOADER_GATE_H

#include "wisp/abi.h"

/* Letters in a plugin's name, at most. */
enum { WISPI_LONGEST_NAME = 48 };

/* Opens `path` and returns its bundle. A refused library is closed again. The message names the
 * file, what was needed, what was offered, and what to do. `allow_insecure`: who may change the
 * file is not asked (trust.h). */
wisp_status wispi_gate_open(const char *path, int32_t allow_insecure, void **library,
                            const wisp_bundle **bundle, wisp_error *err);
/* The same judgement for a bundle that is linked in; `path` names it in messages. */
wisp_status wispi_gate_judge(const char *path, const wisp_bundle *bundle, wisp_error *err);

/* Its parts, in the order in which it is safe to look: the frozen prefix, then what one descriptor
 * must have. Options come last (gate_options.h). */
wisp_status wispi_gate_version(const char *path, const wisp_bundle *bundle, wisp_error *err);
wisp_status wispi_gate_fields(const char *path, const wisp_descriptor *descriptor, wisp_error *err);
/* Opens the file and does not look into it. */
wisp_status wispi_gate_library(const char *path, void **library, wisp_error *err);
/* The entry of an open file; does not call it. */
wisp_status wispi_gate_entry(const char *path, void *library, wisp_plugin_entry_fn *entry,
                             wisp_error *err);

/* "method" for "wisp.method/0"; NULL for a kind that this host does not have. */
const char *wispi_kind_short(const char *kind_id);
/* Refuses a short name that no kind has, naming the nearest; NULL passes. */
wisp_status wispi_kind_check(const char *kind, wisp_error *err);
/* Short names of all kinds, NULL-terminated. */
extern const char *const wispi_kinds[];

#endif
