/* cuDNN's graph API: the toolkit's header where one new enough is found, else our own declarations.
 * WISP_CUDA_OWN_DECLARATIONS takes our own in any case. The prototypes below are ours and always
 * compiled: beside the toolkit's header the compiler compares them. */
#ifndef WISP_CUDA_CUDNN_H
#define WISP_CUDA_CUDNN_H

#if !defined(WISP_CUDA_OWN_DECLARATIONS) && __has_include(<cudnn_graph.h>) &&                      \
    __has_include(<cudnn_version.h>)
#include <cudnn_version.h>
#if CUDNN_VERSION >= 91900
#define WISP_CUDA_CUDNN_OF_TOOLKIT 1
#include <cudnn_graph.h>
#endif
#endif
#ifndef WISP_CUDA_CUDNN_OF_TOOLKIT
#include "cudnn_values.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

size_t cudnnGetVersion(void);
const char *cudnnGetErrorString(cudnnStatus_t status);
void cudnnGetLastErrorString(char *message, size_t max_size);

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle);
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle);
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream);
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream);

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *descriptor);
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor);
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor);
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t n,
                                       const void *elements);
cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *n,
                                       void *elements);
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variant_pack);

#ifdef __cplusplus
}
#endif

#endif
