/* cuda_empty.h - the kernel for requests with an empty argument: sums over nothing are 0. */
#ifndef CUDA_EMPTY_H
#define CUDA_EMPTY_H

#include "cuda_device.h"

/* Sets every output to 0 that is not updated in place. */
wisp_status cuda_empty_create(cuda_device *device, const wisp_kernel_request *request,
                              wisp_kernel **kernel, wisp_error *err);

#endif
