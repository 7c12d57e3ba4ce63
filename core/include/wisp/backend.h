/* backend.h - a tensor backend: devices, memory and kernels.
 *
 * Two phases (as oneDNN has them): `prepare` judges a call by its descriptors and may refuse with a
 * reason; a prepared kernel has nothing left to decide. The host binds kernels once per call site
 * and never by name in a steady step. Work is asynchronous in the order of the calls where the
 * device is; `sync` waits. What the queue of a device is asked to do, it does in that order; only
 * uploads run beside it. */
#ifndef WISP_BACKEND_H
#define WISP_BACKEND_H

#include "wisp/abi.h"
#include "wisp/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One argument of a running kernel. `version` grows whenever the host changes a parameter or
 * buffer, and is 0 for values that change in every call; `uid` names the storage for as long as the
 * process lives. Together they tell a kernel whether a packed copy of its weights is still good.
 * Frozen layout. */
typedef struct wisp_kernel_arg {
    void *data; /* device memory, 64-byte aligned at the start of its storage; NULL: absent */
    uint64_t uid;
    uint64_t version;
} wisp_kernel_arg;

/* What prepare judges. Pointers live during the call only; `in[i]` NULL: argument absent. */
typedef struct wisp_kernel_request {
    uint32_t struct_size;
    int32_t n_in, n_out;
    int32_t deterministic; /* same inputs must give the same bits */
    const char *op;        /* a name from kernels.h */
    const void *attrs;     /* the op's attrs struct */
    uint64_t attrs_bytes;
    const wisp_desc *const *in;
    const wisp_desc *const *out;
    int32_t allow_tf32; /* factors of f32 products may be rounded to TF32's 10 bits of mantissa */
    int32_t autotune;   /* candidates may be run and timed now, so that the quickest is taken */
} wisp_kernel_request;

/* A prepared kernel, made by the backend. The host reads these fields and calls through them. */
typedef struct wisp_kernel {
    uint32_t struct_size;
    uint32_t reserved;
    size_t scratch_bytes;       /* granted at each run, 64-byte aligned */
    const char *implementation; /* short name for the profile: "onednn:brgemm", "avx512" */
    void *state;                /* the backend's */
    /* Inputs first, then outputs, in the order of kernels.h. An inout output has the same data
     * pointer as its input. [main] */
    wisp_status (*run)(const struct wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err);
    /* [main] */
    void (*release)(struct wisp_kernel *kernel);
} wisp_kernel;

/* Frozen layout. */
typedef struct wisp_device_info {
    char name[128];
    int64_t memory_bytes;
    int32_t has_bf16; /* bf16 arithmetic in hardware */
    int32_t n_threads;
} wisp_device_info;

typedef struct wisp_backend_v0 {
    uint32_t struct_size;
    uint32_t reserved;

    /* device = "auto" takes the backend with the highest score. 0: it is taken by its name alone.
     * [setup] */
    int32_t (*score)(void *self);
    /* Number of devices; 0 and an error text where there is none. [setup] */
    int32_t (*n_devices)(void *self, wisp_error *err);
    /* [setup] */
    wisp_status (*device_info)(void *self, int32_t device, wisp_device_info *info, wisp_error *err);
    /* Opens a device; every handle below belongs to it. [setup] */
    wisp_status (*open)(void *self, int32_t device, int32_t n_threads, void **handle,
                        wisp_error *err);
    /* [setup] */
    void (*close)(void *self, void *handle);

    /* Device memory, 64-byte aligned, not initialised. [main] */
    wisp_status (*alloc)(void *handle, size_t bytes, void **memory, wisp_error *err);
    /* [main] */
    void (*free)(void *handle, void *memory);
    /* host -> device; returns when the host's memory may be reused. [main] */
    wisp_status (*to_device)(void *handle, void *dst, const void *src, size_t bytes,
                             wisp_error *err);
    /* device -> host; returns when the values are there. [main] */
    wisp_status (*to_host)(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);
    /* Waits until all that the queue was asked for is done. [main] */
    wisp_status (*sync)(void *handle, wisp_error *err);

    /* Makes a kernel for the request; WISP_E_UNSUPPORTED with the reason when there is none. [main]
     */
    wisp_status (*prepare)(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err);
    /* 1 when device memory can be read and written by the host directly. */
    int32_t host_visible;
    int32_t reserved2;

    /* --- For devices with a queue and memory of their own. All optional; alloc_host to copy come
     * together, and so do the four for graphs. --- */

    /* Host memory that the device reads and writes by itself (page-locked), 64-byte aligned. [main]
     */
    wisp_status (*alloc_host)(void *handle, size_t bytes, void **memory, wisp_error *err);
    /* [main] */
    void (*free_host)(void *handle, void *memory);
    /* Begins a copy host -> device beside the queue and returns at once. `src` lies in memory of
     * alloc_host and stays as it is until `wait` for the ticket. [main] */
    wisp_status (*upload)(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                          wisp_error *err);
    /* A copy device -> host in the order of the queue, which returns at once. `dst` lies in memory
     * of alloc_host and holds the values after `wait`. [main] */
    wisp_status (*download)(void *handle, void *dst, const void *src, size_t bytes,
                            uint64_t *ticket, wisp_error *err);
    /* Until the copy of this ticket is done. No ticket is 0; copies of one direction end in the
     * order in which they began. [main] */
    wisp_status (*wait)(void *handle, uint64_t ticket, wisp_error *err);
    /* What the queue is asked for after this call comes after all uploads before it, and uploads
     * after it come after all that the queue was asked for before. The host waits for neither.
     * [main] */
    wisp_status (*order_uploads)(void *handle, wisp_error *err);
    /* device -> device, in the order of the queue. [main] */
    wisp_status (*copy)(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);

    /* Between begin and end, what kernels do is not done but kept: `end` makes a graph of it, and
     * each launch does all of it, in the order of the queue, with the same pointers, versions and
     * attributes. In between nothing but kernels is called. A graph that failed leaves nothing
     * behind, and the queue as it was before begin. [main] */
    wisp_status (*capture_begin)(void *handle, wisp_error *err);
    /* [main] */
    wisp_status (*capture_end)(void *handle, void **graph, wisp_error *err);
    /* [main] */
    wisp_status (*graph_launch)(void *handle, void *graph, wisp_error *err);
    /* Waits for the last launch if need be. [main] */
    void (*graph_release)(void *handle, void *graph);

    /* The queue itself, for a plugin of the kind `comm` that moves this device's memory: a CUstream
     * of CUDA. NULL: there is none. Optional. [setup] */
    void *(*queue)(void *handle);
    /* What this handle's queue is asked for after this call comes after all that the queue of
     * `other`, an opening of the same device, was asked for before. The host does not wait.
     * Optional. [main] */
    wisp_status (*follow)(void *handle, void *other, wisp_error *err);
} wisp_backend_v0;

#ifdef __cplusplus
}
#endif
#endif
