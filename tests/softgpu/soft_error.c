/* soft_error.c - the names and the words of errors. */
#include "soft_driver.h"

#define ERRORS(X)                                                                                  \
    X(CUDA_SUCCESS, "no error")                                                                    \
    X(CUDA_ERROR_INVALID_VALUE, "an argument has a value that the call does not take")             \
    X(CUDA_ERROR_OUT_OF_MEMORY, "the device has not as much memory left")                          \
    X(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called")                                    \
    X(CUDA_ERROR_NO_DEVICE, "there is no device")                                                  \
    X(CUDA_ERROR_INVALID_DEVICE, "there is no device of this number")                              \
    X(CUDA_ERROR_INVALID_IMAGE, "the module's image is none")                                      \
    X(CUDA_ERROR_INVALID_CONTEXT, "the thread has no current context, or one that is gone")        \
    X(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "the library of kernels cannot be opened")             \
    X(CUDA_ERROR_INVALID_HANDLE, "a handle that is none, or no longer")                            \
    X(CUDA_ERROR_ILLEGAL_STATE, "not in this state")                                               \
    X(CUDA_ERROR_NOT_FOUND, "there is nothing of this name")                                       \
    X(CUDA_ERROR_NOT_READY, "the work is not done yet")                                            \
    X(CUDA_ERROR_ILLEGAL_ADDRESS, "the device reached for memory that is not there")               \
    X(CUDA_ERROR_LAUNCH_FAILED, "a kernel failed")                                                 \
    X(CUDA_ERROR_NOT_SUPPORTED, "the software device cannot do this")                              \
    X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not while a stream is captured")                     \
    X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture was spoilt by an earlier call")          \
    X(CUDA_ERROR_STREAM_CAPTURE_MERGE, "this would join two captures")                             \
    X(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture did not begin in this stream")             \
    X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "a stream of the capture was not joined to its first")   \
    X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "a captured stream would wait for work outside")        \
    X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "the default stream would wait for a captured one")      \
    X(CUDA_ERROR_CAPTURED_EVENT, "the event belongs to a capture")                                 \
    X(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "the capture was begun by another thread")

CUresult cuGetErrorName(CUresult error, const char **text)
{
    *text = NULL;
    switch ((int)error) {
#define NAME_OF(value, words)                                                                      \
    case value:                                                                                    \
        *text = #value;                                                                            \
        break;
        ERRORS(NAME_OF)
    default:
        break;
    }
    return *text != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* A failure that stays is told with all that is known of it. */
CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = NULL;
    if (error == CUDA_ERROR_LAUNCH_FAILED || error == CUDA_ERROR_ILLEGAL_ADDRESS)
        *text = soft_failure_text();
    if (*text != NULL)
        return CUDA_SUCCESS;
    switch ((int)error) {
#define WORDS_OF(value, words)                                                                     \
    case value:                                                                                    \
        *text = words;                                                                             \
        break;
        ERRORS(WORDS_OF)
    default:
        break;
    }
    return *text != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
