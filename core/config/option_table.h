/* option_table.h - a plugin's option table as the host reads it: by stride, checked, described. */
#ifndef WISPI_CONFIG_OPTION_TABLE_H
#define WISPI_CONFIG_OPTION_TABLE_H

#include "wisp/options.h"
#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `option_size` is what the plugin was built with: entries stand that far apart, and fields that it
 * does not know read as zero (ABI-4). */
typedef struct wispi_option_table {
    const wisp_option *options;
    uint64_t n;
    uint32_t option_size;
} wispi_option_table;

wisp_option wispi_option_at(wispi_option_table table, uint64_t index);

/* The options of a TABLE option. */
wispi_option_table wispi_option_nested(wispi_option_table table, const wisp_option *option);

/* Finds by key or by former name; 0 when there is none. */
int wispi_option_find(wispi_option_table table, const char *key, wisp_option *found);

/* Refuses with E_PLUGIN a table that no plugin may have: blank keys or help, unknown types,
 * duplicates, impossible ranges, neither a default nor REQUIRED ... Defaults are not parsed here.
 * `path` names the table in messages. */
wisp_status wispi_option_table_check(wispi_option_table table, const char *path, wisp_error *err);

/* What an option takes, for messages and listings: "integer in [1, 100], px, default 20". */
void wispi_option_describe(const wisp_option *option, char *text, size_t bytes);

/* Does a number lie within min and max? Never for one that is not finite. */
int wispi_option_unbounded(const wisp_option *option);
int wispi_option_in_range(const wisp_option *option, double value);

#ifdef __cplusplus
}
#endif
#endif
