/* Opening the software device from its libraries. */
#include "soft_client.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static soft_device found;
static int is_found;
static pthread_once_t looked = PTHREAD_ONCE_INIT;

/* dlsym gives a data pointer; POSIX promises that it holds a function's address. */
static int find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static void look(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    is_found = library && find(library, "softgpu_enqueue", &found.enqueue) &&
               find(library, "softgpu_owns", &found.owns);
    if (!is_found)
        fprintf(stderr, "softgpu: libcuda.so.1 is not the software device's\n");
}

const soft_device *soft_device_open(void)
{
    pthread_once(&looked, look);
    return is_found ? &found : NULL;
}

int soft_device_has(const soft_device *device, const char *call, const char *argument,
                    const void *memory, size_t bytes)
{
    if (device->owns(memory, bytes))
        return 1;
    fprintf(stderr, "softgpu: %s: %s, %zu bytes at %p, is not the device's memory\n", call,
            argument, bytes, memory);
    return 0;
}

void soft_say(const char *format, ...)
{
    if (!getenv("SOFTGPU_VERBOSE"))
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("softgpu: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void *soft_scratch(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes ? bytes : 64)) {
        fprintf(stderr, "softgpu: no memory for %zu bytes of scratch\n", bytes);
        abort();
    }
    return memory;
}
