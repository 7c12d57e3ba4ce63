/* resolved.h - writes filled structs back as TOML that gives the same structs again.
 *
 * The text depends on the values alone. Every option is written, so the file says what a run was
 * made with even when defaults change later. */
#ifndef WISPI_CONFIG_RESOLVED_H
#define WISPI_CONFIG_RESOLVED_H

#include "base/text.h"
#include "wisp/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends [path] with `use` (unless NULL) and every option of `config`; nested tables follow as
 * [path.key]. A string or path that is NULL is left out. Look at out->failed in the end. */
void wispi_resolved_table(wispi_text *out, const char *path, const char *use,
                          const wisp_option *options, uint64_t n, uint32_t option_size,
                          const void *config);

/* The same as one more entry [[path]] of an array of tables. */
void wispi_resolved_array_table(wispi_text *out, const char *path, const char *use,
                                const wisp_option *options, uint64_t n, uint32_t option_size,
                                const void *config);

/* Single values in TOML syntax; the number parses back to the same double. */
void wispi_resolved_number(wispi_text *out, double number);
void wispi_resolved_string(wispi_text *out, const char *string);

#ifdef __cplusplus
}
#endif
#endif
