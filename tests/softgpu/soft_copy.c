/* soft_copy.c - copies and fills. Ranges are judged when the call is made and again when the work
 * is done, by which time the memory may have been freed. */
#include "soft_driver.h"

#include <string.h>

typedef struct copy {
    void *to;
    const void *from;
    size_t bytes;
    int to_device, from_device;
} copy;

typedef int (*judge)(CUdeviceptr at, size_t bytes);

static int in_place(const void *at, size_t bytes, int device, judge in_memory)
{
    if (bytes == 0)
        return 1;
    if (device)
        return in_memory((CUdeviceptr)(uintptr_t)at, bytes);
    return at != NULL && !soft_memory_is_device(at) && soft_memory_pinned(at, bytes) >= 0;
}

static int copy_in_place(const copy *c, judge in_memory)
{
    return in_place(c->to, c->bytes, c->to_device, in_memory) &&
           in_place(c->from, c->bytes, c->from_device, in_memory);
}

static CUresult run_copy(void *args)
{
    const copy *c = args;
    if (!copy_in_place(c, soft_memory_holds))
        return soft_fail(CUDA_ERROR_ILLEGAL_ADDRESS, "a copy of %zu bytes: memory that was freed",
                         c->bytes);
    soft_memory_open();
    memmove(c->to, c->from, c->bytes);
    soft_memory_close();
    return CUDA_SUCCESS;
}

/* Memory that is not page-locked is copied through the driver's own before the call returns, and
 * not at all into a graph. */
static CUresult submit_copy(CUstream handle, const char *name, const copy *c)
{
    CUstream stream = soft_stream(handle);
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!copy_in_place(c, soft_memory_given))
        return CUDA_ERROR_INVALID_VALUE;
    const int pageable = (!c->to_device && soft_memory_pinned(c->to, c->bytes) == 0) ||
                         (!c->from_device && soft_memory_pinned(c->from, c->bytes) == 0);
    if (stream->capture != NULL && pageable)
        return soft_capture_spoil(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    const CUresult result = soft_submit(handle, name, run_copy, c, sizeof *c);
    return result == CUDA_SUCCESS && pageable ? soft_stream_run(stream, stream->submitted) : result;
}

static CUresult trace_copy(CUstream handle, const char *name, const copy *c)
{
    CUresult result = soft_enter();
    CUstream stream = soft_stream(handle);
    soft_trace("%s stream=%d bytes=%zu", name, stream != NULL ? stream->number : -1, c->bytes);
    if (result == CUDA_SUCCESS)
        result = submit_copy(handle, name, c);
    return soft_leave(result);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    const copy c = {(void *)(uintptr_t)to, from, bytes, 1, 0};
    return trace_copy(stream, "cuMemcpyHtoDAsync", &c);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    const copy c = {to, (const void *)(uintptr_t)from, bytes, 0, 1};
    return trace_copy(stream, "cuMemcpyDtoHAsync", &c);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    const copy c = {(void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes, 1, 1};
    return trace_copy(stream, "cuMemcpyDtoDAsync", &c);
}

/* --- fills --- */

typedef struct fill {
    void *to;
    uint32_t value;
    int width;
    size_t n;
} fill;

static CUresult run_fill(void *args)
{
    const fill *f = args;
    if (!in_place(f->to, f->n * (size_t)f->width, 1, soft_memory_holds))
        return soft_fail(CUDA_ERROR_ILLEGAL_ADDRESS, "a fill of %zu values: memory that was freed",
                         f->n);
    soft_memory_open();
    if (f->width == 1)
        memset(f->to, (int)f->value, f->n);
    else
        for (size_t i = 0; i < f->n; i++)
            ((uint32_t *)f->to)[i] = f->value;
    soft_memory_close();
    return CUDA_SUCCESS;
}

static CUresult submit_fill(CUstream handle, const char *name, const fill *f)
{
    CUresult result = soft_enter();
    CUstream stream = soft_stream(handle);
    soft_trace("%s stream=%d n=%zu", name, stream != NULL ? stream->number : -1, f->n);
    if (result == CUDA_SUCCESS &&
        (f->n > SIZE_MAX / 4 || (uintptr_t)f->to % (uintptr_t)f->width != 0 ||
         !in_place(f->to, f->n * (size_t)f->width, 1, soft_memory_given)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = soft_submit(handle, name, run_fill, f, sizeof *f);
    return soft_leave(result);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream)
{
    const fill f = {(void *)(uintptr_t)to, value, 1, n};
    return submit_fill(stream, "cuMemsetD8Async", &f);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t n, CUstream stream)
{
    const fill f = {(void *)(uintptr_t)to, value, 4, n};
    return submit_fill(stream, "cuMemsetD32Async", &f);
}
