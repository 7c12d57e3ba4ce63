/* nccl_api.c - finding NCCL, the driver and their functions. */
#include "nccl_api.h"

#include <dlfcn.h>
#include <string.h>

typedef struct symbol {
    const char *name;
    size_t offset; /* of its pointer in the table */
} symbol;

static wisp_status open_library(const char *what, const char *name, const symbol *symbols, size_t n,
                                nccl_api *api, void **library, wisp_error *err)
{
    void *found = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!found) {
        const char *said = dlerror();
        return wisp_fail(err, WISP_E_NOT_FOUND, "%s is not here: %.300s", what, said ? said : name);
    }
    for (size_t i = 0; i < n; i++) {
        void *function = dlsym(found, symbols[i].name);
        if (!function) {
            dlclose(found);
            return wisp_fail(err, WISP_E_NOT_FOUND, "%s is too old: it has no %s", what,
                             symbols[i].name);
        }
        /* A function pointer and what dlsym gives have one size wherever dlsym exists (POSIX). */
        memcpy((char *)api + symbols[i].offset, &function, sizeof function);
    }
    *library = found;
    return WISP_OK;
}

#define DRIVER(member, symbol, result, parameters) {#symbol, offsetof(nccl_api, driver.member)},
#define LIBRARY(member, symbol, result, parameters) {#symbol, offsetof(nccl_api, nccl.member)},

static const symbol driver_symbols[] = {NCCL_DRIVER_CALLS(DRIVER)};
static const symbol library_symbols[] = {NCCL_LIBRARY_CALLS(LIBRARY)};

wisp_status nccl_api_open(nccl_api *api, wisp_error *err)
{
    memset(api, 0, sizeof *api);
    WISP_TRY(open_library("NVIDIA's driver", "libcuda.so.1", driver_symbols,
                          sizeof driver_symbols / sizeof *driver_symbols, api, &api->driver_library,
                          err));
    const wisp_status status =
        open_library("NCCL 2", "libnccl.so.2", library_symbols,
                     sizeof library_symbols / sizeof *library_symbols, api, &api->library, err);
    if (status != WISP_OK)
        nccl_api_close(api);
    return status;
}

/* NCCL keeps threads of its own, so that it stays loaded. */
void nccl_api_close(nccl_api *api)
{
    if (api->driver_library)
        dlclose(api->driver_library);
    memset(api, 0, sizeof *api);
}

wisp_status nccl_judge(const nccl_api *api, ncclResult_t result, const char *what, wisp_error *err)
{
    if (result == ncclSuccess || result == ncclInProgress)
        return WISP_OK;
    return wisp_fail(err, WISP_E_IO,
                     "%s failed: %s; NCCL says more with NCCL_DEBUG=WARN in the environment", what,
                     api->nccl.GetErrorString(result));
}

wisp_status nccl_judge_driver(const nccl_api *api, int result, const char *what, wisp_error *err)
{
    const char *text = NULL;
    if (result == 0)
        return WISP_OK;
    api->driver.GetErrorString(result, &text);
    return wisp_fail(err, WISP_E_DEVICE, "%s failed: %s", what, text ? text : "unknown error");
}
