/* device_parts.h - what an open device is inside. */
#ifndef WISPI_TENSOR_DEVICE_PARTS_H
#define WISPI_TENSOR_DEVICE_PARTS_H

#include "tensor/device.h"

typedef struct wispi_kernel_entry {
    uint64_t hash;
    wisp_kernel *kernel;
    void *key; /* op name, attrs and descriptors in one block */
    size_t key_bytes;
} wispi_kernel_entry;

typedef struct wispi_block {
    void *memory;
    size_t bytes;
} wispi_block;

enum { WISPI_MAX_UPLOADS = 64 };

/* One value that waits to be sent; see transfer.c. */
typedef struct wispi_upload {
    void *dst;
    const void *lent; /* NULL: it stands in the host block at `offset` */
    size_t offset, bytes;
} wispi_upload;

typedef struct wispi_uploads {
    wispi_block host[2]; /* by turns, so that one can be filled while the other is on its way */
    uint64_t sent[2];    /* tickets; 0: none */
    wispi_block device;
    wispi_upload waiting[WISPI_MAX_UPLOADS];
    int32_t n_waiting;
    int32_t now;
    size_t used; /* bytes of host[now] */
    uint64_t last;
} wispi_uploads;

struct wispi_device {
    const wisp_backend_v0 *backend; /* NULL: reference kernels on host memory */
    void *self, *handle;
    int32_t index;
    wispi_device_options options;
    wisp_device_info info;
    wispi_kernel_entry *kernels;
    int32_t n_kernels, kernel_capacity;
    wispi_block *blocks;
    int32_t n_blocks, block_capacity;
    size_t bytes, peak_bytes;
    wispi_block step, scratch;
    uint64_t step_generation;
    wispi_uploads uploads;
    int32_t has_transfers; /* alloc_host to copy */
    int32_t captures;      /* programs may become graphs */
    int32_t allow_tf32, autotune;
    int32_t ranks_on_device;
};

/* Makes `block` at least so long; its content is lost, and its address may change. */
wisp_status wispi_device_grow(wispi_device *device, wispi_block *block, size_t bytes,
                              wisp_error *err);
void wispi_uploads_release(wispi_device *device);

#endif
