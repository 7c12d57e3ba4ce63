/* cuda_launch.c - finding device code and starting it. */
#include "cuda_device.h"

wisp_status cuda_check(const cuda_driver *driver, CUresult result, const char *what,
                       wisp_error *err)
{
    const char *name = NULL, *text = NULL;
    if (result == CUDA_SUCCESS)
        return WISP_OK;
    driver->GetErrorName(result, &name);
    driver->GetErrorString(result, &text);
    return wisp_fail(err, result == CUDA_ERROR_OUT_OF_MEMORY ? WISP_E_NOMEM : WISP_E_DEVICE,
                     "backend cuda: %s: %s (%s)", what, name ? name : "unknown error",
                     text ? text : "no text");
}

wisp_status cuda_function(const cuda_device *device, const char *name, CUfunction *function,
                          wisp_error *err)
{
    char what[120];
    snprintf(what, sizeof what, "finding the kernel %s", name);
    return cuda_check(device->driver,
                      device->driver->ModuleGetFunction(function, device->module, name), what, err);
}

wisp_status cuda_function_for(const cuda_device *device, const char *name, int32_t dtype,
                              CUfunction *function, wisp_error *err)
{
    char whole[100];
    snprintf(whole, sizeof whole, "%s_%s", name, wisp_dtype_name(dtype));
    return cuda_function(device, whole, function, err);
}

wisp_status cuda_launch(const cuda_device *device, CUfunction function, cuda_grid grid,
                        const void *args, wisp_error *err)
{
    /* The driver only reads what the pointers lead to. */
    void *parameters[1];
    memcpy(parameters, &args, sizeof args);
    if (grid.x == 0)
        return WISP_OK;
    return cuda_check(device->driver,
                      device->driver->LaunchKernel(
                          function, grid.x, grid.y ? grid.y : 1, grid.z ? grid.z : 1, grid.threads,
                          1, 1, grid.shared_bytes, device->stream, parameters, NULL),
                      "starting a kernel", err);
}

cuda_grid cuda_grid_over(const cuda_device *device, int64_t n, int32_t each)
{
    const int64_t per_block = (int64_t)256 * (each > 0 ? each : 1);
    const int64_t wanted = (n + per_block - 1) / per_block;
    const int64_t most = (int64_t)device->n_multiprocessors * 16; /* two waves of 8 blocks */
    return (cuda_grid){.x = (uint32_t)(wanted < most ? wanted : most), .threads = 256};
}

wisp_status cuda_zero(const cuda_device *device, void *memory, size_t bytes, wisp_error *err)
{
    return cuda_check(device->driver,
                      device->driver->MemsetD8Async(cuda_pointer(memory), 0, bytes, device->stream),
                      "zeroing device memory", err);
}

wisp_status cuda_copy(const cuda_device *device, void *to, const void *from, size_t bytes,
                      wisp_error *err)
{
    return cuda_check(device->driver,
                      device->driver->MemcpyDtoDAsync(cuda_pointer(to), cuda_pointer(from), bytes,
                                                      device->stream),
                      "copying on the device", err);
}
