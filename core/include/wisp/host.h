/* host.h - the services that every plugin gets from its host (ABI-6).
 *
 * A plugin links nothing of the host. It is handed this table, and asks it for further tables by
 * id; an id that the host does not know gives NULL. */
#ifndef WISP_HOST_H
#define WISP_HOST_H

#include "wisp/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WISP_LOG_ERROR = 0,
    WISP_LOG_WARNING = 1,
    WISP_LOG_INFO = 2,
    WISP_LOG_DEBUG = 3,
    WISP_LOG_PLUGIN_MISBEHAVING = 4 /* printed as an error that names the plugin */
};

typedef struct wisp_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;
    const char *version; /* of the host's release, for messages only */

    /* Table of an extension, or NULL: "wisp.ops/0" (wisp_ops of ops.h), "wisp.build/0"
     * (wisp_builder of nn.h). Lives as long as the process. [any] */
    const void *(*get_extension)(const struct wisp_host *host, const char *id);

    /* Zeroed memory, 64-byte aligned; NULL when there is none. Of 0 bytes it is a block as well, to
     * be freed and not to be touched. What a plugin allocates here it frees here; torture tests and
     * memory accounting depend on it (ABI-9). [any] */
    void *(*alloc)(const struct wisp_host *host, size_t bytes);
    /* Accepts NULL. [any] */
    void (*free)(const struct wisp_host *host, void *memory);

    /* One line, without a newline. [any] */
    void (*log)(const struct wisp_host *host, int32_t level, const char *line);

    /* Runs body(user, first, last) over [0, n) in pieces of at least `grain` on the host's threads
     * and returns when all are done. Must not be called from inside a body. Plugins start no
     * threads of their own (ABI-12). [main] */
    void (*parallel_for)(const struct wisp_host *host, int64_t n, int64_t grain,
                         void (*body)(void *user, int64_t first, int64_t last), void *user);
    /* On how many of them a body may run at once. [any] */
    int32_t (*n_threads)(const struct wisp_host *host);
} wisp_host;

#ifdef __cplusplus
}
#endif
#endif
