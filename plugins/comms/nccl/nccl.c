/* nccl - the processes of a run talk through NCCL, a GPU each.
 *
 * Collectives work in a stream of their own, which an event ties to the device's queue: a reduction
 * that was started runs beside what the queue does next. All use one communicator, so that they
 * keep their order. Processes find each other by TCP (nccl_meeting.h), and a lost one is noticed
 * there: then the communicator is aborted, which frees a queue that would wait for ever. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <wisp/abi.h>
#include <wisp/comm.h>
#include <wisp/host.h>
#include <wisp/tensor.h>

#include "nccl_api.h"
#include "nccl_meeting.h"

enum { ABORT_SECONDS = 5 };

typedef struct nccl_group {
    const wisp_host *host;
    nccl_api api;
    nccl_launch launch;
    nccl_meeting *meeting; /* NULL: one rank */
    ncclComm_t comm;       /* made when it is needed first; NULL again when it was aborted */
    int is_joined;
    CUstream queue, stream;
    CUevent before;                          /* what the queue did before a collective */
    CUevent done[WISP_REDUCTIONS_UNDER_WAY]; /* made when they are needed */
    pthread_mutex_t calling;                 /* held while NCCL is called */
} nccl_group;

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    nccl_group *g = host->alloc(host, sizeof *g);
    (void)config;
    if (!g)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for NCCL");
    g->host = host;
    pthread_mutex_init(&g->calling, NULL);
    *self = g;
    return WISP_OK;
}

static void destroy(void *self)
{
    nccl_group *g = self;
    if (!g)
        return;
    pthread_mutex_destroy(&g->calling);
    g->host->free(g->host, g);
}

/* --- joining and leaving --- */

/* In the meeting's thread. The main one may be waiting within NCCL for the rank that is lost. */
static void abort_all(void *self)
{
    nccl_group *g = self;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ABORT_SECONDS;
    const int is_mine = pthread_mutex_timedlock(&g->calling, &until) == 0;
    if (g->comm)
        g->api.nccl.CommAbort(g->comm);
    g->comm = NULL;
    if (is_mine)
        pthread_mutex_unlock(&g->calling);
}

static wisp_status open_group(void *self, int32_t *rank, int32_t *size, int32_t *local_rank,
                              wisp_error *err)
{
    nccl_group *g = self;
    int local = 0;
    WISP_TRY(nccl_launch_read(&g->launch, err));
    WISP_TRY(nccl_api_open(&g->api, err));
    if (g->launch.size > 1)
        WISP_TRY(nccl_meeting_open(g->host, &g->launch, g->launch.seconds, abort_all, g,
                                   &g->meeting, &local, err));
    *rank = g->launch.rank;
    *size = g->launch.size;
    *local_rank = local;
    return WISP_OK;
}

static void detach(nccl_group *g)
{
    pthread_mutex_lock(&g->calling);
    if (g->comm)
        g->api.nccl.CommDestroy(g->comm);
    g->comm = NULL;
    g->is_joined = 0;
    pthread_mutex_unlock(&g->calling);
    for (int i = 0; i < WISP_REDUCTIONS_UNDER_WAY; i++)
        if (g->done[i])
            g->api.driver.EventDestroy(g->done[i]);
    if (g->before)
        g->api.driver.EventDestroy(g->before);
    if (g->stream)
        g->api.driver.StreamDestroy(g->stream);
    memset(g->done, 0, sizeof g->done);
    g->before = NULL;
    g->stream = g->queue = NULL;
}

static void close_group(void *self)
{
    nccl_group *g = self;
    detach(g);
    nccl_meeting_close(g->meeting, 1);
    g->meeting = NULL;
    nccl_api_close(&g->api);
}

/* The connections that close without a word tell the others; this process ends by itself. */
static void abandon(void *self, int32_t code)
{
    nccl_group *g = self;
    (void)code;
    abort_all(g);
    nccl_meeting_close(g->meeting, 0);
    g->meeting = NULL;
}

/* --- calls --- */

static wisp_status check(nccl_group *g, wisp_error *err)
{
    ncclResult_t state = ncclSuccess;
    if (g->meeting)
        WISP_TRY(nccl_meeting_check(g->meeting, err));
    pthread_mutex_lock(&g->calling);
    const ncclResult_t asked =
        g->comm ? g->api.nccl.CommGetAsyncError(g->comm, &state) : ncclSuccess;
    pthread_mutex_unlock(&g->calling);
    WISP_TRY(nccl_judge(&g->api, asked, "ncclCommGetAsyncError", err));
    return nccl_judge(&g->api, state, "a collective of NCCL", err);
}

