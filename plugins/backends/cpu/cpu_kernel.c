/* cpu_kernel.c - the common part of all kernels: memory around the state. */
#include <string.h>

#include "cpu_device.h"

typedef struct cpu_kernel {
    wisp_kernel base; /* first: the host holds a pointer to it */
    cpu_device *device;
    void (*destroy)(cpu_device *device, void *state);
} cpu_kernel;

static void release(wisp_kernel *kernel)
{
    if (!kernel)
        return;
    cpu_kernel *own = (cpu_kernel *)kernel;
    if (own->destroy)
        own->destroy(own->device, kernel->state);
    cpu_free(own->device, own);
}

wisp_status cpu_kernel_create(cpu_device *device, const char *implementation, cpu_run run,
                              size_t state_bytes, void (*destroy)(cpu_device *device, void *state),
                              wisp_kernel **kernel, wisp_error *err)
{
    size_t head = cpu_align64(sizeof(cpu_kernel));
    cpu_kernel *made = cpu_alloc(device, head + state_bytes);
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

cpu_device *cpu_kernel_device(const wisp_kernel *kernel)
{
    return ((const cpu_kernel *)kernel)->device;
}
