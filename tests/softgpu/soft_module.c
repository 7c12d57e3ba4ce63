/* soft_module.c - modules: shared objects of kernels that were compiled for the host. What the
 * caller hands over as the image is device code, which cannot run here: it stands for the library
 * softgpu_kernels.so beside this one. An image that is the text "softgpu:NAME" asks for NAME
 * there. */
#include "soft_driver.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODULE = 0x3070d, FUNCTION = 0xf0c, PATH = 4096 };

static CUmodule modules;
static int last_number;
static const char prefix[] = "softgpu:";

/* --- the library --- */

/* Device code begins with one of these: a fat binary, an ELF file, or the text of PTX. Nothing at
 * all is what a caller has that was built without a compiler for devices. */
static int is_device_code(const char *image)
{
    static const char *const starts[] = {"\x50\xed\x55\xba", "\xb1\x43\x62\x46", "\177ELF", "//",
                                         ".version"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(image, starts[i], strlen(starts[i])) == 0)
            return 1;
    return image[0] == '\0';
}

static int library_path(const char *image, char *path)
{
    Dl_info info;
    if (dladdr(&last_number, &info) == 0)
        return 0;
    const char *slash = strrchr(info.dli_fname, '/');
    const char *name = "softgpu_kernels.so";
    if (strncmp(image, prefix, strlen(prefix)) == 0)
        name = image + strlen(prefix);
    else if (!is_device_code(image))
        return 0;
    const int folder = slash == NULL ? 0 : (int)(slash - info.dli_fname);
    return snprintf(path, PATH, "%.*s/%s", folder, info.dli_fname, name) < PATH;
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);
    if (at == NULL)
        fprintf(stderr, "softgpu: the library of kernels has no %s\n", name);
    return at;
}

static CUresult load(CUmodule *module, const char *image)
{
    char path[PATH];
    if (module == NULL || image == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    if (!library_path(image, path))
        return CUDA_ERROR_INVALID_IMAGE;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "softgpu: %s\n", dlerror());
        return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
    }
    softgpu_state_of_library *state;
    softgpu_shared_of_library *shared;
    *(void **)(void *)&state = symbol(library, "softgpu_state_here");
    *(void **)(void *)&shared = symbol(library, "softgpu_shared_here");
    CUmodule made = calloc(1, sizeof *made);
    if (state == NULL || shared == NULL || made == NULL) {
        free(made);
        return made == NULL ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_IMAGE;
    }
    *made = (struct CUmod_st){.magic = MODULE,
                              .number = ++last_number,
                              .library = library,
                              .state = state(),
                              .shared = shared,
                              .next = modules};
    modules = made;
    *module = made;
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    CUresult result = soft_enter();
    soft_trace("cuModuleLoadData");
    if (result == CUDA_SUCCESS)
        result = soft_forbid_in_capture();
    if (result == CUDA_SUCCESS)
        result = load(module, image);
    return soft_leave(result);
}

/* The library itself stays: another module may be the same. */
CUresult cuModuleUnload(CUmodule module)
{
    CUresult result = soft_enter();
    soft_trace("cuModuleUnload");
    if (result == CUDA_SUCCESS && (module == NULL || module->magic != MODULE))
        result = CUDA_ERROR_INVALID_HANDLE;
    if (result == CUDA_SUCCESS)
        result = soft_streams_run_all();
    if (result == CUDA_SUCCESS) {
        module->magic = 0;
        for (CUfunction f = module->functions; f != NULL; f = f->next)
            f->magic = 0;
    }
    return soft_leave(result);
}

/* --- shared memory --- */

typedef struct search {
    uintptr_t inside;
    void *at;
    size_t bytes;
} search;

static int look(struct dl_phdr_info *info, size_t bytes, void *user)
{
    search *s = user;
    (void)bytes;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t at = (uintptr_t)info->dlpi_tls_data;
        if (info->dlpi_phdr[i].p_type != PT_TLS || at == 0 || s->inside < at ||
            s->inside - at >= info->dlpi_phdr[i].p_memsz)
            continue;
        s->at = info->dlpi_tls_data;
        s->bytes = info->dlpi_phdr[i].p_memsz;
        return 1;
    }
    return 0;
}

/* A module's shared variables are its thread-local storage, all of it. */
void *soft_module_shared(CUmodule module, size_t *bytes)
{
    static _Thread_local search last;
    const uintptr_t inside = (uintptr_t)module->shared();
    if (last.inside != inside) {
        last = (search){inside, NULL, 0};
        dl_iterate_phdr(look, &last);
    }
    *bytes = last.bytes;
    return last.at;
}

/* --- functions --- */

static CUresult find_function(CUfunction *function, CUmodule module, const char *name)
{
    char kernel[256];
    if (function == NULL || name == NULL || strlen(name) > sizeof kernel - 16)
        return CUDA_ERROR_INVALID_VALUE;
    if (module == NULL || module->magic != MODULE)
        return CUDA_ERROR_INVALID_HANDLE;
    for (CUfunction f = module->functions; f != NULL; f = f->next)
        if (strcmp(f->name, name) == 0) {
            *function = f;
            return CUDA_SUCCESS;
        }
    snprintf(kernel, sizeof kernel, "%s_softgpu", name);
    const softgpu_kernel *found = dlsym(module->library, kernel);
    if (found == NULL)
        return CUDA_ERROR_NOT_FOUND;
    CUfunction made = calloc(1, sizeof *made + strlen(name) + 1);
    if (made == NULL)
        return CUDA_ERROR_OUT_OF_MEMORY;
    made->magic = FUNCTION;
    made->max_shared = 48 << 10;
    made->module = module;
    made->kernel = found;
    memcpy(made->name, name, strlen(name) + 1);
    made->next = module->functions;
    module->functions = made;
    *function = made;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    CUresult result = soft_enter();
    soft_trace("cuModuleGetFunction name=%s", name != NULL ? name : "");
    if (result == CUDA_SUCCESS)
        result = find_function(function, module, name);
    return soft_leave(result);
}

CUfunction soft_function(CUfunction handle)
{
    return handle != NULL && handle->magic == FUNCTION ? handle : NULL;
}

static CUresult set_attribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    if (function == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (value < 0 || value > 227 << 10)
        return CUDA_ERROR_INVALID_VALUE;
    function->max_shared = (uint32_t)value;
    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
    CUresult result = soft_enter();
    soft_trace("cuFuncSetAttribute");
    if (result == CUDA_SUCCESS)
        result = set_attribute(soft_function(function), attribute, value);
    return soft_leave(result);
}

static CUresult get_attribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    if (function == NULL)
        return CUDA_ERROR_INVALID_HANDLE;
    if (value == NULL)
        return CUDA_ERROR_INVALID_VALUE;
    switch ((int)attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = 1024;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = 0;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = 32;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = (int)function->max_shared;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
    CUresult result = soft_enter();
    if (result == CUDA_SUCCESS)
        result = get_attribute(value, attribute, soft_function(function));
    return soft_leave(result);
}
