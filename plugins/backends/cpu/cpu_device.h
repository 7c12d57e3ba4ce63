/* cpu_device.h - the opened device, and what every kernel file needs to make a kernel. */
#ifndef CPU_DEVICE_H
#define CPU_DEVICE_H

#include "wisp/backend_sdk.h"
#include "wisp/host.h"

struct cpu_onednn;

typedef struct cpu_device {
    const wisp_host *host;
    struct cpu_onednn *onednn; /* engine, stream and packed weights; see cpu_onednn.h */
    int32_t n_threads;         /* for num_threads() and for booking per-thread scratch */
    int32_t has_avx2;          /* with FMA and F16C */
    int32_t has_avx512;        /* F, BW, DQ, VL */
    int32_t has_bf16;          /* bf16 dot products in hardware (AVX512_BF16 or AMX) */
    int32_t has_amx;           /* matrix tiles with bf16, and permission to use them */
    int32_t verbose;           /* WISP_VERBOSE=dispatch: say what each candidate answered */
} cpu_device;

/* What run() reaches from its kernel. `state` of the wisp_kernel is the file's own struct, zeroed
 * at creation, 64-byte aligned. */
typedef wisp_status (*cpu_run)(const struct wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err);

/* Makes a kernel with zeroed state. `destroy` (may be NULL) frees what the state points to; the
 * state itself goes with the kernel. The caller then fills kernel->state and scratch_bytes; on a
 * later failure it calls kernel->release(kernel). `implementation` must outlive the kernel. */
wisp_status cpu_kernel_create(cpu_device *device, const char *implementation, cpu_run run,
                              size_t state_bytes, void (*destroy)(cpu_device *device, void *state),
                              wisp_kernel **kernel, wisp_error *err);
cpu_device *cpu_kernel_device(const wisp_kernel *kernel);

/* Zeroed, 64-byte aligned; NULL when there is none. */
static inline void *cpu_alloc(const cpu_device *device, size_t bytes)
{
    return device->host->alloc(device->host, bytes);
}

static inline void cpu_free(const cpu_device *device, void *memory)
{
    if (memory)
        device->host->free(device->host, memory);
}

/* Sizes inside scratch are rounded up so that every part stays 64-byte aligned. */
static inline size_t cpu_align64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Books a part of scratch of which `*total` bytes are taken; returns where it begins. */
static inline size_t cpu_book(size_t *total, size_t bytes)
{
    const size_t at = *total;
    *total += cpu_align64(bytes);
    return at;
}

/* Start of part i when [0, n) is cut into `parts` nearly equal pieces. */
static inline int64_t cpu_cut(int64_t n, int64_t parts, int64_t i)
{
    const int64_t longer = n % parts;
    return n / parts * i + (i < longer ? i : longer);
}

#endif
