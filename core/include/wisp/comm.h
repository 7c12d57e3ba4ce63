/* comm.h - communication between the processes of one run.
 *
 * Memory is the host's, or a device's. With a device's, what moves its memory is put in order with
 * the device's queue: it comes after all that the queue was asked for before, and what the queue is
 * asked for afterwards comes after it (after `wait`, where there is one). The host waits for none
 * of it. Every rank makes the same calls in the same order. */
#ifndef WISP_COMM_H
#define WISP_COMM_H

#include "wisp/abi.h"
#include "wisp/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WISP_REDUCE_OVER_RANKS_SUM = 1,
    WISP_REDUCE_OVER_RANKS_MAX = 2,
    WISP_REDUCE_OVER_RANKS_MEAN = 3 /* of f32 */
};

/* Reductions under way at once; a number from 0 on names one of them. */
enum { WISP_REDUCTIONS_UNDER_WAY = 1024 };

typedef struct wisp_comm_v0 {
    uint32_t struct_size;
    uint32_t reserved;
    /* Joins the run as the launcher's environment says. [setup] */
    wisp_status (*open)(void *self, int32_t *rank, int32_t *size, int32_t *local_rank,
                        wisp_error *err);
    /* [setup] */
    void (*close)(void *self);
    /* In place over all ranks; device memory of the backend named in `memory_kind`. [main] */
    wisp_status (*all_reduce)(void *self, void *data, int64_t count, int32_t dtype,
                              int32_t reduction, wisp_error *err);
    /* out holds size * bytes, rank by rank. [main] */
    wisp_status (*all_gather)(void *self, const void *in, void *out, size_t bytes, wisp_error *err);
    /* From rank `root` to all. [main] */
    wisp_status (*broadcast)(void *self, void *data, size_t bytes, int32_t root, wisp_error *err);
    /* Returns when every rank has called it. [main] */
    wisp_status (*barrier)(void *self, wisp_error *err);
    const char *memory_kind; /* "host" or a backend's name; mandatory */
    /* Ends the processes of all ranks at once, with this exit code, because this rank cannot go on;
     * or lets the others know that it is lost and returns, and the process ends. [main] */
    void (*abandon)(void *self, int32_t code);

    /* --- Optional; start_all_reduce and wait come together. --- */

    /* Begins a reduction and returns at once. `out` may be `in`; neither is touched until `wait`
     * for the same number, which holds up the host, or the device's queue. [main] */
    wisp_status (*start_all_reduce)(void *self, int32_t number, const void *in, void *out,
                                    int64_t count, int32_t dtype, int32_t reduction,
                                    wisp_error *err);
    /* [main] */
    wisp_status (*wait)(void *self, int32_t number, wisp_error *err);
    /* Helps what is under way along, and fails when a rank is lost. Called between the calls of a
     * step while a reduction is under way, and after each step. Returns at once. [main] */
    wisp_status (*progress)(void *self, wisp_error *err);

    /* --- Where memory_kind is not "host", all of these and start_all_reduce. --- */

    /* The device that this rank works on, before any of its memory is given; `queue` is what the
     * backend's `queue` gives. NULL: it is about to be closed. [setup] */
    wisp_status (*attach)(void *self, void *queue, wisp_error *err);
    /* all_gather and broadcast of the host's memory, which the host waits for; small. [main] */
    wisp_status (*host_all_gather)(void *self, const void *in, void *out, size_t bytes,
                                   wisp_error *err);
    /* [main] */
    wisp_status (*host_broadcast)(void *self, void *data, size_t bytes, int32_t root,
                                  wisp_error *err);
} wisp_comm_v0;

#ifdef __cplusplus
}
#endif
#endif
