/* cuda_memory.h - the backend table's memory, copies and waits. */
#ifndef CUDA_MEMORY_H
#define CUDA_MEMORY_H

#include "cuda_device.h"

/* Copies beside the device's stream, and what says that they are done. */
wisp_status cuda_transfer_open(cuda_device *device, wisp_error *err);
void cuda_transfer_close(cuda_device *device);

wisp_status cuda_memory_alloc(void *handle, size_t bytes, void **memory, wisp_error *err);
void cuda_memory_free(void *handle, void *memory);
wisp_status cuda_memory_alloc_host(void *handle, size_t bytes, void **memory, wisp_error *err);
void cuda_memory_free_host(void *handle, void *memory);

wisp_status cuda_to_device(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);
wisp_status cuda_to_host(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);
wisp_status cuda_on_device(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err);
wisp_status cuda_sync(void *handle, wisp_error *err);

wisp_status cuda_upload(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                        wisp_error *err);
wisp_status cuda_download(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                          wisp_error *err);
wisp_status cuda_wait(void *handle, uint64_t ticket, wisp_error *err);
wisp_status cuda_order_uploads(void *handle, wisp_error *err);
wisp_status cuda_follow(void *handle, void *other, wisp_error *err);

#endif
