/* cuda_memory.c - device memory from the driver's pool, page-locked host memory, and copies.
 *
 * The pool hands memory out in the order of the stream and keeps what is given back, so neither
 * allocating nor freeing stops the device. The driver allocates anew only while programs are
 * recorded; a steady step asks for nothing. */
#include "cuda_memory.h"

wisp_status cuda_memory_alloc(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    const cuda_device *device = handle;
    CUdeviceptr made = 0;
    char what[80];
    snprintf(what, sizeof what, "asking for %zu bytes of device memory", bytes);
    WISP_TRY(cuda_check(device->driver,
                        device->driver->MemAllocAsync(&made, bytes ? bytes : 1, device->stream),
                        what, err));
    /* Uploads run beside the stream, and may begin before it comes to the allocation. */
    const wisp_status status = cuda_sync(handle, err);
    if (status == WISP_OK)
        *memory = (void *)(uintptr_t)made;
    else
        device->driver->MemFreeAsync(made, device->stream);
    return status;
}

void cuda_memory_free(void *handle, void *memory)
{
    cuda_device *device = handle;
    wisp_error unused;
    if (!memory)
        return;
    cuda_order_uploads(device, &unused);
    device->driver->MemFreeAsync(cuda_pointer(memory), device->stream);
}

wisp_status cuda_memory_alloc_host(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    const cuda_device *device = handle;
    return cuda_check(device->driver, device->driver->MemHostAlloc(memory, bytes ? bytes : 1, 0),
                      "asking for page-locked host memory", err);
}

void cuda_memory_free_host(void *handle, void *memory)
{
    const cuda_device *device = handle;
    if (memory)
        device->driver->MemFreeHost(memory);
}

/* --- copies in the order of the stream --- */

wisp_status cuda_sync(void *handle, wisp_error *err)
{
    const cuda_device *device = handle;
    return cuda_check(device->driver, device->driver->StreamSynchronize(device->stream),
                      "waiting for the device", err);
}

static wisp_status send(const cuda_device *device, void *dst, const void *src, size_t bytes,
                        CUstream stream, wisp_error *err)
{
    return cuda_check(device->driver,
                      device->driver->MemcpyHtoDAsync(cuda_pointer(dst), src, bytes, stream),
                      "copying to the device", err);
}

static wisp_status receive(const cuda_device *device, void *dst, const void *src, size_t bytes,
                           wisp_error *err)
{
    return cuda_check(
        device->driver,
        device->driver->MemcpyDtoHAsync(dst, cuda_pointer(src), bytes, device->stream),
        "copying from the device", err);
}

wisp_status cuda_to_device(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    const cuda_device *device = handle;
    if (!bytes)
        return WISP_OK;
    WISP_TRY(send(device, dst, src, bytes, device->stream, err));
    return cuda_sync(handle, err);
}

wisp_status cuda_to_host(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    if (!bytes)
        return WISP_OK;
    WISP_TRY(receive(handle, dst, src, bytes, err));
    return cuda_sync(handle, err);
}

wisp_status cuda_on_device(void *handle, void *dst, const void *src, size_t bytes, wisp_error *err)
{
    return bytes && dst != src ? cuda_copy(handle, dst, src, bytes, err) : WISP_OK;
}

/* --- copies that the host does not wait for --- */

/* A ticket is 2 n + direction for the n-th copy of a direction, from 1 on. Its event is used again
 * by later copies of that direction; whoever waits for those has waited for the earlier one too. */
static wisp_status give_ticket(cuda_device *device, int32_t direction, CUstream stream,
                               uint64_t *ticket, wisp_error *err)
{
    cuda_transfers *t = &device->transfers;
    const uint64_t n = t->n[direction];
    WISP_TRY(cuda_check(device->driver,
                        device->driver->EventRecord(t->done[direction][n % CUDA_TICKETS], stream),
                        "marking a copy", err));
    t->n[direction]++;
    *ticket = 2 * (n + 1) + (uint64_t)direction;
    return WISP_OK;
}

