/* cuda_kernel.c - the common part of all kernels: memory around the state. */
#include <string.h>

#include "cuda_device.h"

typedef struct cuda_kernel {
    wisp_kernel base; /* first: the host holds a pointer to it */
    cuda_device *device;
    void (*destroy)(cuda_device *device, void *state);
} cuda_kernel;

static void release(wisp_kernel *kernel)
{
    if (!kernel)
        return;
    cuda_kernel *own = (cuda_kernel *)kernel;
    if (own->destroy)
        own->destroy(own->device, kernel->state);
    cuda_free(own->device, own);
}

wisp_status cuda_kernel_create(cuda_device *device, const char *implementation, cuda_run run,
                               size_t state_bytes,
                               void (*destroy)(cuda_device *device, void *state),
                               wisp_kernel **kernel, wisp_error *err)
{
    size_t head = (sizeof(cuda_kernel) + 63) & ~(size_t)63;
    cuda_kernel *made = cuda_alloc(device, head + state_bytes);
    if (!made)
        return wisp_fail(err, WISP_E_NOMEM, "%s: no memory for the kernel's state (%zu bytes)",
                         implementation, state_bytes);
    made->base.struct_size = sizeof(wisp_kernel);
    made->base.implementation = implementation;
    made->base.state = (char *)made + head;
    made->base.run = run;
    made->base.release = release;
    made->device = device;
    made->destroy = destroy;
    *kernel = &made->base;
    return WISP_OK;
}

wisp_status cuda_kernel_finish(wisp_kernel *made, wisp_status status, wisp_kernel **kernel)
{
    if (status == WISP_OK)
        *kernel = made;
    else
        made->release(made);
    return status;
}

cuda_device *cuda_kernel_device(const wisp_kernel *kernel)
{
    return ((const cuda_kernel *)kernel)->device;
}
