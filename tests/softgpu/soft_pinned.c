/* soft_pinned.c - page-locked memory of the host. It is plain memory here; what counts is that
 * copies know it from memory that a device cannot reach by itself. */
#include "soft_driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct pinned {
    struct pinned *next;
    unsigned char *at;
    size_t bytes;
} pinned;

static pinned *all;

int soft_memory_pinned(const void *at, size_t bytes)
{
    const uintptr_t from = (uintptr_t)at;
    for (const pinned *p = all; p != NULL; p = p->next) {
        const uintptr_t first = (uintptr_t)p->at, end = first + p->bytes;
        if (from >= first && from < end)
            return bytes <= end - from ? 1 : -1;
    }
    return 0;
}

static CUresult allocate(void **memory, size_t bytes)
{
    if (memory == NULL || bytes == 0)
        return CUDA_ERROR_INVALID_VALUE;
    pinned *p = malloc(sizeof *p);
    void *at = NULL;
    if (p == NULL || posix_memalign(&at, 4096, bytes) != 0) {
        free(p);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memset(at, 0xff, bytes);
    *p = (pinned){all, at, bytes};
    all = p;
    *memory = at;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned int flags)
{
    CUresult result = soft_enter();
    soft_trace("cuMemHostAlloc bytes=%zu", bytes);
    if (result == CUDA_SUCCESS)
        result = flags > 7 ? CUDA_ERROR_INVALID_VALUE : soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = allocate(memory, bytes);
    return soft_leave(result);
}

static CUresult release(void *memory)
{
    const CUresult result = soft_streams_run_all();
    for (pinned **p = &all; result == CUDA_SUCCESS && *p != NULL; p = &(*p)->next)
        if ((*p)->at == memory) {
            pinned *gone = *p;
            *p = gone->next;
            free(gone->at);
            free(gone);
            return CUDA_SUCCESS;
        }
    return result == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : result;
}

CUresult cuMemFreeHost(void *memory)
{
    CUresult result = soft_enter();
    soft_trace("cuMemFreeHost");
    if (result == CUDA_SUCCESS)
        result = soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = release(memory);
    return soft_leave(result);
}
