/* A libcuda.so.1 for cuDNN on a machine without a driver: there is no device, but code that cuDNN
 * compiles for one that is not here is loaded, as far as cuDNN can see. */
#include <stddef.h>

enum { NO_DEVICE = 100, NOT_SUPPORTED = 801 };

#define VISIBLE __attribute__((visibility("default")))

#define LOADS(name)                                                                                \
    VISIBLE int name(void **handle);                                                               \
    VISIBLE int name(void **handle)                                                                \
    {                                                                                              \
        static int loaded;                                                                         \
        *handle = &loaded;                                                                         \
        return 0;                                                                                  \
    }
#define COUNTS(name)                                                                               \
    VISIBLE int name(int *value);                                                                  \
    VISIBLE int name(int *value)                                                                   \
    {                                                                                              \
        *value = 1;                                                                                \
        return 0;                                                                                  \
    }
#define ANSWERS(name, answer)                                                                      \
    VISIBLE int name(void);                                                                        \
    VISIBLE int name(void)                                                                         \
    {                                                                                              \
        return answer;                                                                             \
    }

LOADS(cuLibraryLoadData)
LOADS(cuLibraryGetKernel)
LOADS(cuKernelGetFunction)
COUNTS(cuKernelGetAttribute)
COUNTS(cuOccupancyMaxPotentialClusterSize)
COUNTS(cuOccupancyMaxActiveClusters)
ANSWERS(cuLibraryUnload, 0)
ANSWERS(cuKernelSetAttribute, 0)
ANSWERS(cuInit, NO_DEVICE)
ANSWERS(cuDeviceGetCount, NO_DEVICE)
ANSWERS(cuDeviceGet, NO_DEVICE)
ANSWERS(cuCtxGetCurrent, NO_DEVICE)
ANSWERS(cuCtxGetLimit, NO_DEVICE)
ANSWERS(cuCtxPopCurrent, NO_DEVICE)
ANSWERS(cuCtxPushCurrent, NO_DEVICE)
ANSWERS(cuStreamGetCtx, NO_DEVICE)
ANSWERS(cuLaunchKernel, NO_DEVICE)
ANSWERS(cuLaunchKernelEx, NO_DEVICE)
ANSWERS(cuLaunchCooperativeKernel, NO_DEVICE)
ANSWERS(cuLibraryLoadFromFile, NOT_SUPPORTED)
ANSWERS(cuLinkAddData, NOT_SUPPORTED)
ANSWERS(cuLinkComplete, NOT_SUPPORTED)
ANSWERS(cuLinkCreate, NOT_SUPPORTED)
ANSWERS(cuLinkDestroy, NOT_SUPPORTED)

VISIBLE int cuDriverGetVersion(int *version);
VISIBLE int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}

VISIBLE int cuGetErrorName(int error, const char **text);
VISIBLE int cuGetErrorName(int error, const char **text)
{
    (void)error;
    *text = "no driver";
    return 0;
}

VISIBLE int cuGetErrorString(int error, const char **text);
VISIBLE int cuGetErrorString(int error, const char **text)
{
    return cuGetErrorName(error, text);
}
