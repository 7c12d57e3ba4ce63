/* cuda.c - the backend `cuda`: descriptor, devices, and the choice of kernels.
 *
 * Everything that computes runs on one stream, in the order of the calls. */
#include <stdlib.h>
#include <string.h>

#include "cuda_capture.h"
#include "cuda_memory.h"
#include "cuda_module.h"
#include "cuda_table.h"
#include "cuda_tune.h"
#include "wisp/abi.h"

typedef struct cuda_backend {
    const wisp_host *host;
    cuda_driver driver;
    cuda_cudnn cudnn;
    cuda_cublaslt cublaslt;
} cuda_backend;

static const cuda_kernel_entry *const tables[] = {
#define CUDA_TABLE_POINTER(file) cuda_##file##_kernels,
    CUDA_KERNEL_TABLES(CUDA_TABLE_POINTER)
#undef CUDA_TABLE_POINTER
        NULL,
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    cuda_backend *backend = host->alloc(host, sizeof *backend);
    if (!backend)
        return wisp_fail(err, WISP_E_NOMEM, "backend cuda: no memory for the instance");
    backend->host = host;
    *self = backend;
    return WISP_OK;
}

static void destroy(void *self)
{
    cuda_backend *backend = self;
    if (!backend)
        return;
    cuda_cublaslt_close(&backend->cublaslt);
    cuda_cudnn_close(&backend->cudnn);
    cuda_driver_close(&backend->driver);
    backend->host->free(backend->host, backend);
}

static int32_t score(void *self)
{
    (void)self;
    return 20;
}

/* --- devices --- */

static wisp_status count_devices(cuda_backend *backend, int *n, wisp_error *err)
{
    const cuda_driver *driver = &backend->driver;
    WISP_TRY(cuda_driver_open(&backend->driver, err));
    WISP_TRY(cuda_check(driver, driver->Init(0), "starting the driver", err));
    return cuda_check(driver, driver->DeviceGetCount(n), "counting devices", err);
}

static int32_t n_devices(void *self, wisp_error *err)
{
    int n = 0;
    if (count_devices(self, &n, err) != WISP_OK)
        return 0;
    if (n < 1)
        wisp_fail(err, WISP_E_NOT_FOUND, "backend cuda: the driver sees no device");
    return n > 0 ? n : 0;
}

static wisp_status find_device(cuda_backend *backend, int32_t index, CUdevice *device,
                               wisp_error *err)
{
    int n = 0;
    WISP_TRY(count_devices(backend, &n, err));
    if (index < 0 || index >= n)
        return wisp_fail(err, WISP_E_NOT_FOUND,
                         "backend cuda: there is no device %d; the driver sees %d", index, n);
    return cuda_check(&backend->driver, backend->driver.DeviceGet(device, index),
                      "asking for a device", err);
}

static wisp_status device_number(const cuda_driver *driver, CUdevice device,
                                 CUdevice_attribute attribute, int32_t *number, wisp_error *err)
{
    int value = 0;
    WISP_TRY(cuda_check(driver, driver->DeviceGetAttribute(&value, attribute, device),
                        "asking what the device is", err));
    *number = value;
    return WISP_OK;
}

static wisp_status device_info(void *self, int32_t index, wisp_device_info *info, wisp_error *err)
{
    cuda_backend *backend = self;
    const cuda_driver *driver = &backend->driver;
    CUdevice device;
    size_t bytes = 0;
    char name[sizeof info->name];
    WISP_TRY(find_device(backend, index, &device, err));
    WISP_TRY(cuda_check(driver, driver->DeviceGetName(name, (int)sizeof name, device),
                        "asking for the device's name", err));
    WISP_TRY(cuda_check(driver, driver->DeviceTotalMem(&bytes, device),
                        "asking for the device's memory", err));
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", name);
    info->memory_bytes = (int64_t)bytes;
    info->has_bf16 = 1;
    info->n_threads = 1;
    return WISP_OK;
}

static void close_device(void *self, void *handle)
{
    (void)self;
    cuda_device *device = handle;
    if (!device)
        return;
    const cuda_driver *driver = device->driver;
    cuda_tune_close(device);
    if (device->context)
        driver->CtxSetCurrent(device->context);
    if (device->cudnn_handle)
        device->cudnn->Destroy(device->cudnn_handle);
    if (device->cublaslt_handle)
        device->cublaslt->Destroy(device->cublaslt_handle);
    cuda_transfer_close(device);
    if (device->stream)
        driver->StreamDestroy(device->stream);
    if (device->module)
        driver->ModuleUnload(device->module);
    if (device->context)
        driver->DevicePrimaryCtxRelease(device->ordinal);
    cuda_free(device, device);
}

static wisp_status find_features(cuda_device *device, wisp_error *err)
{
    const cuda_driver *driver = device->driver;
    WISP_TRY(device_number(driver, device->ordinal, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                           &device->major, err));
    WISP_TRY(device_number(driver, device->ordinal, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                           &device->minor, err));
    WISP_TRY(device_number(driver, device->ordinal, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
                           &device->n_multiprocessors, err));
    const char *verbose = getenv("WISP_VERBOSE");
    device->verbose = verbose && strstr(verbose, "dispatch");
    if (device->major < 8)
        return wisp_fail(err, WISP_E_UNSUPPORTED,
                         "backend cuda: the device has compute capability %d.%d; 8.0 or later is "
                         "needed (Ampere, Ada, Hopper ...)",
                         device->major, device->minor);
    return WISP_OK;
}

