/* soft_pool.c - the pool: the same memory, given and taken back in the order of a stream. */
#include "soft_driver.h"

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    static char the_pool;
    if (pool == NULL || device < 0)
        return CUDA_ERROR_INVALID_VALUE;
    *pool = (CUmemoryPool)(void *)&the_pool;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    return pool && value && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

/* Allocating and freeing inside a capture would be nodes of its graph on a device; here they are
 * forbidden to every stream that is captured, and harm nobody else. */
static CUresult check_stream(CUstream stream)
{
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    return stream->capture != NULL
               ? soft_capture_spoil(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
               : CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *memory, size_t bytes, CUstream stream)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuMemAllocAsync stream=%d bytes=%zu", known != NULL ? known->number : -1, bytes);
    if (result == CUDA_SUCCESS)
        result = memory == NULL ? CUDA_ERROR_INVALID_VALUE : check_stream(known);
    if (result == CUDA_SUCCESS)
        result = soft_memory_allocate(bytes, memory);
    return soft_leave(result);
}

static CUresult run_free(void *args)
{
    const CUdeviceptr *memory = args;
    return soft_memory_free(*memory);
}

/* Work of other streams that still uses the memory is the caller's mistake: where streams run late,
 * it comes after and finds nothing there. */
CUresult cuMemFreeAsync(CUdeviceptr memory, CUstream stream)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuMemFreeAsync stream=%d", known != NULL ? known->number : -1);
    if (result == CUDA_SUCCESS)
        result = check_stream(known);
    if (result == CUDA_SUCCESS)
        result = soft_memory_leave(memory);
    if (result == CUDA_SUCCESS)
        result = soft_submit(stream, "free", run_free, &memory, sizeof memory);
    return soft_leave(result);
}
