/* comm.h - communication between the processes of one run. */
#ifndef WISP_COMM_H
#define WISP_COMM_H

#include "wisp/abi.h"
#include "wisp/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WISP_REDUCE_OVER_RANKS_SUM = 1, WISP_REDUCE_OVER_RANKS_MAX = 2 };

typedef struct wisp_comm_v0 {
    uint32_t struct_size;
    uint32_t reserved;
    /* Joins the run as the launcher's environment says. [setup] */
    wisp_status (*open)(void *self, int32_t *rank, int32_t *size, int32_t *local_rank,
                        wisp_error *err);
    void (*close)(void *self);
    /* In place over all ranks; device memory of the backend named in `memory_kind`. [main] */
    wisp_status (*all_reduce)(void *self, void *data, int64_t count, int32_t dtype,
                              int32_t reduction, wisp_error *err);
    /* out holds size * bytes, rank by rank. [main] */
    wisp_status (*all_gather)(void *self, const void *in, void *out, size_t bytes, wisp_error *err);
    wisp_status (*broadcast)(void *self, void *data, size_t bytes, int32_t root, wisp_error *err);
    wisp_status (*barrier)(void *self, wisp_error *err);
    const char *memory_kind; /* "host" or a backend's name */
    /* Ends the processes of all ranks at once, with this exit code, because this rank cannot go on.
     * Does not return. [main] */
    void (*abandon)(void *self, int32_t code);
} wisp_comm_v0;

#ifdef __cplusplus
}
#endif
#endif
