/* on_host.cpp - the part of every library of kernels that the software device looks for. */
#include "on_host.h"

softgpu_state softgpu_here;

/* Makes sure that the library has shared memory at all, so that it is found. */
__shared__ char softgpu_shared_anchor[16];

extern "C" __attribute__((visibility("default"))) softgpu_state *softgpu_state_here()
{
    return &softgpu_here;
}

extern "C" __attribute__((visibility("default"))) void *softgpu_shared_here()
{
    return softgpu_shared_anchor;
}
