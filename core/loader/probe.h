/* probe.h - looks into plugin files in a child process, so that a file that crashes costs one
 * line. */
#ifndef WISPI_LOADER_PROBE_H
#define WISPI_LOADER_PROBE_H

#include <stdint.h>

typedef struct wispi_probe_result {
    char version[64], summary[256];
    char error[1500]; /* empty for a good file */
} wispi_probe_result;

/* Looks into every file (`allow_insecure` as in gate.h). One child does them all; it is replaced by
 * another when a file ends it, or holds it up for more than five seconds. Whatever plugins print
 * meanwhile is lost. */
void wispi_probe_files(const char *const *paths, int32_t n, int32_t allow_insecure,
                       wispi_probe_result *results);

#endif
