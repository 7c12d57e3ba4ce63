/* nccl_calls.h - NVIDIA's NCCL 2 and the driver API as far as this plugin uses them, under their
 * own names and with their own values (nccl.h, cuda.h). Nothing is linked: functions are looked up
 * in libnccl.so.2 and libcuda.so.1. tests/ranks/nccl_declarations.sh compares with nccl.h where it
 * is. */
#ifndef WISP_NCCL_CALLS_H
#define WISP_NCCL_CALLS_H

#include <stddef.h>

typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct ncclComm *ncclComm_t;

enum { CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DISABLE_TIMING = 2 };

#define NCCL_UNIQUE_ID_BYTES 128
typedef struct {
    char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef enum { ncclSuccess = 0, ncclInProgress = 7 } ncclResult_t;
typedef enum { ncclSum = 0, ncclMax = 2, ncclAvg = 4 } ncclRedOp_t;
typedef enum {
    ncclUint8 = 1,
    ncclInt32 = 2,
    ncclInt64 = 4,
    ncclFloat32 = 7,
    ncclBfloat16 = 9
} ncclDataType_t;

/* X(member, symbol, result, parameters) */
#define NCCL_DRIVER_CALLS(X)                                                                       \
    X(GetErrorString, cuGetErrorString, int, (int error, const char **text))                       \
    X(StreamCreate, cuStreamCreate, int, (CUstream * stream, unsigned flags))                      \
    X(StreamDestroy, cuStreamDestroy_v2, int, (CUstream stream))                                   \
    X(StreamWaitEvent, cuStreamWaitEvent, int, (CUstream stream, CUevent event, unsigned flags))   \
    X(EventCreate, cuEventCreate, int, (CUevent * event, unsigned flags))                          \
    X(EventDestroy, cuEventDestroy_v2, int, (CUevent event))                                       \
    X(EventRecord, cuEventRecord, int, (CUevent event, CUstream stream))

#define NCCL_LIBRARY_CALLS(X)                                                                      \
    X(GetVersion, ncclGetVersion, ncclResult_t, (int *version))                                    \
    X(GetUniqueId, ncclGetUniqueId, ncclResult_t, (ncclUniqueId * id))                             \
    X(CommInitRank, ncclCommInitRank, ncclResult_t,                                                \
      (ncclComm_t * comm, int n_ranks, ncclUniqueId id, int rank))                                 \
    X(CommDestroy, ncclCommDestroy, ncclResult_t, (ncclComm_t comm))                               \
    X(CommAbort, ncclCommAbort, ncclResult_t, (ncclComm_t comm))                                   \
    X(CommGetAsyncError, ncclCommGetAsyncError, ncclResult_t,                                      \
      (ncclComm_t comm, ncclResult_t * error))                                                     \
    X(GetErrorString, ncclGetErrorString, const char *, (ncclResult_t result))                     \
    X(AllReduce, ncclAllReduce, ncclResult_t,                                                      \
      (const void *in, void *out, size_t count, ncclDataType_t type, ncclRedOp_t op,               \
       ncclComm_t comm, CUstream stream))                                                          \
    X(AllGather, ncclAllGather, ncclResult_t,                                                      \
      (const void *in, void *out, size_t count, ncclDataType_t type, ncclComm_t comm,              \
       CUstream stream))                                                                           \
    X(Broadcast, ncclBroadcast, ncclResult_t,                                                      \
      (const void *in, void *out, size_t count, ncclDataType_t type, int root, ncclComm_t comm,    \
       CUstream stream))

#endif
