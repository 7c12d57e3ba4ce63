/* backend.h - a tensor backend: devices, memory and kernels.
 *
 * Two phases (as oneDNN has them): `prepare` judges a call by its descriptors and may refuse with a
 * reason; a prepared kernel has nothing left to decide. The host binds kernels once per call site
 * and never by name in a steady step. Work is asynchronous in the order of the calls where the
 * device is; `sync` waits. */
#ifndef WISP_BACKEND_H
#define WISP_BACKEND_H

#include "wisp/abi.h"
#include "wisp/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One argument of a running kernel. `version` grows whenever the host changes a parameter or
 * buffer, and is 0 for values that change in every call; `uid` names the storage for as long as the
 * process lives. Together they tell a kernel whether a packed copy of its weights is still good. */
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
    const char *op;        /* a name from kernels.h, or a plugin's private one */
    const void *attrs;     /* the op's attrs struct */
    uint64_t attrs_bytes;
    const wisp_desc *const *in;
    const wisp_desc *const *out;
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

typedef struct wisp_device_info {
    char name[128];
    int64_t memory_bytes;
    int32_t has_bf16; /* bf16 arithmetic in hardware */
    int32_t n_threads;
} wisp_device_info;

typedef struct wisp_backend_v0 {
    uint32_t struct_size;
    uint32_t reserved;

    /* 0: cannot run here; higher is better: several builds of one backend are told apart by it.
     * [setup] */
    int32_t (*score)(void *self);
    /* Number of devices; 0 and an error text where there is none. [setup] */
    int32_t (*n_devices)(void *self, wisp_error *err);
    wisp_status (*device_info)(void *self, int32_t device, wisp_device_info *info, wisp_error *err);
    /* Opens a device; every handle below belongs to it. [setup] */
    wisp_status (*open)(void *self, int32_t device, int32_t n_threads, void **handle,
                        wisp_error *err);
    void (*close)(void *self, void *handle);

    /* Device memory, 64-byte aligned, not initialised. [main] */
    wisp_status (*alloc)(void *handle, size_t bytes, void **memory, wisp_error *err);
    void (*free)(void *handle, void *memory);
    /* host -> device, device -> host, device -> device; `to_host` and `to_device` return when the
     * host memory may be reused. [main] */
    wisp_status (*to_device)(void *handle, void *dst, const void *src, size_t bytes,
                             wisp_error *err);
    wisp_status (*to_host)(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);
    wisp_status (*sync)(void *handle, wisp_error *err);

    /* Makes a kernel for the request; WISP_E_UNSUPPORTED with the reason when there is none. [main]
     */
    wisp_status (*prepare)(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err);
    /* 1 when device memory can be read and written by the host directly. */
    int32_t host_visible;
    int32_t reserved2;
} wisp_backend_v0;

#ifdef __cplusplus
}
#endif
#endif
