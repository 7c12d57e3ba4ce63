/* The software device, as its libraries find it: softgpu.h's functions out of libcuda.so.1. */
#ifndef WISP_SOFT_CLIENT_H
#define WISP_SOFT_CLIENT_H

#include "softgpu.h"

#define SOFT_API __attribute__((visibility("default")))

typedef struct {
    int (*enqueue)(struct CUstream_st *stream, softgpu_work *work, const void *args, size_t bytes,
                   const char *name);
    int (*owns)(const void *memory, size_t bytes);
} soft_device;

/* NULL, with a line on stderr, when libcuda.so.1 is not there or not the software device's. */
const soft_device *soft_device_open(void);

/* 1 when the range is the device's; else 0 and a line on stderr that says which argument is not.
 * On a real device a kernel would fault on it, long after the call. */
int soft_device_has(const soft_device *device, const char *call, const char *argument,
                    const void *memory, size_t bytes);

/* A line on stderr when the environment has SOFTGPU_VERBOSE. */
void soft_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For host memory that the arithmetic needs while it runs. Does not return without it. */
void *soft_scratch(size_t bytes);

#endif
