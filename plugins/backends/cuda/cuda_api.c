/* cuda_api.c - finding NVIDIA's libraries and their functions. */
#include "cuda_api.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef struct symbol {
    const char *name;
    size_t offset; /* of its pointer in the table */
} symbol;

/* A function pointer and what dlsym gives have one size wherever dlsym exists (POSIX). */
static void put(void *table, size_t offset, void *function)
{
    memcpy((char *)table + offset, &function, sizeof function);
}

static wisp_status open_library(const char *const *names, void **library, wisp_error *err)
{
    char reason[300] = "";
    for (; *names; names++) {
        *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (*library)
            return WISP_OK;
        const char *said = dlerror();
        if (!reason[0])
            snprintf(reason, sizeof reason, "%s", said ? said : *names);
    }
    return wisp_fail(err, WISP_E_NOT_FOUND, "%s", reason);
}

static wisp_status open_table(const char *what, const char *const *names, const symbol *symbols,
                              size_t n, void *table, size_t table_bytes, wisp_error *err)
{
    void *library = NULL;
    wisp_error reason = {0};
    if (open_library(names, &library, &reason) != WISP_OK)
        return wisp_fail(err, WISP_E_NOT_FOUND, "%s is not here: %s", what, reason.message);
    for (size_t i = 0; i < n; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (!function) {
            dlclose(library);
            memset(table, 0, table_bytes);
            return wisp_fail(err, WISP_E_NOT_FOUND, "%s is too old: it has no %s", what,
                             symbols[i].name);
        }
        put(table, symbols[i].offset, function);
    }
    memcpy(table, &library, sizeof library);
    return WISP_OK;
}

/* dlsym wants the text of the symbol as it is, whatever macros the headers put in its place. */
#define DRIVER_SYMBOL(member, symbol) {#symbol, offsetof(cuda_driver, member)},
#define CUDNN_SYMBOL(member, symbol) {#symbol, offsetof(cuda_cudnn, member)},
#define CUBLASLT_SYMBOL(member, symbol) {#symbol, offsetof(cuda_cublaslt, member)},

static const symbol driver_symbols[] = {CUDA_DRIVER_FUNCTIONS(DRIVER_SYMBOL)};
static const symbol cudnn_symbols[] = {CUDA_CUDNN_FUNCTIONS(CUDNN_SYMBOL)};
static const symbol cublaslt_symbols[] = {CUDA_CUBLASLT_FUNCTIONS(CUBLASLT_SYMBOL)};

wisp_status cuda_driver_open(cuda_driver *driver, wisp_error *err)
{
    static const char *const names[] = {"libcuda.so.1", NULL};
    if (driver->library)
        return WISP_OK;
    return open_table("NVIDIA's driver", names, driver_symbols,
                      sizeof driver_symbols / sizeof driver_symbols[0], driver, sizeof *driver,
                      err);
}

wisp_status cuda_cudnn_open(cuda_cudnn *cudnn, wisp_error *err)
{
    static const char *const names[] = {"libcudnn.so.9", NULL};
    if (cudnn->library)
        return WISP_OK;
    return open_table("cuDNN 9", names, cudnn_symbols,
                      sizeof cudnn_symbols / sizeof cudnn_symbols[0], cudnn, sizeof *cudnn, err);
}

wisp_status cuda_cublaslt_open(cuda_cublaslt *cublaslt, wisp_error *err)
{
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    if (cublaslt->library)
        return WISP_OK;
    return open_table("cuBLASLt of CUDA 12 or 13", names, cublaslt_symbols,
                      sizeof cublaslt_symbols / sizeof cublaslt_symbols[0], cublaslt,
                      sizeof *cublaslt, err);
}

static void close_table(void *table, size_t bytes, void *library)
{
    if (library)
        dlclose(library);
    memset(table, 0, bytes);
}

void cuda_driver_close(cuda_driver *driver)
{
    close_table(driver, sizeof *driver, driver->library);
}

void cuda_cudnn_close(cuda_cudnn *cudnn)
{
    close_table(cudnn, sizeof *cudnn, cudnn->library);
}

void cuda_cublaslt_close(cuda_cublaslt *cublaslt)
{
    close_table(cublaslt, sizeof *cublaslt, cublaslt->library);
}
