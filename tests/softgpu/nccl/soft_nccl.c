/* libnccl.so.2 of the software device. Collectives are work of a stream and run on its memory;
 * every rank reduces in the order of the ranks, so that all have the same bits. A collective that
 * waits for a rank waits until the communicator is aborted, as NCCL's kernels do. */
#include <stdlib.h>
#include <string.h>

#include "nccl_calls.h"
#include "soft_client.h"
#include "soft_nccl_room.h"

enum { INVALID_ARGUMENT = 4, SYSTEM_ERROR = 2, JOIN_NAPS = 3000000 }; /* a minute */

#define PROTOTYPE(member, symbol, result, parameters) SOFT_API result symbol parameters;
NCCL_LIBRARY_CALLS(PROTOTYPE)

struct ncclComm {
    const soft_device *device;
    soft_nccl_room *room;
    int rank, size;
    uint64_t turn; /* of the counters */
    atomic_int is_aborted;
};

/* What a piece of work is told. */
typedef struct {
    ncclComm_t comm;
    const char *in;
    char *out;
    size_t bytes; /* of one rank */
    int kind, op, root;
} collective;

enum { REDUCE, GATHER, BROADCAST };

SOFT_API ncclResult_t ncclGetVersion(int *version)
{
    *version = 22700;
    return ncclSuccess;
}

SOFT_API const char *ncclGetErrorString(ncclResult_t result)
{
    switch ((int)result) {
    case ncclSuccess:
        return "no error";
    case SYSTEM_ERROR:
        return "unhandled system error (software device)";
    case INVALID_ARGUMENT:
        return "invalid argument (software device)";
    default:
        return "unknown result code";
    }
}

SOFT_API ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    memset(id, 0, sizeof *id);
    return soft_nccl_room_make(id->internal, sizeof id->internal) ? ncclSuccess
                                                                  : (ncclResult_t)SYSTEM_ERROR;
}

SOFT_API ncclResult_t ncclCommInitRank(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank)
{
    const soft_device *device = soft_device_open();
    if (!comm || n_ranks < 1 || n_ranks > SOFT_NCCL_RANKS || rank < 0 || rank >= n_ranks)
        return (ncclResult_t)INVALID_ARGUMENT;
    soft_nccl_room *room = device ? soft_nccl_room_enter(id.internal) : NULL;
    struct ncclComm *made = room ? calloc(1, sizeof *made) : NULL;
    if (!made)
        return (ncclResult_t)SYSTEM_ERROR;
    *made = (struct ncclComm){.device = device, .room = room, .rank = rank, .size = n_ranks};
    atomic_fetch_add(&room->joined, 1);
    for (int i = 0; atomic_load(&room->joined) < (unsigned)n_ranks; i++) {
        if (i == JOIN_NAPS)
            return (ncclResult_t)SYSTEM_ERROR;
        soft_nccl_nap();
    }
    if (rank == 0)
        soft_nccl_room_forget(id.internal);
    *comm = made;
    return ncclSuccess;
}

/* Work in a stream may still name the communicator, so that its few bytes stay. */
SOFT_API ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    atomic_store(&comm->is_aborted, 1);
    return ncclSuccess;
}

SOFT_API ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    return ncclCommAbort(comm);
}

SOFT_API ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    (void)comm;
    *error = ncclSuccess;
    return ncclSuccess;
}

/* --- work --- */

static void reduce_floats(const struct ncclComm *c, int op, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        float value = ((const float *)(const void *)c->room->places[0])[i];
        for (int r = 1; r < c->size; r++) {
            const float other = ((const float *)(const void *)c->room->places[r])[i];
            value = op == ncclMax ? (other > value ? other : value) : value + other;
        }
        out[i] = op == ncclAvg ? value / (float)c->size : value;
    }
}

/* A piece that fits in a place: all write, all read, and nobody writes before that. */
static int exchange(const collective *w, size_t first, size_t n)
{
    struct ncclComm *c = w->comm;
    const uint64_t turn = ++c->turn;
    if (!soft_nccl_room_wait(c->room->read, c->size, turn - 1, &c->is_aborted))
        return 0;
    memcpy(c->room->places[c->rank], w->in + first, n);
    atomic_store(&c->room->written[c->rank], turn);
    if (!soft_nccl_room_wait(c->room->written, c->size, turn, &c->is_aborted))
        return 0;
    if (w->kind == REDUCE)
        reduce_floats(c, w->op, n / sizeof(float), (float *)(void *)(w->out + first));
    else if (w->kind == BROADCAST)
        memcpy(w->out + first, c->room->places[w->root], n);
    for (int r = 0; w->kind == GATHER && r < c->size; r++)
        memcpy(w->out + (size_t)r * w->bytes + first, c->room->places[r], n);
    atomic_store(&c->room->read[c->rank], turn);
    return 1;
}

static void run(void *args)
{
    const collective *w = args;
    for (size_t first = 0; first < w->bytes; first += SOFT_NCCL_PLACE) {
        const size_t left = w->bytes - first;
        if (!exchange(w, first, left < SOFT_NCCL_PLACE ? left : SOFT_NCCL_PLACE))
            return;
    }
}

static ncclResult_t submit(const collective *w, const char *name, size_t out_bytes, CUstream stream)
{
    const struct ncclComm *c = w->comm;
    if (!soft_device_has(c->device, name, "sendbuff", w->in, w->bytes) ||
        !soft_device_has(c->device, name, "recvbuff", w->out, out_bytes))
        return (ncclResult_t)INVALID_ARGUMENT;
    return c->device->enqueue(stream, run, w, sizeof *w, name) == 0 ? ncclSuccess : (ncclResult_t)1;
}

SOFT_API ncclResult_t ncclAllReduce(const void *in, void *out, size_t count, ncclDataType_t type,
                                    ncclRedOp_t op, ncclComm_t comm, CUstream stream)
{
    const collective w = {comm, in, out, count * sizeof(float), REDUCE, (int)op, 0};
    if (type != ncclFloat32)
        return (ncclResult_t)INVALID_ARGUMENT;
    return submit(&w, "ncclAllReduce", w.bytes, stream);
}

SOFT_API ncclResult_t ncclAllGather(const void *in, void *out, size_t count, ncclDataType_t type,
                                    ncclComm_t comm, CUstream stream)
{
    const collective w = {comm, in, out, count, GATHER, 0, 0};
    if (type != ncclUint8)
        return (ncclResult_t)INVALID_ARGUMENT;
    return submit(&w, "ncclAllGather", w.bytes * (size_t)comm->size, stream);
}

SOFT_API ncclResult_t ncclBroadcast(const void *in, void *out, size_t count, ncclDataType_t type,
                                    int root, ncclComm_t comm, CUstream stream)
{
    const collective w = {comm, in, out, count, BROADCAST, 0, root};
    if (type != ncclUint8)
        return (ncclResult_t)INVALID_ARGUMENT;
    return submit(&w, "ncclBroadcast", w.bytes, stream);
}
