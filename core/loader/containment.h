/* containment.h - who is running: a thread-local mark set around every call into a plugin.
 *
 * A fault handler prints the mark and raises the signal again: it names the culprit and does not
 * pretend to recover (ABI-11). Marks nest by keeping the outer one. */
#ifndef WISPI_LOADER_CONTAINMENT_H
#define WISPI_LOADER_CONTAINMENT_H

#include "loader/registry.h"

typedef struct wispi_mark {
    const char *plugin; /* "method/dino", a file that is being loaded, or NULL: the host */
    const char *function;
} wispi_mark;

/* Sets the mark and returns the former one. [any] */
wispi_mark wispi_mark_enter(const wispi_plugin *plugin, const char *function);
/* The same while nobody knows yet which plugin a file holds; `path` lives until leave. */
wispi_mark wispi_mark_enter_file(const char *path);
void wispi_mark_leave(wispi_mark former);
wispi_mark wispi_mark_current(void);

/* Adds plugin and function to a failure that came out of a call. */
wisp_status wispi_mark_error(const wispi_plugin *plugin, const char *function, wisp_status status,
                             wisp_error *err);

/* Prints the mark on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT. Programs that embed the host
 * decide whether they want it; the command does. [setup] */
void wispi_install_fault_handler(void);

/* Calls a vtable function that returns a status; `expression` may use anything in scope. */
#define WISPI_CALL(status, plugin, function, err, expression)                                      \
    do {                                                                                           \
        wispi_mark wispi_former = wispi_mark_enter((plugin), (function));                          \
        (status) = (expression);                                                                   \
        wispi_mark_leave(wispi_former);                                                            \
        if ((status) != WISP_OK)                                                                   \
            (status) = wispi_mark_error((plugin), (function), (status), (err));                    \
    } while (0)

/* Calls one that returns nothing or a value: WISPI_VISIT(plugin, "plan", x = f(y)); */
#define WISPI_VISIT(plugin, function, statement)                                                   \
    do {                                                                                           \
        wispi_mark wispi_former = wispi_mark_enter((plugin), (function));                          \
        statement;                                                                                 \
        wispi_mark_leave(wispi_former);                                                            \
    } while (0)

#endif
