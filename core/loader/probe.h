/* probe.h - looks into a plugin file in a child process, so that a file that crashes costs one
 * line. */
#ifndef WISPI_LOADER_PROBE_H
#define WISPI_LOADER_PROBE_H

typedef struct wispi_probe_result {
    char version[64], summary[256];
    char error[1500]; /* empty for a good file */
} wispi_probe_result;

/* Takes at most five seconds. */
void wispi_probe_file(const char *path, wispi_probe_result *result);

#endif
