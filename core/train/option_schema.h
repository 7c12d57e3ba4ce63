/* option_schema.h - option tables as JSON Schema (draft 7), for editors of TOML files. */
#ifndef WISPI_TRAIN_OPTION_SCHEMA_H
#define WISPI_TRAIN_OPTION_SCHEMA_H

#include <jansson.h>

#include "config/option_table.h"

/* An object with the table's options as "properties", and nothing else allowed. Nothing is
 * required: what a file lacks may come from the one that it extends, or from the command line.
 * NULL: no memory. */
json_t *wispi_schema_of_options(wispi_option_table table);

#endif
