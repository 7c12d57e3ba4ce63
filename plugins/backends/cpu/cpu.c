/* cpu.c - the backend `cpu`: descriptor, device, memory, and the choice of kernels.
 *
 * The arithmetic stands in the other files of this folder: convolutions and products through
 * oneDNN, everything else in own vector kernels. This plugin is the only place of wisp with
 * OpenMP: oneDNN brings it, so the own kernels share its threads. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu_device.h"
#include "cpu_onednn.h"
#include "kernel_table.h"
#include "wisp/abi.h"

typedef struct cpu_backend {
    const wisp_host *host;
} cpu_backend;

static const cpu_kernel_entry *const tables[] = {
#define CPU_TABLE_POINTER(file) cpu_##file##_kernels,
    CPU_KERNEL_TABLES(CPU_TABLE_POINTER)
#undef CPU_TABLE_POINTER
        NULL,
};

static wisp_status create(const wisp_host *host, const void *config, void **self, wisp_error *err)
{
    (void)config;
    cpu_backend *backend = host->alloc(host, sizeof *backend);
    if (!backend)
        return wisp_fail(err, WISP_E_NOMEM, "backend cpu: no memory for the instance");
    backend->host = host;
    *self = backend;
    return WISP_OK;
}

static void destroy(void *self)
{
    cpu_backend *backend = self;
    if (backend)
        backend->host->free(backend->host, backend);
}

static int32_t score(void *self)
{
    (void)self;
    return 10;
}

static int32_t n_devices(void *self, wisp_error *err)
{
    (void)self;
    (void)err;
    return 1;
}

static int32_t default_threads(void)
{
    int n = omp_get_max_threads(); /* OMP_NUM_THREADS, or one per processor */
    return n > 0 ? n : 1;
}

static wisp_status device_info(void *self, int32_t index, wisp_device_info *info, wisp_error *err)
{
    (void)self;
    if (index != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "backend cpu: device %d; there is only device 0",
                         index);
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "cpu (%s)", cpu_onednn_isa_name());
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    info->memory_bytes = pages > 0 && page > 0 ? (int64_t)pages * page : 0;
    info->has_bf16 = cpu_onednn_has_bf16();
    info->n_threads = default_threads();
    return WISP_OK;
}

static void find_features(cpu_device *device)
{
    __builtin_cpu_init();
    device->has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    device->has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    /* The other copies of the own kernels can be tested on any processor. */
    const char *limit = getenv("WISP_CPU_ISA");
    if (limit && (strcmp(limit, "plain") == 0 || strcmp(limit, "avx2") == 0))
        device->has_avx512 = 0;
    if (limit && strcmp(limit, "plain") == 0)
        device->has_avx2 = 0;
    device->has_bf16 = cpu_onednn_has_bf16();
    device->has_amx = cpu_onednn_has_amx() && device->has_avx512;
    const char *verbose = getenv("WISP_VERBOSE");
    device->verbose = verbose && strstr(verbose, "dispatch");
}

static void close_device(void *self, void *handle)
{
    (void)self;
    cpu_device *device = handle;
    if (!device)
        return;
    cpu_onednn_close(device);
    cpu_free(device, device);
}

static wisp_status open_device(void *self, int32_t index, int32_t n_threads, void **handle,
                               wisp_error *err)
{
    const cpu_backend *backend = self;
    if (index != 0)
        return wisp_fail(err, WISP_E_NOT_FOUND, "backend cpu: device %d; there is only device 0",
                         index);
    if (n_threads < 0 || n_threads > 4096)
        return wisp_fail(err, WISP_E_INVALID,
                         "backend cpu: %d threads; give 1 to 4096, or 0 for one per processor",
                         n_threads);
    cpu_device *device = backend->host->alloc(backend->host, sizeof *device);
    if (!device)
        return wisp_fail(err, WISP_E_NOMEM, "backend cpu: no memory for the device");
    device->host = backend->host;
    device->n_threads = n_threads ? n_threads : default_threads();
    omp_set_num_threads(device->n_threads);
    find_features(device);
    wisp_status status = cpu_onednn_open(device, err);
    if (status != WISP_OK) {
        close_device(self, device);
        return status;
    }
    *handle = device;
    return WISP_OK;
}

