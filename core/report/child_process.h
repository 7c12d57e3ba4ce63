/* child_process.h - a program that runs beside this one, with its words in a log file.
 *
 * A child is told SIGTERM when this process dies, however that happens, and is in a process group
 * of its own, so that Ctrl-C reaches this process alone. */
#ifndef WISPI_REPORT_CHILD_PROCESS_H
#define WISPI_REPORT_CHILD_PROCESS_H

#include <sys/types.h>

#include "wisp/status.h"

/* Starts argv[0], a path, with `argv` (NULL-terminated). What it prints is appended to `log`.
 * `shared` (-1: none) is a file descriptor that stays open in the child: a lock that is held until
 * the last child has ended. To be called by the thread that outlives the children. */
wisp_status wispi_child_start(const char *const *argv, const char *log, int shared, pid_t *child,
                              wisp_error *err);

typedef struct wispi_child_end {
    int has_ended;
    int code;   /* exit code; -1: it was killed */
    int signal; /* that killed it; 0: none */
} wispi_child_end;

/* Does not wait. */
wispi_child_end wispi_child_look(pid_t child);

/* Asks it to end. */
void wispi_child_stop(pid_t child);

#endif
