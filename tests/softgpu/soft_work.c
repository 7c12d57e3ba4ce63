/* soft_work.c - pieces of work: kept in a stream or in a graph, or run at once. */
#include "soft_driver.h"
#include "softgpu.h"

#include <stdlib.h>
#include <string.h>

soft_work *soft_work_make(const char *name, CUresult (*run)(void *), const void *args, size_t bytes)
{
    const size_t room = (sizeof(soft_work) + bytes + 15) & ~(size_t)15;
    soft_work *work = aligned_alloc(16, room);
    if (work == NULL)
        return NULL;
    memset(work, 0, room);
    work->run = run;
    work->name = name;
    if (bytes > 0)
        memcpy(work->args, args, bytes);
    return work;
}

void soft_works_append(soft_works *works, soft_work *work)
{
    if (works->first == NULL)
        works->end = &works->first;
    *works->end = work;
    works->end = &work->next;
    works->n++;
}

soft_work *soft_works_take(soft_works *works)
{
    soft_work *work = works->first;
    if (work != NULL) {
        works->first = work->next;
        works->n--;
    }
    return work;
}

void soft_works_free(soft_works *works)
{
    soft_work *work;
    while ((work = soft_works_take(works)) != NULL)
        free(work);
}

static CUresult keep_in_capture(CUstream stream, soft_work *work)
{
    if (stream->capture->invalid) {
        free(work);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    soft_works_append(&stream->capture->works, work);
    stream->clock.seen[stream->fork]++;
    return CUDA_SUCCESS;
}

CUresult soft_submit(CUstream handle, const char *name, CUresult (*run)(void *), const void *args,
                     size_t bytes)
{
    CUstream stream = soft_stream(handle);
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = soft_capture_check_default(stream);
    if (result != CUDA_SUCCESS)
        return result;
    soft_work *work = soft_work_make(name, run, args, bytes);
    if (work == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (stream->capture != NULL)
        return keep_in_capture(stream, work);
    soft_works_append(&stream->late, work);
    stream->submitted++;
    if (stream->number == 0)
        return soft_streams_run_all();
    return soft_runs_late() ? CUDA_SUCCESS : soft_stream_run(stream, stream->submitted);
}

/* --- work of the other libraries --- */

typedef struct foreign_work {
    softgpu_work *work;
    _Alignas(16) unsigned char args[];
} foreign_work;

static CUresult run_foreign(void *args)
{
    foreign_work *f = args;
    soft_memory_open();
    f->work(f->args);
    soft_memory_close();
    return CUDA_SUCCESS;
}

static CUresult enqueue(CUstream stream, softgpu_work *work, const void *args, size_t bytes,
                        const char *name)
{
    foreign_work *f = aligned_alloc(16, (sizeof *f + bytes + 15) & ~(size_t)15);
    if (f == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    f->work = work;
    if (bytes > 0)
        memcpy(f->args, args, bytes);
    const CUresult result = soft_submit(stream, name, run_foreign, f, sizeof *f + bytes);
    free(f);
    return result;
}

int softgpu_enqueue(struct CUstream_st *stream, softgpu_work *work, const void *args, size_t bytes,
                    const char *name)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("library stream=%d work=%s", known != NULL ? known->number : -1, name);
    if (result == CUDA_SUCCESS)
        result = enqueue(stream, work, args, bytes, name);
    return (int)soft_leave(result);
}
