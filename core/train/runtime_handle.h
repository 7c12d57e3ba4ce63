/* runtime_handle.h - what a wisp_runtime is made of, for the files that implement wisp/runtime.h.
 */
#ifndef WISPI_TRAIN_RUNTIME_HANDLE_H
#define WISPI_TRAIN_RUNTIME_HANDLE_H

#include "base/pool.h"
#include "base/text.h"
#include "loader/registry.h"
#include "wisp/runtime.h"

struct wisp_runtime {
    wispi_registry *registry;
    volatile int stop; /* set by wisp_runtime_stop, maybe in a signal handler; a run clears it */
};

/* Hands a finished text over to the caller, or frees it when it lacked memory. */
wisp_status wispi_runtime_give(wispi_text *made, char **text, wisp_error *err);

/* A pool on which plugins' parallel_for works until it is stopped. */
wisp_status wispi_runtime_start_pool(wispi_pool **pool, wisp_error *err);
void wispi_runtime_stop_pool(wispi_pool *pool); /* accepts NULL */

#endif
