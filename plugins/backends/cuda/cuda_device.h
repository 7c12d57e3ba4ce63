/* cuda_device.h - the opened device, and what every kernel file needs to make a kernel and to
 * launch device code. */
#ifndef CUDA_DEVICE_H
#define CUDA_DEVICE_H

#include "cuda_api.h"
#include "wisp/backend_sdk.h"
#include "wisp/host.h"

enum { CUDA_UP, CUDA_DOWN, CUDA_TICKETS = 16 };

/* See cuda_memory.c. */
typedef struct cuda_transfers {
    CUstream stream;  /* of uploads */
    CUevent order[2]; /* between it and the device's stream */
    CUevent beside;   /* of another opening's stream */
    CUevent done[2][CUDA_TICKETS];
    uint64_t n[2]; /* copies so far, up and down */
} cuda_transfers;

typedef struct cuda_device {
    const wisp_host *host;
    const cuda_driver *driver;
    const cuda_cudnn *cudnn;
    const cuda_cublaslt *cublaslt;
    CUdevice ordinal;
    CUcontext context;
    CUmodule module; /* every own kernel */
    CUstream stream; /* everything that computes, in order */
    cuda_transfers transfers;
    cudnnHandle_t cudnn_handle;
    cublasLtHandle_t cublaslt_handle;
    int32_t n_multiprocessors;
    int32_t major, minor; /* compute capability */
    int32_t verbose;      /* WISP_VERBOSE=dispatch: say what each candidate answered */
    int32_t allow_tf32;   /* of the request that is being prepared */
    int32_t autotune;
    struct cuda_tune_cache *tuned; /* see cuda_tune.h */
    /* Properties of a device that is not here, by which cuDNN plans without running: for tests. */
    cudnnBackendDescriptor_t absent_cudnn;
} cuda_device;

/* What run() reaches from its kernel. `state` of the wisp_kernel is the file's own struct, zeroed
 * at creation. */
typedef wisp_status (*cuda_run)(const struct wisp_kernel *kernel, const wisp_kernel_arg *in,
                                const wisp_kernel_arg *out, void *scratch, wisp_error *err);

/* Makes a kernel with zeroed state. `destroy` (may be NULL) frees what the state points to; the
 * state itself goes with the kernel. The caller then fills kernel->state and scratch_bytes; on a
 * later failure it calls kernel->release(kernel). `implementation` must outlive the kernel. */
wisp_status cuda_kernel_create(cuda_device *device, const char *implementation, cuda_run run,
                               size_t state_bytes,
                               void (*destroy)(cuda_device *device, void *state),
                               wisp_kernel **kernel, wisp_error *err);
/* The end of a prepare: hands out what was made, or releases it where filling it in failed. */
wisp_status cuda_kernel_finish(wisp_kernel *made, wisp_status status, wisp_kernel **kernel);
cuda_device *cuda_kernel_device(const wisp_kernel *kernel);

/* Finds device code by name. [main] */
wisp_status cuda_function(const cuda_device *device, const char *name, CUfunction *function,
                          wisp_error *err);
/* The same for code that exists for both activation types: NAME_f32 or NAME_bf16. */
wisp_status cuda_function_for(const cuda_device *device, const char *name, int32_t dtype,
                              CUfunction *function, wisp_error *err);

typedef struct cuda_grid {
    uint32_t x, y, z;      /* blocks; y, z 0: 1 */
    uint32_t threads;      /* a block, along x */
    uint32_t shared_bytes; /* dynamic */
} cuda_grid;

/* Starts device code on the device's stream. `args` points to the one struct it takes. A grid of
 * no blocks does nothing. */
wisp_status cuda_launch(const cuda_device *device, CUfunction function, cuda_grid grid,
                        const void *args, wisp_error *err);

/* A grid of 256 threads a block over n elements, `each` a thread; at most as many blocks as keep
 * the device busy, since device code strides over the rest. */
cuda_grid cuda_grid_over(const cuda_device *device, int64_t n, int32_t each);

/* Turns what a driver call answered into a status; `what` names the call. */
wisp_status cuda_check(const cuda_driver *driver, CUresult result, const char *what,
                       wisp_error *err);

/* Zeroes device memory, in the stream's order. [main] */
wisp_status cuda_zero(const cuda_device *device, void *memory, size_t bytes, wisp_error *err);
wisp_status cuda_copy(const cuda_device *device, void *to, const void *from, size_t bytes,
                      wisp_error *err);

/* Zeroed; NULL when there is none. */
static inline void *cuda_alloc(const cuda_device *device, size_t bytes)
{
    return device->host->alloc(device->host, bytes);
}

static inline void cuda_free(const cuda_device *device, void *memory)
{
    if (memory)
        device->host->free(device->host, memory);
}

static inline CUdeviceptr cuda_pointer(const void *memory)
{
    return (CUdeviceptr)(uintptr_t)memory;
}

/* Books a part of scratch of which `*total` bytes are taken; returns where it begins. Parts are
 * aligned for vector accesses and for every library. */
static inline size_t cuda_book(size_t *total, size_t bytes)
{
    const size_t at = *total;
    *total += (bytes + 255) & ~(size_t)255;
    return at;
}

/* For libraries that want parts aligned to 256 bytes: what to ask for when `total` is booked, and
 * the part of the granted scratch that was booked at `at`. */
static inline size_t cuda_booked(size_t total)
{
    return total ? total + 256 : 0;
}

static inline void *cuda_part(void *scratch, size_t at)
{
    const uintptr_t address = (uintptr_t)scratch;
    return (char *)scratch + (((address + 255) & ~(uintptr_t)255) - address) + at;
}

/* The power of two, at most 64, that divides every address at which the argument can begin: at its
 * storage, or at one of its rows. */
static inline uint32_t cuda_alignment(const wisp_desc *desc)
{
    const int64_t rows = desc->rank > 0 && desc->shape[0] > 0 ? desc->shape[0] : 1;
    const int64_t bytes = wisp_desc_bytes(desc) / rows;
    uint32_t alignment = 64;
    while (bytes % alignment)
        alignment /= 2;
    return alignment;
}

static inline int cuda_is_aligned(const void *memory, uintptr_t bytes)
{
    return (uintptr_t)memory % bytes == 0;
}

#endif
