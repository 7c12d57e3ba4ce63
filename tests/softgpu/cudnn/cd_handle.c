/* Handles, versions, and why the last call failed. */
#include "cd_handle.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char last_error[512];

cudnnStatus_t cd_fail(cudnnStatus_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    soft_say("cudnn: %s (%d)", last_error, (int)status);
    return status;
}

SOFT_API void cudnnGetLastErrorString(char *message, size_t max_size)
{
    if (message && max_size)
        snprintf(message, max_size, "%s", last_error);
    last_error[0] = 0;
}

/* SOFTGPU_CUDNN_VERSION lets the library pass for another version of cuDNN 9. */
SOFT_API size_t cudnnGetVersion(void)
{
    const char *version = getenv("SOFTGPU_CUDNN_VERSION");
    return version ? strtoul(version, NULL, 10) : 91900;
}

SOFT_API cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    const soft_device *device = soft_device_open();
    if (!handle)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "Create: NULL");
    if (!device)
        return cd_fail(CUDNN_STATUS_NOT_INITIALIZED, "Create: no device");
    struct cudnnContext *context = calloc(1, sizeof *context);
    if (!context)
        return cd_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "no memory");
    context->device = device;
    *handle = context;
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    if (!handle)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "Destroy: NULL");
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    if (!handle)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "SetStream: NULL");
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

SOFT_API cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream)
{
    if (!handle || !stream)
        return cd_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "GetStream: NULL");
    *stream = handle->stream;
    return CUDNN_STATUS_SUCCESS;
}

#define STATUS(name)                                                                               \
    case CUDNN_STATUS_##name:                                                                      \
        return "CUDNN_STATUS_" #name

SOFT_API const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch ((int)status) {
        STATUS(SUCCESS);
        STATUS(NOT_INITIALIZED);
        STATUS(BAD_PARAM);
        STATUS(BAD_PARAM_NULL_POINTER);
        STATUS(BAD_PARAM_MISALIGNED_POINTER);
        STATUS(BAD_PARAM_NOT_FINALIZED);
        STATUS(BAD_PARAM_SHAPE_MISMATCH);
        STATUS(BAD_PARAM_DUPLICATED_ENTRIES);
        STATUS(BAD_PARAM_ATTRIBUTE_TYPE);
        STATUS(BAD_PARAM_DESCRIPTOR_TYPE);
        STATUS(NOT_SUPPORTED);
        STATUS(NOT_SUPPORTED_GRAPH_PATTERN);
        STATUS(NOT_SUPPORTED_DATA_TYPE);
        STATUS(INTERNAL_ERROR_HOST_ALLOCATION_FAILED);
        STATUS(EXECUTION_FAILED);
    }
    return "CUDNN_STATUS_OTHER";
}
