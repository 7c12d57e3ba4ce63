/* toml_nesting.h - refuses texts that would nest too deep, before they are parsed.
 *
 * The parser builds one table per part of a dotted key and takes them apart by recursion, so an
 * absurd key could exhaust the stack. */
#ifndef WISPI_CONFIG_TOML_NESTING_H
#define WISPI_CONFIG_TOML_NESTING_H

#include "config/source_position.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISPI_TOML_MOST_PARTS = 32, WISPI_TOML_MOST_BRACKETS = 32 };

/* Looks at `text`; an error points into `shown`. */
wisp_status wispi_toml_check_nesting(const wispi_source *shown, const char *text, size_t n,
                                     wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
