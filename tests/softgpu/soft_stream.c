/* soft_stream.c - streams. Work runs when it is submitted, in the order of the calls; with
 * WISP_SOFTGPU_ORDER=late it waits until something waits for it, and then no more of it runs than
 * was asked for, which is as late as a device could be. */
#include "soft_driver.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM = 0x57e4a3 };

static struct CUstream_st default_stream = {.magic = STREAM};
static CUstream streams;
static int last_number;

int soft_runs_late(void)
{
    static int late = -1;
    if (late < 0) {
        const char *order = getenv("WISP_SOFTGPU_ORDER");
        late = order != NULL && strstr(order, "late") != NULL;
    }
    return late;
}

CUstream soft_stream(CUstream handle)
{
    if (handle == NULL)
        return &default_stream;
    return (uintptr_t)handle >= 4096 && handle->magic == STREAM ? handle : NULL;
}

CUresult soft_stream_run(CUstream stream, uint64_t position)
{
    CUresult result = CUDA_SUCCESS;
    while (result == CUDA_SUCCESS && stream->done < position) {
        soft_work *work = soft_works_take(&stream->late);
        stream->done++;
        result = work->run(work->args);
        free(work);
    }
    return result;
}

CUresult soft_streams_run_all(void)
{
    CUresult result = CUDA_SUCCESS;
    for (CUstream s = streams; result == CUDA_SUCCESS && s != NULL; s = s->next)
        result = soft_stream_run(s, s->submitted);
    return result == CUDA_SUCCESS ? soft_stream_run(&default_stream, default_stream.submitted)
                                  : result;
}

static void drop_work(CUstream stream)
{
    soft_works_free(&stream->late);
    stream->done = stream->submitted;
}

/* Handles are never used again, so that an old one is known as such: the few bytes stay. */
void soft_streams_release_all(void)
{
    for (CUstream s = streams; s != NULL; s = s->next) {
        drop_work(s);
        s->capture = NULL;
        s->magic = 0;
    }
    drop_work(&default_stream);
}

static CUresult create(CUstream *stream, unsigned int flags)
{
    if (stream == NULL || flags > CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    CUstream made = calloc(1, sizeof *made);
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->magic = STREAM;
    made->flags = flags;
    made->number = ++last_number;
    made->next = streams;
    streams = made;
    *stream = made;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
    CUresult result = soft_enter();
    soft_trace("cuStreamCreate");
    if (result == CUDA_SUCCESS)
        result = create(stream, flags);
    return soft_leave(result);
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
    (void)priority;
    return cuStreamCreate(stream, flags);
}

static CUresult destroy(CUstream stream)
{
    if (stream == NULL || stream == &default_stream)
        return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture != NULL)
        soft_capture_spoil(stream->capture, CUDA_SUCCESS);
    const CUresult result = soft_stream_run(stream, stream->submitted);
    stream->magic = 0;
    return result;
}

CUresult cuStreamDestroy_v2(CUstream stream)
{
    CUresult result = soft_enter();
    soft_trace("cuStreamDestroy");
    if (result == CUDA_SUCCESS)
        result = destroy(soft_stream(stream));
    return soft_leave(result);
}

/* Waiting for a stream means for all of them when it is the default stream. */
static CUresult synchronize(CUstream stream)
{
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture != NULL)
        return soft_capture_spoil(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    const CUresult result = soft_capture_check_default(stream);
    if (result != CUDA_SUCCESS)
        return result;
    return stream->number == 0 ? soft_streams_run_all()
                               : soft_stream_run(stream, stream->submitted);
}

CUresult cuStreamSynchronize(CUstream stream)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuStreamSynchronize stream=%d", known != NULL ? known->number : -1);
    if (result == CUDA_SUCCESS)
        result = synchronize(known);
    return soft_leave(result);
}

CUresult cuStreamQuery(CUstream stream)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuStreamQuery stream=%d", known != NULL ? known->number : -1);
    if (result == CUDA_SUCCESS) {
        const int busy = known != NULL && known->done < known->submitted;
        result = synchronize(known);
        if (result == CUDA_SUCCESS && busy)
            result = CUDA_ERROR_NOT_READY;
    }
    return soft_leave(result);
}

CUresult cuCtxSynchronize(void)
{
    CUresult result = soft_enter();
    soft_trace("cuCtxSynchronize");
    if (result == CUDA_SUCCESS && soft_captures_active())
        result = soft_capture_spoil(NULL, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (result == CUDA_SUCCESS)
        result = soft_streams_run_all();
    return soft_leave(result);
}
