/* pool.h - persistent threads that share the work of a loop.
 *
 * The caller takes part, a call allocates nothing, and which thread gets which piece is not
 * defined: a body must give the same result for any partition. */
#ifndef WISPI_BASE_POOL_H
#define WISPI_BASE_POOL_H

#include <stdint.h>

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wispi_pool wispi_pool;

/* `n_threads` counts the caller, so 1 starts no thread; 0 means one per processor that this process
 * may use. Threads are started with all signals blocked: those go to the caller's thread. NULL on
 * failure. [setup] */
wispi_pool *wispi_pool_create(int32_t n_threads, wisp_error *err);

/* Waits for no work: no call may be under way. Accepts NULL. [setup] */
void wispi_pool_destroy(wispi_pool *pool);

/* Runs body(user, first, last) over [0, n), cut into pieces of at least `grain`, and returns when
 * all are done. A pool serves one call at a time; a call that comes while another is under way,
 * from inside a body or from a second thread, runs its whole loop in its own thread. A NULL pool
 * does the same. [any] */
void wispi_pool_for(wispi_pool *pool, int64_t n, int64_t grain,
                    void (*body)(void *user, int64_t first, int64_t last), void *user);

/* Processors that this process may use, at least 1. [any] */
int32_t wispi_processors(void);

/* Threads that work, the caller included; 1 for NULL. [any] */
int32_t wispi_pool_size(const wispi_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
