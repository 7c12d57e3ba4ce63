/* soft_capture.c - streams in capture: their work is kept for a graph. Other streams enter a
 * capture when they wait for an event of it, and must have been waited for at its end. */
#include "soft_driver.h"

#include <stdlib.h>
#include <string.h>

static soft_capture *captures;
static uint64_t last_id;

int soft_captures_active(void)
{
    return captures != NULL;
}

/* NULL: all captures that there are. */
CUresult soft_capture_spoil(soft_capture *capture, CUresult result)
{
    for (soft_capture *c = captures; c != NULL; c = c->next)
        if (capture == NULL || capture == c)
            c->invalid = 1;
    return result;
}

/* A relaxed capture forbids nothing, a global one forbids it to every thread. */
CUresult soft_forbid_in_capture(void)
{
    CUresult result = CUDA_SUCCESS;
    for (soft_capture *c = captures; c != NULL; c = c->next) {
        const int own = pthread_equal(c->thread, pthread_self());
        if ((own && c->mode != CU_STREAM_CAPTURE_MODE_RELAXED) ||
            c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL)
            result = soft_capture_spoil(c, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    return result;
}

CUresult soft_capture_check_default(CUstream stream)
{
    if (stream->number != 0)
        return CUDA_SUCCESS;
    for (soft_capture *c = captures; c != NULL; c = c->next)
        for (int i = 0; i < c->n_streams; i++)
            if (!(c->streams[i]->flags & CU_STREAM_NON_BLOCKING))
                return soft_capture_spoil(c, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    return CUDA_SUCCESS;
}

/* --- events inside --- */

int soft_event_captured(CUevent event)
{
    return event->capture_id != 0;
}

/* The capture that the event was recorded in, if it still goes on. */
static soft_capture *capture_of(CUevent event)
{
    for (soft_capture *c = captures; c != NULL; c = c->next)
        if (c == event->capture && c->id == event->capture_id)
            return c;
    return NULL;
}

CUresult soft_capture_record(CUevent event, CUstream stream)
{
    if (stream->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    event->capture = stream->capture;
    event->capture_id = stream->capture->id;
    event->clock = stream->clock;
    event->recorded = 0;
    return CUDA_SUCCESS;
}

static CUresult enter_capture(CUstream stream, soft_capture *capture)
{
    if (capture->n_streams == SOFT_MAX_FORKS)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (stream->number == 0)
        return soft_capture_spoil(capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    stream->capture = capture;
    stream->fork = capture->n_streams;
    memset(&stream->clock, 0, sizeof stream->clock);
    capture->streams[capture->n_streams++] = stream;
    return CUDA_SUCCESS;
}

CUresult soft_capture_wait(CUstream stream, CUevent event)
{
    soft_capture *capture = capture_of(event);
    if (capture == NULL && stream->capture == NULL)
        return CUDA_ERROR_CAPTURED_EVENT;
    if (capture == NULL)
        return soft_capture_spoil(stream->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    if (capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->capture != NULL && stream->capture != capture) {
        soft_capture_spoil(stream->capture, CUDA_SUCCESS);
        return soft_capture_spoil(capture, CUDA_ERROR_STREAM_CAPTURE_MERGE);
    }
    if (stream->capture == NULL) {
        const CUresult result = enter_capture(stream, capture);
        if (result != CUDA_SUCCESS)
            return result;
    }
    for (int i = 0; i < SOFT_MAX_FORKS; i++)
        if (stream->clock.seen[i] < event->clock.seen[i])
            stream->clock.seen[i] = event->clock.seen[i];
    return CUDA_SUCCESS;
}

/* --- beginning and ending --- */

static CUresult begin(CUstream stream, CUstreamCaptureMode mode)
{
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    if (stream->number == 0)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture != NULL)
        return CUDA_ERROR_ILLEGAL_STATE;
    soft_capture *capture = calloc(1, sizeof *capture);
    if (capture == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    capture->id = ++last_id;
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = pthread_self();
    capture->next = captures;
    captures = capture;
    return enter_capture(stream, capture);
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuStreamBeginCapture stream=%d", known != NULL ? known->number : -1);
    if (result == CUDA_SUCCESS)
        result = begin(known, mode);
    return soft_leave(result);
}

static int joined(const soft_capture *capture)
{
    for (int i = 0; i < capture->n_streams; i++)
        if (capture->origin->clock.seen[i] != capture->streams[i]->clock.seen[i])
            return 0;
    return 1;
}

static void take_out(soft_capture *capture)
{
    soft_capture **c = &captures;
    while (*c != capture)
        c = &(*c)->next;
    *c = capture->next;
    for (int i = 0; i < capture->n_streams; i++)
        capture->streams[i]->capture = NULL;
}

static CUresult end(CUstream stream, CUgraph *graph)
{
    if (stream == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (graph == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    soft_capture *capture = stream->capture;
    *graph = NULL;
    if (capture == NULL)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->origin != stream)
        return soft_capture_spoil(capture, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
        !pthread_equal(capture->thread, pthread_self()))
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    CUresult result = CUDA_SUCCESS;
    if (capture->invalid)
        result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    else if (!joined(capture))
        result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    take_out(capture);
    if (result == CUDA_SUCCESS)
        result = soft_graph_make(&capture->works, graph);
    soft_works_free(&capture->works);
    free(capture);
    return result;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    soft_trace("cuStreamEndCapture stream=%d", known != NULL ? known->number : -1);
    if (result == CUDA_SUCCESS)
        result = end(known, graph);
    return soft_leave(result);
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status)
{
    CUresult result = soft_enter();
    CUstream known = soft_stream(stream);
    if (result == CUDA_SUCCESS && known == NULL)
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS && status == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && known->capture == NULL)
        *status = CU_STREAM_CAPTURE_STATUS_NONE;
    else if (result == CUDA_SUCCESS)
        *status = known->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                          : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return soft_leave(result);
}

/* With the last context. */
void soft_captures_release_all(void)
{
    while (captures != NULL) {
        soft_capture *capture = captures;
        take_out(capture);
        soft_works_free(&capture->works);
        free(capture);
    }
}
