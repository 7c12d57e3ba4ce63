/* soft_device.c - initialisation, devices and their contexts. The device pretends to be a small
 * card of a recent generation; all devices of a process share one memory. */
#include "soft_driver.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_DEVICES = 8 };

struct CUctx_st {
    int references;
};

static struct CUctx_st contexts[MOST_DEVICES];

static int n_devices(void)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (visible != NULL && visible[0] == '\0')
        return 0;
    const int64_t n = soft_setting("WISP_SOFTGPU_DEVICES", 1);
    return n < MOST_DEVICES ? (int)n : MOST_DEVICES;
}

static CUresult check_device(CUdevice device)
{
    return device >= 0 && device < n_devices() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuInit(unsigned int flags)
{
    soft_enter_early();
    soft_trace("cuInit");
    CUresult result = flags == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && n_devices() == 0)
        result = CUDA_ERROR_NO_DEVICE;
    if (result == CUDA_SUCCESS)
        result = soft_memory_reserve();
    if (result == CUDA_SUCCESS) {
        soft_fault_watch();
        soft_set_initialised();
    }
    return soft_leave(result);
}

CUresult cuDriverGetVersion(int *version)
{
    if (version == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    *version = 13000;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS && count == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *count = n_devices();
    return soft_leave(result);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS)
        result = device == NULL ? CUDA_ERROR_INVALID_VALUE : check_device(ordinal);
    if (result == CUDA_SUCCESS)
        *device = ordinal;
    return soft_leave(result);
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS)
        result = name == NULL || length <= 0 ? CUDA_ERROR_INVALID_VALUE : check_device(device);
    if (result == CUDA_SUCCESS)
        snprintf(name, (size_t)length, "software device");
    return soft_leave(result);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS)
        result = bytes == NULL ? CUDA_ERROR_INVALID_VALUE : check_device(device);
    if (result == CUDA_SUCCESS)
        *bytes = soft_memory_total();
    return soft_leave(result);
}

static const struct {
    CUdevice_attribute attribute;
    int value;
} attributes[] = {
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 * 1024},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, SOFTGPU_WARP},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_INTEGRATED, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0},
    {CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID, 0},
    {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
    {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 64},
    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 1 << 20},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 228 * 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 227 * 1024},
};

static CUresult find_attribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    if (attribute == CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID) {
        *value = device;
        return CUDA_SUCCESS;
    }
    if (attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) {
        *value = (int)soft_setting("WISP_SOFTGPU_MULTIPROCESSORS", 4);
        return CUDA_SUCCESS;
    }
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (attributes[i].attribute == attribute) {
            *value = attributes[i].value;
            return CUDA_SUCCESS;
        }
    fprintf(stderr, "softgpu: device attribute %d is not known here\n", (int)attribute);
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS)
        result = value == NULL ? CUDA_ERROR_INVALID_VALUE : check_device(device);
    if (result == CUDA_SUCCESS)
        result = find_attribute(value, attribute, device);
    return soft_leave(result);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    CUresult result = soft_enter_early();
    soft_trace("cuDevicePrimaryCtxRetain device=%d", device);
    if (result == CUDA_SUCCESS)
        result = context == NULL ? CUDA_ERROR_INVALID_VALUE : check_device(device);
    if (result == CUDA_SUCCESS) {
        contexts[device].references++;
        *context = &contexts[device];
    }
    return soft_leave(result);
}

/* With the last context goes what belonged to it, and what a kernel had spoiled. */
static CUresult release_context(CUdevice device)
{
    if (contexts[device].references == 0)
        return CUDA_ERROR_INVALID_CONTEXT;
    contexts[device].references--;
    for (int i = 0; i < MOST_DEVICES; i++)
        if (contexts[i].references > 0)
            return CUDA_SUCCESS;
    soft_captures_release_all();
    soft_streams_release_all();
    soft_memory_release_all();
    soft_forget_failure();
    soft_set_current(NULL);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    CUresult result = soft_enter_early();
    soft_trace("cuDevicePrimaryCtxRelease device=%d", device);
    if (result == CUDA_SUCCESS)
        result = check_device(device);
    if (result == CUDA_SUCCESS)
        result = release_context(device);
    return soft_leave(result);
}

CUresult cuCtxSetCurrent(CUcontext context)
{
    CUresult result = soft_enter_early();
    const int known = context == NULL || (context >= contexts && context < contexts + MOST_DEVICES);
    if (result == CUDA_SUCCESS && (!known || (context != NULL && context->references == 0)))
        result = CUDA_ERROR_INVALID_CONTEXT;
    if (result == CUDA_SUCCESS)
        soft_set_current(context);
    return soft_leave(result);
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    CUresult result = soft_enter_early();
    if (result == CUDA_SUCCESS && context == NULL)
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS)
        *context = soft_current();
    return soft_leave(result);
}
