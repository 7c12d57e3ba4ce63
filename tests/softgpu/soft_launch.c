/* soft_launch.c - launches of kernels: what a device would refuse, and the copy of the arguments.
 */
#include "soft_driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static CUresult check_size(CUfunction function, softgpu_dim grid, softgpu_dim block,
                           unsigned int shared_bytes)
{
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535)
        return CUDA_ERROR_INVALID_VALUE;
    if (block.x > 1024 || block.y > 1024 || block.z > 64 || block.x * block.y * block.z > 1024)
        return CUDA_ERROR_INVALID_VALUE;
    return shared_bytes > function->max_shared ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static int is_mapped(uint64_t at)
{
    return msync((void *)(uintptr_t)(at & ~(uint64_t)4095), 4096, MS_ASYNC) == 0;
}

/* Arguments are numbers and addresses. A number is hardly ever the address of something that is
 * there; a small one of four bytes and padding that nobody cleared could look like one. */
static int is_host_address(uint64_t word)
{
    const void *at = (const void *)(uintptr_t)word;
    const uint64_t low = word & 0xffffffffu, high = word >> 32;
    return low >= 1 << 24 && high >= 0x5000 && high < 0x8000 && !soft_memory_is_device(at) &&
           !soft_memory_pinned(at, 1) && is_mapped(word);
}

/* A kernel could read the host's memory here, and could not on a device. */
static CUresult check_addresses(const soft_launch *launch)
{
    const uint32_t bytes = launch->function->kernel->param_bytes;
    for (uint32_t i = 0; i + sizeof(uint64_t) <= bytes; i += (uint32_t)sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, launch->params + i, sizeof word);
        if (is_host_address(word))
            return soft_fail(CUDA_ERROR_ILLEGAL_ADDRESS,
                             "kernel %s: byte %u of its arguments holds an address of host memory",
                             launch->function->name, i);
    }
    return CUDA_SUCCESS;
}

static CUresult run_kernel(void *args)
{
    return soft_grid_run(args);
}

static CUresult submit(const soft_launch *size, CUstream stream, void **params, void **extra)
{
    if (size->function == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (params == NULL || params[0] == NULL || extra != NULL)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check_size(size->function, size->grid, size->block, size->shared_bytes);
    if (result != CUDA_SUCCESS)
        return result;
    const size_t param_bytes = size->function->kernel->param_bytes;
    soft_launch *launch = aligned_alloc(16, (sizeof *launch + param_bytes + 15) & ~(size_t)15);
    if (launch == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(launch, size, sizeof *launch);
    memcpy(launch->params, params[0], param_bytes);
    result = check_addresses(launch);
    if (result == CUDA_SUCCESS)
        result = soft_submit(stream, size->function->name, run_kernel, launch,
                             sizeof *launch + param_bytes);
    free(launch);
    return result;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                        unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                        unsigned int block_z, unsigned int shared_bytes, CUstream stream,
                        void **params, void **extra)
{
    CUresult result = soft_enter();
    CUstream to = soft_stream(stream);
    const soft_launch size = {.function = soft_function(function),
                              .grid = {grid_x, grid_y, grid_z},
                              .block = {block_x, block_y, block_z},
                              .shared_bytes = shared_bytes};
    soft_trace("cuLaunchKernel stream=%d kernel=%s grid=%u,%u,%u block=%u,%u,%u shared=%u",
               to != NULL ? to->number : -1, size.function != NULL ? size.function->name : "",
               grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes);
    if (result == CUDA_SUCCESS)
        result = submit(&size, stream, params, extra);
    return soft_leave(result);
}
