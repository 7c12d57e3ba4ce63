/* cuda_api.h - NVIDIA's libraries as tables of functions, opened when a device is asked for.
 *
 * The plugin links none of them: a machine without a driver loads it, learns from it what is
 * missing, and goes on. A table is whole or not there. */
#ifndef CUDA_API_H
#define CUDA_API_H

#include "api/cublaslt.h"
#include "api/cudnn.h"
#include "api/driver.h"
#include "wisp/status.h"

/* X(member, symbol): the driver's functions carry the version of their interface in the symbol. */
#define CUDA_DRIVER_FUNCTIONS(X)                                                                   \
    X(Init, cuInit)                                                                                \
    X(DriverGetVersion, cuDriverGetVersion)                                                        \
    X(GetErrorName, cuGetErrorName)                                                                \
    X(GetErrorString, cuGetErrorString)                                                            \
    X(DeviceGetCount, cuDeviceGetCount)                                                            \
    X(DeviceGet, cuDeviceGet)                                                                      \
    X(DeviceGetName, cuDeviceGetName)                                                              \
    X(DeviceTotalMem, cuDeviceTotalMem_v2)                                                         \
    X(DeviceGetAttribute, cuDeviceGetAttribute)                                                    \
    X(DevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                            \
    X(DevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2)                                       \
    X(CtxSetCurrent, cuCtxSetCurrent)                                                              \
    X(ModuleLoadData, cuModuleLoadData)                                                            \
    X(ModuleUnload, cuModuleUnload)                                                                \
    X(ModuleGetFunction, cuModuleGetFunction)                                                      \
    X(FuncSetAttribute, cuFuncSetAttribute)                                                        \
    X(DeviceGetDefaultMemPool, cuDeviceGetDefaultMemPool)                                          \
    X(MemPoolSetAttribute, cuMemPoolSetAttribute)                                                  \
    X(MemAllocAsync, cuMemAllocAsync)                                                              \
    X(MemFreeAsync, cuMemFreeAsync)                                                                \
    X(MemHostAlloc, cuMemHostAlloc)                                                                \
    X(MemFreeHost, cuMemFreeHost)                                                                  \
    X(MemcpyHtoDAsync, cuMemcpyHtoDAsync_v2)                                                       \
    X(MemcpyDtoHAsync, cuMemcpyDtoHAsync_v2)                                                       \
    X(MemcpyDtoDAsync, cuMemcpyDtoDAsync_v2)                                                       \
    X(MemsetD8Async, cuMemsetD8Async)                                                              \
    X(MemsetD32Async, cuMemsetD32Async)                                                            \
    X(StreamCreate, cuStreamCreate)                                                                \
    X(StreamDestroy, cuStreamDestroy_v2)                                                           \
    X(StreamSynchronize, cuStreamSynchronize)                                                      \
    X(StreamWaitEvent, cuStreamWaitEvent)                                                          \
    X(StreamBeginCapture, cuStreamBeginCapture_v2)                                                 \
    X(StreamEndCapture, cuStreamEndCapture)                                                        \
    X(EventCreate, cuEventCreate)                                                                  \
    X(EventDestroy, cuEventDestroy_v2)                                                             \
    X(EventRecord, cuEventRecord)                                                                  \
    X(EventSynchronize, cuEventSynchronize)                                                        \
    X(EventElapsedTime, cuEventElapsedTime)                                                        \
    X(LaunchKernel, cuLaunchKernel)                                                                \
    X(GraphInstantiate, cuGraphInstantiateWithFlags)                                               \
    X(GraphLaunch, cuGraphLaunch)                                                                  \
    X(GraphExecDestroy, cuGraphExecDestroy)                                                        \
    X(GraphDestroy, cuGraphDestroy)

#define CUDA_CUDNN_FUNCTIONS(X)                                                                    \
    X(Create, cudnnCreate)                                                                         \
    X(Destroy, cudnnDestroy)                                                                       \
    X(SetStream, cudnnSetStream)                                                                   \
    X(GetVersion, cudnnGetVersion)                                                                 \
    X(GetErrorString, cudnnGetErrorString)                                                         \
    X(GetLastErrorString, cudnnGetLastErrorString)                                                 \
    X(CreateDescriptor, cudnnBackendCreateDescriptor)                                              \
    X(DestroyDescriptor, cudnnBackendDestroyDescriptor)                                            \
    X(Finalize, cudnnBackendFinalize)                                                              \
    X(SetAttribute, cudnnBackendSetAttribute)                                                      \
    X(GetAttribute, cudnnBackendGetAttribute)                                                      \
    X(Execute, cudnnBackendExecute)

#define CUDA_CUBLASLT_FUNCTIONS(X)                                                                 \
    X(Create, cublasLtCreate)                                                                      \
    X(Destroy, cublasLtDestroy)                                                                    \
    X(GetVersion, cublasLtGetVersion)                                                              \
    X(GetStatusString, cublasLtGetStatusString)                                                    \
    X(Matmul, cublasLtMatmul)                                                                      \
    X(MatmulDescCreate, cublasLtMatmulDescCreate)                                                  \
    X(MatmulDescDestroy, cublasLtMatmulDescDestroy)                                                \
    X(MatmulDescSetAttribute, cublasLtMatmulDescSetAttribute)                                      \
    X(MatrixLayoutCreate, cublasLtMatrixLayoutCreate)                                              \
    X(MatrixLayoutDestroy, cublasLtMatrixLayoutDestroy)                                            \
    X(MatrixLayoutSetAttribute, cublasLtMatrixLayoutSetAttribute)                                  \
    X(MatmulPreferenceCreate, cublasLtMatmulPreferenceCreate)                                      \
    X(MatmulPreferenceDestroy, cublasLtMatmulPreferenceDestroy)                                    \
    X(MatmulPreferenceSetAttribute, cublasLtMatmulPreferenceSetAttribute)                          \
    X(MatmulAlgoGetHeuristic, cublasLtMatmulAlgoGetHeuristic)

#define CUDA_MEMBER(member, symbol) __typeof__(&symbol) member;

typedef struct cuda_driver {
    void *library;
    CUDA_DRIVER_FUNCTIONS(CUDA_MEMBER)
} cuda_driver;

typedef struct cuda_cudnn {
    void *library;
    CUDA_CUDNN_FUNCTIONS(CUDA_MEMBER)
} cuda_cudnn;

typedef struct cuda_cublaslt {
    void *library;
    CUDA_CUBLASLT_FUNCTIONS(CUDA_MEMBER)
} cuda_cublaslt;
#undef CUDA_MEMBER

/* Each finds its library by its usual names along the loader's path. A table that is open already
 * is left alone. WISP_E_NOT_FOUND says which library or function is missing. [setup] */
wisp_status cuda_driver_open(cuda_driver *driver, wisp_error *err);
wisp_status cuda_cudnn_open(cuda_cudnn *cudnn, wisp_error *err);
wisp_status cuda_cublaslt_open(cuda_cublaslt *cublaslt, wisp_error *err);
void cuda_driver_close(cuda_driver *driver);
void cuda_cudnn_close(cuda_cudnn *cudnn);
void cuda_cublaslt_close(cuda_cublaslt *cublaslt);

#endif
