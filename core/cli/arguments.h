/* arguments.h - argv into a wispi_call, and the help texts of the same tables. */
#ifndef WISPI_CLI_ARGUMENTS_H
#define WISPI_CLI_ARGUMENTS_H

#include "command.h"

/* Fills a zeroed call. Flags may stand anywhere; `--` ends them. Returns an exit code;
 * WISPI_EXIT_DONE: the call is good, or asks for help or the version. */
int wispi_parse_arguments(int argc, char **argv, wispi_call *call);

/* `verb` NULL: the command as a whole. */
void wispi_print_help(const wispi_verb *verb);

/* The candidate nearest to a mistyped word; NULL when there is none. */
const char *wispi_nearest_word(const char *word, const char *const *candidates, size_t n);

#endif
