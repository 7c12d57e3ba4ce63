/* Handles, versions and the names of states. */
#include "lt_object.h"
#include <stdlib.h>

struct cublasLtContext {
    const soft_device *device;
};

SOFT_API size_t cublasLtGetVersion(void)
{
    return 130100;
}

SOFT_API cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    const soft_device *device = soft_device_open();
    if (!handle)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!device)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    struct cublasLtContext *context = malloc(sizeof *context);
    if (!context)
        return CUBLAS_STATUS_ALLOC_FAILED;
    context->device = device;
    *handle = context;
    return CUBLAS_STATUS_SUCCESS;
}

SOFT_API cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    if (!handle)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

#define STATUS(name)                                                                               \
    case name:                                                                                     \
        return #name

SOFT_API const char *cublasLtGetStatusName(cublasStatus_t status)
{
    switch (status) {
        STATUS(CUBLAS_STATUS_SUCCESS);
        STATUS(CUBLAS_STATUS_NOT_INITIALIZED);
        STATUS(CUBLAS_STATUS_ALLOC_FAILED);
        STATUS(CUBLAS_STATUS_INVALID_VALUE);
        STATUS(CUBLAS_STATUS_ARCH_MISMATCH);
        STATUS(CUBLAS_STATUS_MAPPING_ERROR);
        STATUS(CUBLAS_STATUS_EXECUTION_FAILED);
        STATUS(CUBLAS_STATUS_INTERNAL_ERROR);
        STATUS(CUBLAS_STATUS_NOT_SUPPORTED);
        STATUS(CUBLAS_STATUS_LICENSE_ERROR);
    }
    return "CUBLAS_STATUS_UNKNOWN";
}

SOFT_API const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return cublasLtGetStatusName(status);
}