static wisp_status alloc_memory(void *handle, size_t bytes, void **memory, wisp_error *err)
{
    const cpu_device *device = handle;
    void *m = cpu_alloc(device, bytes ? bytes : 1);
    if (!m)
        return wisp_fail(err, WISP_E_NOMEM, "backend cpu: no memory for %zu bytes", bytes);
    *memory = m;
    return WISP_OK;
}

static void free_memory(void *handle, void *memory)
{
    cpu_free(handle, memory);
}

static wisp_status copy_bytes(void *handle, void *dst, const void *src, size_t bytes,
                              wisp_error *err)
{
    (void)handle;
    (void)err;
    if (bytes)
        memmove(dst, src, bytes);
    return WISP_OK;
}

static wisp_status sync_device(void *handle, wisp_error *err)
{
    (void)handle;
    (void)err;
    return WISP_OK; /* every kernel has finished when its run() returns */
}

static void say(const cpu_device *device, const char *op, const char *answer)
{
    if (!device->verbose)
        return;
    char line[1600];
    snprintf(line, sizeof line, "dispatch cpu %s: %s", op, answer);
    device->host->log(device->host, WISP_LOG_INFO, line);
}

static int has_bf16_argument(const wisp_kernel_request *request)
{
    for (int32_t i = 0; i < request->n_in; i++)
        if (request->in[i] && request->in[i]->dtype == WISP_BF16)
            return 1;
    for (int32_t i = 0; i < request->n_out; i++)
        if (request->out[i] && request->out[i]->dtype == WISP_BF16)
            return 1;
    return 0;
}

wisp_status cpu_prepare(cpu_device *device, const wisp_kernel_request *request,
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_error all = {0}, one;
    int32_t n_asked = 0;
    if (!device->has_bf16 && has_bf16_argument(request))
        return wisp_refuse(request, err,
                           "this processor has no bf16 arithmetic (%s); set precision = \"f32\"",
                           cpu_onednn_isa_name());
    omp_set_num_threads(device->n_threads);
    for (int32_t t = 0; tables[t]; t++)
        for (const cpu_kernel_entry *e = tables[t]; e->op; e++) {
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
        return wisp_refuse(request, err, "the cpu backend has no kernel of this name");
    return wisp_fail(err, WISP_E_UNSUPPORTED, "%s", all.message);
}

static wisp_status prepare(void *handle, const wisp_kernel_request *request, wisp_kernel **kernel,
                           wisp_error *err)
{
    return cpu_prepare(handle, request, kernel, err);
}

static const wisp_backend_v0 backend_table = {
    .struct_size = sizeof(wisp_backend_v0),
    .score = score,
    .n_devices = n_devices,
    .device_info = device_info,
    .open = open_device,
    .close = close_device,
    .alloc = alloc_memory,
    .free = free_memory,
    .to_device = copy_bytes,
    .to_host = copy_bytes,
    .sync = sync_device,
    .prepare = prepare,
    .host_visible = 1,
};

static const wisp_descriptor descriptor = {
    .struct_size = sizeof(wisp_descriptor),
    .option_size = sizeof(wisp_option),
    .kind = WISP_KIND_BACKEND,
    .name = "cpu",
    .version = "0.1.0",
    .summary = "CPU kernels: oneDNN for convolutions and products, own vector code for the rest",
    .doc = "Runs on any x86-64 or other processor that oneDNN supports; uses AVX2, AVX-512, "
           "AVX-512 BF16 and AMX where they are found. bf16 needs AVX-512 BF16 or AMX. With a "
           "fixed number of threads the same inputs give the same bits.",
    .license = "Apache-2.0",
    .reference = "https://github.com/uxlfoundation/oneDNN",
    .flags = WISP_FLAG_DETERMINISTIC,
    .create = create,
    .destroy = destroy,
    .vtable = &backend_table,
};

WISP_PLUGIN(descriptor)