#define DRIVER(function, ...)                                                                      \
    WISP_TRY(nccl_judge_driver(&g->api, g->api.driver.function(__VA_ARGS__), "cu" #function, err))

static wisp_status join_communicator(nccl_group *g, wisp_error *err)
{
    ncclUniqueId id;
    memset(&id, 0, sizeof id);
    if (g->launch.rank == 0)
        WISP_TRY(nccl_judge(&g->api, g->api.nccl.GetUniqueId(&id), "ncclGetUniqueId", err));
    if (g->meeting)
        WISP_TRY(nccl_meeting_broadcast(g->meeting, &id, sizeof id, 0, err));
    ncclComm_t made = NULL;
    WISP_TRY(nccl_judge(&g->api,
                        g->api.nccl.CommInitRank(&made, g->launch.size, id, g->launch.rank),
                        "ncclCommInitRank", err));
    pthread_mutex_lock(&g->calling);
    g->comm = made;
    g->is_joined = 1;
    pthread_mutex_unlock(&g->calling);
    return check(g, err);
}

static wisp_status attach(void *self, void *queue, wisp_error *err)
{
    nccl_group *g = self;
    detach(g);
    if (!queue)
        return WISP_OK;
    DRIVER(StreamCreate, &g->stream, CU_STREAM_NON_BLOCKING);
    DRIVER(EventCreate, &g->before, CU_EVENT_DISABLE_TIMING);
    g->queue = queue;
    return WISP_OK;
}

/* What the stream does from here on comes after what the queue was asked for. */
static wisp_status follow_queue(nccl_group *g, wisp_error *err)
{
    if (g->meeting)
        WISP_TRY(nccl_meeting_check(g->meeting, err));
    if (!g->queue)
        return wisp_fail(err, WISP_E_STATE, "NCCL was given no device");
    if (!g->is_joined)
        WISP_TRY(join_communicator(g, err));
    DRIVER(EventRecord, g->before, g->queue);
    DRIVER(StreamWaitEvent, g->stream, g->before, 0);
    return WISP_OK;
}

static wisp_status mark(nccl_group *g, int32_t number, wisp_error *err)
{
    if (number < 0 || number >= WISP_REDUCTIONS_UNDER_WAY)
        return wisp_fail(err, WISP_E_INVALID, "there is no reduction of number %d", (int)number);
    if (!g->done[number])
        DRIVER(EventCreate, &g->done[number], CU_EVENT_DISABLE_TIMING);
    DRIVER(EventRecord, g->done[number], g->stream);
    return WISP_OK;
}

static wisp_status wait_for(void *self, int32_t number, wisp_error *err)
{
    nccl_group *g = self;
    if (number < 0 || number >= WISP_REDUCTIONS_UNDER_WAY || !g->done[number])
        return WISP_OK;
    DRIVER(StreamWaitEvent, g->queue, g->done[number], 0);
    return WISP_OK;
}

/* --- collectives --- */

static int type_of(int32_t dtype, ncclDataType_t *type)
{
    *type = dtype == WISP_F32    ? ncclFloat32
            : dtype == WISP_BF16 ? ncclBfloat16
            : dtype == WISP_I32  ? ncclInt32
            : dtype == WISP_I64  ? ncclInt64
                                 : ncclUint8;
    return dtype == WISP_F32 || dtype == WISP_BF16 || dtype == WISP_I32 || dtype == WISP_I64 ||
           dtype == WISP_U8;
}

static wisp_status start_all_reduce(void *self, int32_t number, const void *in, void *out,
                                    int64_t count, int32_t dtype, int32_t how, wisp_error *err)
{
    nccl_group *g = self;
    ncclDataType_t type;
    const ncclRedOp_t op = how == WISP_REDUCE_OVER_RANKS_MAX    ? ncclMax
                           : how == WISP_REDUCE_OVER_RANKS_MEAN ? ncclAvg
                                                                : ncclSum;
    if (!type_of(dtype, &type))
        return wisp_fail(err, WISP_E_DTYPE, "NCCL does not add %s", wisp_dtype_name(dtype));
    WISP_TRY(follow_queue(g, err));
    pthread_mutex_lock(&g->calling);
    const ncclResult_t result =
        g->comm ? g->api.nccl.AllReduce(in, out, (size_t)count, type, op, g->comm, g->stream)
                : ncclSuccess;
    pthread_mutex_unlock(&g->calling);
    WISP_TRY(nccl_judge(&g->api, result, "ncclAllReduce", err));
    return mark(g, number, err);
}

static wisp_status join_stream(nccl_group *g, wisp_error *err)
{
    const int32_t number = WISP_REDUCTIONS_UNDER_WAY - 1;
    WISP_TRY(mark(g, number, err));
    return wait_for(g, number, err);
}

static wisp_status all_reduce(void *self, void *data, int64_t count, int32_t dtype, int32_t how,
                              wisp_error *err)
{
    const int32_t number = WISP_REDUCTIONS_UNDER_WAY - 1;
    WISP_TRY(start_all_reduce(self, number, data, data, count, dtype, how, err));
    return wait_for(self, number, err);
}

static wisp_status all_gather(void *self, const void *in, void *out, size_t bytes, wisp_error *err)
{
    nccl_group *g = self;
    WISP_TRY(follow_queue(g, err));
    pthread_mutex_lock(&g->calling);
    const ncclResult_t result =
        g->comm ? g->api.nccl.AllGather(in, out, bytes, ncclUint8, g->comm, g->stream)
                : ncclSuccess;
    pthread_mutex_unlock(&g->calling);
    WISP_TRY(nccl_judge(&g->api, result, "ncclAllGather", err));
    return join_stream(g, err);
}

static wisp_status broadcast(void *self, void *data, size_t bytes, int32_t root, wisp_error *err)
{
    nccl_group *g = self;
    WISP_TRY(follow_queue(g, err));
    pthread_mutex_lock(&g->calling);
    const ncclResult_t result =
        g->comm ? g->api.nccl.Broadcast(data, data, bytes, ncclUint8, root, g->comm, g->stream)
                : ncclSuccess;
    pthread_mutex_unlock(&g->calling);
    WISP_TRY(nccl_judge(&g->api, result, "ncclBroadcast", err));
    return join_stream(g, err);
}

/* --- host memory --- */

static wisp_status host_all_gather(void *self, const void *in, void *out, size_t bytes,
                                   wisp_error *err)
{
    nccl_group *g = self;
    if (g->meeting)
        return nccl_meeting_gather(g->meeting, in, out, bytes, err);
    memcpy(out, in, bytes);
    return WISP_OK;
}

static wisp_status host_broadcast(void *self, void *data, size_t bytes, int32_t root,
                                  wisp_error *err)
{
    nccl_group *g = self;
    return g->meeting ? nccl_meeting_broadcast(g->meeting, data, bytes, root, err) : WISP_OK;
}

static wisp_status barrier(void *self, wisp_error *err)
{
    nccl_group *g = self;
    char own = 0, all[NCCL_MOST_RANKS];
    return g->meeting ? nccl_meeting_gather(g->meeting, &own, all, sizeof own, err) : WISP_OK;
}

static wisp_status progress(void *self, wisp_error *err)
{
    return check(self, err);
}

static const wisp_comm_v0 vtable = {
    .struct_size = sizeof vtable,
    .open = open_group,
    .close = close_group,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .broadcast = broadcast,
    .barrier = barrier,
    .memory_kind = "cuda",
    .abandon = abandon,
    .start_all_reduce = start_all_reduce,
    .wait = wait_for,
    .progress = progress,
    .attach = attach,
    .host_all_gather = host_all_gather,
    .host_broadcast = host_broadcast,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof descriptor,
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_COMM,
    .name = "nccl",
    .version = "0.1.0",
    .summary = "NCCL: one run in several processes, a GPU each, on one machine or many",
    .doc = "Joins the processes that torchrun, srun or mpirun started (RANK, WORLD_SIZE, "
           "LOCAL_RANK; MASTER_ADDR and MASTER_PORT of rank 0) to one run. WISP_MEETING_SECONDS "
           "says how long ranks wait for each other (300). Works on the memory of "
           "the backend cuda. Taken by run.comm = \"auto\" on that backend.",
    .license = "Apache-2.0",
    .reference = "NVIDIA Collective Communications Library (NCCL), version 2.10 or later",
    .create = create,
    .destroy = destroy,
    .vtable = &vtable,
};

WISP_PLUGIN(descriptor)