wisp_status cuda_upload(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                        wisp_error *err)
{
    cuda_device *device = handle;
    const CUstream stream = device->transfers.stream;
    if (bytes)
        WISP_TRY(send(device, dst, src, bytes, stream, err));
    return give_ticket(device, CUDA_UP, stream, ticket, err);
}

wisp_status cuda_download(void *handle, void *dst, const void *src, size_t bytes, uint64_t *ticket,
                          wisp_error *err)
{
    cuda_device *device = handle;
    if (bytes)
        WISP_TRY(receive(device, dst, src, bytes, err));
    return give_ticket(device, CUDA_DOWN, device->stream, ticket, err);
}

wisp_status cuda_wait(void *handle, uint64_t ticket, wisp_error *err)
{
    const cuda_device *device = handle;
    const cuda_transfers *t = &device->transfers;
    const uint64_t n = ticket / 2 - 1, direction = ticket % 2;
    if (ticket < 2 || n >= t->n[direction])
        return wisp_fail(err, WISP_E_INVALID, "backend cuda: ticket %llu was not given out",
                         (unsigned long long)ticket);
    return cuda_check(device->driver,
                      device->driver->EventSynchronize(t->done[direction][n % CUDA_TICKETS]),
                      "waiting for a copy", err);
}

static wisp_status follow(const cuda_device *device, CUevent event, CUstream first, CUstream then,
                          wisp_error *err)
{
    WISP_TRY(cuda_check(device->driver, device->driver->EventRecord(event, first),
                        "marking a stream", err));
    return cuda_check(device->driver, device->driver->StreamWaitEvent(then, event, 0),
                      "ordering two streams", err);
}

wisp_status cuda_order_uploads(void *handle, wisp_error *err)
{
    const cuda_device *device = handle;
    const cuda_transfers *t = &device->transfers;
    WISP_TRY(follow(device, t->order[CUDA_UP], t->stream, device->stream, err));
    return follow(device, t->order[CUDA_DOWN], device->stream, t->stream, err);
}

wisp_status cuda_follow(void *handle, void *other, wisp_error *err)
{
    const cuda_device *device = handle, *first = other;
    return follow(device, device->transfers.beside, first->stream, device->stream, err);
}

/* --- opening --- */

/* Memory that was given back stays with the pool, or every freed block would be the system's. */
static wisp_status keep_pool(const cuda_device *device, wisp_error *err)
{
    CUmemoryPool pool = NULL;
    uint64_t all = UINT64_MAX;
    WISP_TRY(cuda_check(device->driver,
                        device->driver->DeviceGetDefaultMemPool(&pool, device->ordinal),
                        "finding the memory pool", err));
    return cuda_check(
        device->driver,
        device->driver->MemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &all),
        "setting up the memory pool", err);
}

static wisp_status make_event(const cuda_device *device, CUevent *event, wisp_error *err)
{
    return cuda_check(device->driver, device->driver->EventCreate(event, CU_EVENT_DISABLE_TIMING),
                      "making an event", err);
}

wisp_status cuda_transfer_open(cuda_device *device, wisp_error *err)
{
    cuda_transfers *t = &device->transfers;
    WISP_TRY(keep_pool(device, err));
    WISP_TRY(cuda_check(device->driver,
                        device->driver->StreamCreate(&t->stream, CU_STREAM_NON_BLOCKING),
                        "making a stream for copies", err));
    WISP_TRY(make_event(device, &t->beside, err));
    for (int32_t d = 0; d < 2; d++) {
        WISP_TRY(make_event(device, &t->order[d], err));
        for (int32_t i = 0; i < CUDA_TICKETS; i++)
            WISP_TRY(make_event(device, &t->done[d][i], err));
    }
    return WISP_OK;
}

void cuda_transfer_close(cuda_device *device)
{
    cuda_transfers *t = &device->transfers;
    if (t->beside)
        device->driver->EventDestroy(t->beside);
    for (int32_t d = 0; d < 2; d++) {
        if (t->order[d])
            device->driver->EventDestroy(t->order[d]);
        for (int32_t i = 0; i < CUDA_TICKETS; i++)
            if (t->done[d][i])
                device->driver->EventDestroy(t->done[d][i]);
    }
    if (t->stream)
        device->driver->StreamDestroy(t->stream);
}
