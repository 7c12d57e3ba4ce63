/* A handle: the device and the stream of its work. */
#ifndef WISP_SOFT_CD_HANDLE_H
#define WISP_SOFT_CD_HANDLE_H

#include "cd_object.h"

struct cudnnContext {
    const soft_device *device;
    cudaStream_t stream;
};

#endif
