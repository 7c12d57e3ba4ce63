/* almost_good_comm.h - a communicator of one rank, with everything that is asked of one. A file
 * that includes it first defines what shall be different: REDUCE(data, count), what all_reduce()
 * does; and what almost_good.h knows. */
#ifndef WISP_TESTS_ALMOST_GOOD_COMM_H
#define WISP_TESTS_ALMOST_GOOD_COMM_H

#include <stdlib.h>
#include <string.h>

#include "wisp/comm.h"

#ifndef REDUCE
#define REDUCE(data, count) (void)0
#endif

static wisp_status comm_open(void *self, int32_t *rank, int32_t *size, int32_t *local_rank,
                             wisp_error *err)
{
    (void)self;
    (void)err;
    *rank = 0;
    *size = 1;
    *local_rank = 0;
    return WISP_OK;
}

static void comm_close(void *self)
{
    (void)self;
}

static wisp_status comm_reduce(void *self, void *data, int64_t count, int32_t dtype,
                               int32_t reduction, wisp_error *err)
{
    (void)self;
    (void)data;
    (void)count;
    (void)dtype;
    (void)reduction;
    (void)err;
    REDUCE(data, count);
    return WISP_OK;
}

static wisp_status comm_gather(void *self, const void *in, void *out, size_t bytes, wisp_error *err)
{
    (void)self;
    (void)err;
    memcpy(out, in, bytes);
    return WISP_OK;
}

static wisp_status comm_broadcast(void *self, void *data, size_t bytes, int32_t root,
                                  wisp_error *err)
{
    (void)self;
    (void)data;
    (void)bytes;
    (void)root;
    (void)err;
    return WISP_OK;
}

static wisp_status comm_barrier(void *self, wisp_error *err)
{
    (void)self;
    (void)err;
    return WISP_OK;
}

static void comm_abandon(void *self, int32_t code)
{
    (void)self;
    exit(code);
}

static const wisp_comm_v0 comm_table = {
    .struct_size = sizeof comm_table,
    .open = comm_open,
    .close = comm_close,
    .all_reduce = comm_reduce,
    .all_gather = comm_gather,
    .broadcast = comm_broadcast,
    .barrier = comm_barrier,
    .memory_kind = "host",
    .abandon = comm_abandon,
};

#define KIND WISP_KIND_COMM
#define VTABLE &comm_table
#include "almost_good.h"

#endif
