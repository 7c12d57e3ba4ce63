/* toml_parse.h - TOML text to a tree of nodes. */
#ifndef WISPI_CONFIG_TOML_PARSE_H
#define WISPI_CONFIG_TOML_PARSE_H

#include "config/node.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISPI_TOML_MOST_BYTES = 1 << 20 };

/* Parses `n` bytes. The tree, the text and the name are copied into the arena. Dates and times,
 * NUL characters, texts above WISPI_TOML_MOST_BYTES and absurd nesting are refused. */
wisp_status wispi_toml_parse(const char *name, const char *text, size_t n, wispi_arena *arena,
                             wispi_node **root, wisp_error *err);

/* As above, but places and errors refer to `shown`, a text with the same columns that the user
 * knows better; `hint` goes with each syntax error. */
wisp_status wispi_toml_parse_as(const wispi_source *shown, const char *text, size_t n,
                                const char *hint, wispi_arena *arena, wispi_node **root,
                                wisp_error *err);

/* A source in the arena; NULL when there is no memory. */
const wispi_source *wispi_toml_source(const char *name, const char *text, size_t n,
                                      wispi_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
