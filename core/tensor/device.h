/* device.h - one open device of a backend: memory, variables and prepared kernels. */
#ifndef WISPI_TENSOR_DEVICE_H
#define WISPI_TENSOR_DEVICE_H

#include "base/arena.h"
#include "tensor/op.h"
#include "wisp/backend.h"

typedef struct wispi_device wispi_device;

typedef struct wispi_device_options {
    int32_t n_threads;
    int32_t deterministic;
    int32_t fallback_reference; /* a missing kernel is replaced by the reference kernel */
} wispi_device_options;

/* Opens device `index` of a backend instance. `backend` NULL: every kernel is the reference kernel
 * on host memory, which is what the tests compare with. */
wisp_status wispi_device_open(const wisp_backend_v0 *backend, void *self, int32_t index,
                              const wispi_device_options *options, wispi_device **device,
                              wisp_error *err);
void wispi_device_close(wispi_device *device); /* accepts NULL */

/* The same device once more, with a queue, kernels and scratch of its own; memory of either may be
 * used by both. WISP_E_UNSUPPORTED where a backend cannot order two queues. */
wisp_status wispi_device_beside(const wispi_device *device, wispi_device **beside, wisp_error *err);
/* What `device` is asked for from now on comes after what `other`, opened beside it, was asked for
 * until now. */
wisp_status wispi_device_follow(wispi_device *device, const wispi_device *other, wisp_error *err);

wisp_status wispi_device_alloc(wispi_device *device, size_t bytes, void **memory, wisp_error *err);
void wispi_device_free(wispi_device *device, void *memory);
wisp_status wispi_device_write(wispi_device *device, void *dst, const void *src, size_t bytes,
                               wisp_error *err);
wisp_status wispi_device_read(wispi_device *device, void *dst, const void *src, size_t bytes,
                              wisp_error *err);
wisp_status wispi_device_sync(wispi_device *device, wisp_error *err);
int wispi_device_host_visible(const wispi_device *device);
/* The host's kernels of collective operations work on this device's memory, not on the host's. */
void wispi_device_set_ranks_on_device(wispi_device *device, int32_t on_device);
/* What a communicator that works on this device's memory is given; NULL: there is nothing. */
void *wispi_device_queue(const wispi_device *device);
/* 1 where the communicator works on this device's memory as it lies. */
int wispi_ranks_reach(const wispi_device *device);
/* Programs may become graphs (program.h), where the backend makes graphs. Off until it is asked
 * for. */
void wispi_device_set_capture(wispi_device *device, int32_t on);
int wispi_device_captures(const wispi_device *device);
int32_t wispi_device_deterministic(const wispi_device *device);
/* What kernels made from now on are allowed; both are off at first (backend.h, requests). */
void wispi_device_set_choice(wispi_device *device, int32_t allow_tf32, int32_t autotune);
const wisp_device_info *wispi_device_info(const wispi_device *device);

/* Bytes held for variables and for steps, and the most there ever were. */
size_t wispi_device_bytes(const wispi_device *device);
size_t wispi_device_peak_bytes(const wispi_device *device);

/* The kernel for a request; made once and kept until close. */
wisp_status wispi_device_kernel(wispi_device *device, const wispi_op *op,
                                const wisp_kernel_request *request, const wisp_kernel **kernel,
                                wisp_error *err);

/* Memory that every step of every program shares, at least `bytes` long; its address may change,
 * the content is lost. `generation` grows whenever the address changes. */
wisp_status wispi_device_step_memory(wispi_device *device, size_t bytes, void **memory,
                                     uint64_t *generation, wisp_error *err);
wisp_status wispi_device_scratch(wispi_device *device, size_t bytes, wisp_error *err);
void *wispi_device_scratch_memory(const wispi_device *device);

/* A value that outlives steps: a parameter, a buffer, a scheduled scalar, a batch. */
typedef struct wispi_variable {
    char name[160];
    wisp_desc desc;
    void *data;        /* device memory; a batch's may change between steps */
    uint64_t uid;      /* unique in the process */
    uint64_t *version; /* counts changes; shared by the parameters of one store */
    uint64_t own_version;
    struct wispi_variable *grad; /* slot of the gradient; NULL: wants none */
    int32_t owns_data;
} wispi_variable;

/* Prepares `variable` (zeroed by the caller) with memory of its own, or around `data`. */
wisp_status wispi_variable_init(wispi_device *device, wispi_variable *variable, const char *name,
                                const wisp_desc *desc, void *data, wisp_error *err);
void wispi_variable_fini(wispi_device *device, wispi_variable *variable);
/* Copies values of the variable's own type and counts a change. */
wisp_status wispi_variable_write(wispi_device *device, wispi_variable *variable, const void *values,
                                 wisp_error *err);
wisp_status wispi_variable_read(wispi_device *device, const wispi_variable *variable, void *values,
                                wisp_error *err);

/* A kernel that runs op->reference on host-visible memory (reference_kernel.c). */
wisp_status wispi_reference_kernel(const wispi_op *op, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err);
/* On a device whose memory the host does not see: puts a kernel in the place of `*kernel`, which
 * works on host memory, that copies arguments to the host and results back. Else changes nothing.
 * Releases `*kernel` when it fails (staged_kernel.c). */
wisp_status wispi_staged_kernel(wispi_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err);
int wispi_kernel_is_staged(const wisp_kernel *kernel);
/* Values of a host array as double, and back with rounding to nearest even. */
void wispi_widen(double *to, const void *from, int32_t dtype, int64_t count);
void wispi_narrow(void *to, const double *from, int32_t dtype, int64_t count);

#endif