static wisp_status open_libraries(cuda_device *device, wisp_error *err)
{
    const cudnnStatus_t dnn = device->cudnn->Create(&device->cudnn_handle);
    if (dnn != CUDNN_STATUS_SUCCESS)
        return wisp_fail(err, WISP_E_DEVICE, "backend cuda: cuDNN does not start: %s",
                         device->cudnn->GetErrorString(dnn));
    if (device->cudnn->SetStream(device->cudnn_handle, device->stream) != CUDNN_STATUS_SUCCESS)
        return wisp_fail(err, WISP_E_DEVICE, "backend cuda: cuDNN does not take the stream");
    if (device->cublaslt->Create(&device->cublaslt_handle) != CUBLAS_STATUS_SUCCESS)
        return wisp_fail(err, WISP_E_DEVICE, "backend cuda: cuBLASLt does not start");
    return WISP_OK;
}

static wisp_status start_device(cuda_device *device, wisp_error *err)
{
    const cuda_driver *driver = device->driver;
    WISP_TRY(cuda_check(driver, driver->DevicePrimaryCtxRetain(&device->context, device->ordinal),
                        "making a context", err));
    WISP_TRY(cuda_check(driver, driver->CtxSetCurrent(device->context), "taking the context", err));
    WISP_TRY(find_features(device, err));
    WISP_TRY(cuda_check(driver, driver->ModuleLoadData(&device->module, cuda_module_image),
                        "loading wisp's kernels", err));
    WISP_TRY(cuda_check(driver, driver->StreamCreate(&device->stream, CU_STREAM_NON_BLOCKING),
                        "making a stream", err));
    WISP_TRY(cuda_transfer_open(device, err));
    return open_libraries(device, err);
}

static wisp_status open_device(void *self, int32_t index, int32_t n_threads, void **handle,
                               wisp_error *err)
{
    cuda_backend *backend = self;
    CUdevice ordinal;
    (void)n_threads;
    WISP_TRY(find_device(backend, index, &ordinal, err));
    WISP_TRY(cuda_cudnn_open(&backend->cudnn, err));
    WISP_TRY(cuda_cublaslt_open(&backend->cublaslt, err));
    cuda_device *device = backend->host->alloc(backend->host, sizeof *device);
    if (!device)
        return wisp_fail(err, WISP_E_NOMEM, "backend cuda: no memory for the device");
    device->host = backend->host;
    device->driver = &backend->driver;
    device->cudnn = &backend->cudnn;
    device->cublaslt = &backend->cublaslt;
    device->ordinal = ordinal;
    const wisp_status status = start_device(device, err);
    if (status != WISP_OK) {
        close_device(self, device);
        return status;
    }
    *handle = device;
    return WISP_OK;
}

/* --- kernels --- */

static void say(const cuda_device *device, const char *op, const char *answer)
{
    if (!device->verbose)
        return;
    char line[1600];
    snprintf(line, sizeof line, "dispatch cuda %s: %s", op, answer);
    device->host->log(device->host, WISP_LOG_INFO, line);
}

wisp_status cuda_prepare(cuda_device *device, const wisp_kernel_request *request,
                         wisp_kernel **kernel, wisp_error *err)
{
    wisp_error all = {0}, one;
    int32_t n_asked = 0;
    for (int32_t t = 0; tables[t]; t++)
        for (const cuda_kernel_entry *e = tables[t]; e->op; e++) {
            if (strcmp(e->op, request->op) != 0)
                continue;
            memset(&one, 0, sizeof one);
            wisp_status status = e->prepare(device, request, kernel, &one);
            say(device, request->op, status == WISP_OK ? (*kernel)->implementation : one.message);
            if (status == WISP_OK)
                return WISP_OK;
            if (status != WISP_E_UNSUPPORTED)
                return wisp_fail(err, status, "%s", one.message);
            wisp_collect_refusal(&all, ++n_asked, &one);
        }
    if (n_asked == 0)
        return wisp_refuse(request, err, "the cuda backend has no kernel of this name");
    return wisp_fail(err, WISP_E_UNSUPPORTED, "%s", all.message);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err)
{
    cuda_device *device = handle;
    const int asks = WISP_HAS(request, wisp_kernel_request, autotune);
    device->allow_tf32 = asks && request->allow_tf32;
    device->autotune = asks && request->autotune;
    return cuda_prepare(device, request, kernel, err);
}

static void *queue(void *handle)
{
    return ((cuda_device *)handle)->stream;
}

static const wisp_backend_v0 backend_table = {
    .struct_size = sizeof(wisp_backend_v0),
    .score = score,
    .n_devices = n_devices,
    .device_info = device_info,
    .open = open_device,
    .close = close_device,
    .alloc = cuda_memory_alloc,
    .free = cuda_memory_free,
    .to_device = cuda_to_device,
    .to_host = cuda_to_host,
    .sync = cuda_sync,
    .prepare = prepare,
    .host_visible = 0,
    .alloc_host = cuda_memory_alloc_host,
    .free_host = cuda_memory_free_host,
    .upload = cuda_upload,
    .download = cuda_download,
    .wait = cuda_wait,
    .order_uploads = cuda_order_uploads,
    .copy = cuda_on_device,
    .capture_begin = cuda_capture_begin,
    .capture_end = cuda_capture_end,
    .graph_launch = cuda_graph_launch,
    .graph_release = cuda_graph_release,
    .queue = queue,
    .follow = cuda_follow,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof(wisp_descriptor),
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKEND,
    .name = "cuda",
    .version = "0.1.0",
    .summary = "NVIDIA GPUs: cuDNN, cuBLASLt and own kernels",
    .doc = "Needs a device of compute capability 8.0 or later, its driver, cuDNN 9 and cuBLASLt of "
           "CUDA 12 or 13, which are looked for when a device is asked for. The same inputs give "
           "the same bits in deterministic runs.",
    .license = "Apache-2.0",
    .reference = "https://docs.nvidia.com/deeplearning/cudnn",
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &backend_table,
};

WISP_PLUGIN(descriptor)
