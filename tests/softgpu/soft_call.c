/* soft_call.c - what every call of the software device begins and ends with: the lock, the current
 * context, the failure that stays, the trace. */
#include "soft_driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Work that a stream runs may ask where memory lies. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int initialised;
static CUresult failure;
static char failure_text[512];
static FILE *trace;
static int trace_asked;
static _Thread_local CUcontext current;

CUresult soft_enter_early(void)
{
    pthread_mutex_lock(&lock);
    return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult soft_enter(void)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS && current == NULL)
        result = CUDA_ERROR_INVALID_CONTEXT;
    return result == CUDA_SUCCESS ? failure : result;
}

CUresult soft_leave(CUresult result)
{
    if (trace != NULL && result != CUDA_SUCCESS)
        soft_trace("  failed %d", (int)result);
    pthread_mutex_unlock(&lock);
    return result;
}

void soft_set_initialised(void)
{
    initialised = 1;
}

void soft_set_current(CUcontext context)
{
    current = context;
}

CUcontext soft_current(void)
{
    return current;
}

/* Line by line, so that the trace of a process that crashes is whole. */
static void open_trace(void)
{
    const char *path = getenv("WISP_SOFTGPU_TRACE");
    trace_asked = 1;
    if (path == NULL || path[0] == '\0')
        return;
    trace = fopen(path, "a");
    if (trace == NULL)
        fprintf(stderr, "softgpu: WISP_SOFTGPU_TRACE=%s cannot be written\n", path);
    else
        setvbuf(trace, NULL, _IOLBF, 0);
}

void soft_trace(const char *format, ...)
{
    if (!trace_asked)
        open_trace();
    if (trace == NULL)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(trace, format, args);
    va_end(args);
    putc('\n', trace);
}

CUresult soft_fail(CUresult result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure_text, sizeof failure_text, format, args);
    va_end(args);
    failure = result;
    fprintf(stderr, "softgpu: %s\n", failure_text);
    return result;
}

const char *soft_failure_text(void)
{
    return failure != CUDA_SUCCESS ? failure_text : NULL;
}

void soft_forget_failure(void)
{
    failure = CUDA_SUCCESS;
}

int64_t soft_setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    const long long value = text == NULL ? 0 : strtoll(text, &end, 10);
    return end == NULL || end == text || *end != '\0' || value < 0 ? otherwise : value;
}
