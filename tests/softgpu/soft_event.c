/* soft_event.c - events: how far a stream was when one was recorded. */
#include "soft_driver.h"

#include <stdlib.h>
#include <time.h>

enum { EVENT = 0xe7e27 };

static CUevent events;
static int last_number;

static CUevent known(CUevent handle)
{
    return handle != NULL && handle->magic == EVENT ? handle : NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    CUresult result = soft_enter();
    soft_trace("cuEventCreate");
    CUevent made = NULL;
    if (result == CUDA_SUCCESS && (event == NULL || flags > 3))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && (made = calloc(1, sizeof *made)) == NULL)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    if (result == CUDA_SUCCESS) {
        made->magic = EVENT;
        made->flags = flags;
        made->number = ++last_number;
        made->next = events; /* kept for ever, so that an old handle is known as such */
        events = made;
        *event = made;
    }
    return soft_leave(result);
}

CUresult cuEventDestroy_v2(CUevent event)
{
    CUresult result = soft_enter();
    soft_trace("cuEventDestroy");
    if (result == CUDA_SUCCESS && known(event) == NULL)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        event->magic = 0;
    return soft_leave(result);
}

/* --- recording --- */

typedef struct stamp {
    CUevent event;
} stamp;

static CUresult run_stamp(void *args)
{
    const stamp *s = args;
    s->event->seconds = now();
    return CUDA_SUCCESS;
}

static CUresult record(CUevent event, CUstream stream)
{
    if (event == NULL || stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = soft_capture_check_default(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (stream->capture != NULL)
        return soft_capture_record(event, stream);
    event->capture = NULL;
    event->capture_id = 0;
    event->stream = stream;
    event->recorded = 1;
    event->asked = 0;
    event->position = stream->submitted + 1;
    const stamp s = {event};
    return soft_submit(stream->number == 0 ? NULL : stream, "event", run_stamp, &s, sizeof s);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
    CUresult result = soft_enter();
    CUstream to = soft_stream(stream);
    soft_trace("cuEventRecord stream=%d event=%d", to != NULL ? to->number : -1,
               known(event) != NULL ? event->number : -1);
    if (result == CUDA_SUCCESS)
        result = record(known(event), to);
    return soft_leave(result);
}

/* --- waiting --- */

typedef struct wait {
    CUstream stream;
    uint64_t position;
} wait;

static CUresult run_wait(void *args)
{
    const wait *w = args;
    return soft_stream_run(w->stream, w->position);
}

static CUresult wait_event(CUstream stream, CUevent event)
{
    if (event == NULL || stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = soft_capture_check_default(stream);
    if (result != CUDA_SUCCESS)
        return result;
    if (stream->capture != NULL || soft_event_captured(event))
        return soft_capture_wait(stream, event);
    if (!event->recorded)
        return CUDA_SUCCESS;
    const wait w = {event->stream, event->position};
    return soft_submit(stream->number == 0 ? NULL : stream, "wait", run_wait, &w, sizeof w);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
    CUresult result = soft_enter();
    CUstream of = soft_stream(stream);
    soft_trace("cuStreamWaitEvent stream=%d event=%d", of != NULL ? of->number : -1,
               known(event) != NULL ? event->number : -1);
    if (result == CUDA_SUCCESS && flags != 0)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        result = wait_event(of, known(event));
    return soft_leave(result);
}

static CUresult check_host_wait(CUevent event)
{
    if (event == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    const CUresult result = soft_forbid_in_capture();
    if (result != CUDA_SUCCESS)
        return result;
    return soft_event_captured(event) ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent event)
{
    CUresult result = soft_enter();
    soft_trace("cuEventSynchronize event=%d", known(event) != NULL ? event->number : -1);
    if (result == CUDA_SUCCESS)
        result = check_host_wait(known(event));
    if (result == CUDA_SUCCESS && event->recorded)
        result = soft_stream_run(event->stream, event->position);
    return soft_leave(result);
}

/* Late work gets done by asking for it: not ready at first, ready when asked again. */
static CUresult query(CUevent event)
{
    if (!event->recorded || event->stream->done >= event->position)
        return CUDA_SUCCESS;
    if (!event->asked) {
        event->asked = 1;
        return CUDA_ERROR_NOT_READY;
    }
    return soft_stream_run(event->stream, event->position);
}

CUresult cuEventQuery(CUevent event)
{
    CUresult result = soft_enter();
    soft_trace("cuEventQuery event=%d", known(event) != NULL ? event->number : -1);
    if (result == CUDA_SUCCESS)
        result = check_host_wait(known(event));
    if (result == CUDA_SUCCESS)
        result = query(event);
    return soft_leave(result);
}

static CUresult elapsed(float *milliseconds, CUevent start, CUevent end)
{
    if (milliseconds == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (start == NULL || end == NULL || !start->recorded || !end->recorded ||
        (start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)
        return CUDA_ERROR_INVALID_HANDLE;
    if (start->stream->done < start->position || end->stream->done < end->position)
        return CUDA_ERROR_NOT_READY;
    *milliseconds = (float)(1e3 * (end->seconds - start->seconds));
    return CUDA_SUCCESS;
}

#undef cuEventElapsedTime
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end);

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
    CUresult result = soft_enter();
    if (result == CUDA_SUCCESS)
        result = elapsed(milliseconds, known(start), known(end));
    return soft_leave(result);
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
    return cuEventElapsedTime(milliseconds, start, end);
}
