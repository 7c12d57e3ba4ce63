/* What the software device's libcuda.so.1 gives to the software device's other libraries beside
 * NVIDIA's API. They open it with dlopen("libcuda.so.1") as NVIDIA's own do, and find both by name:
 * where either is missing, the driver is not the software device's and they refuse to start. */
#ifndef WISP_SOFTGPU_H
#define WISP_SOFTGPU_H

#include <stddef.h>

struct CUstream_st;

typedef void softgpu_work(void *args);

/* Calls work(args) on the device: after what is in the stream already, with the device's memory
 * open for reading and writing. The bytes at args are copied now, so that they need not outlive the
 * call; the copy is aligned to 16 bytes. While the stream is in capture nothing runs: the work
 * becomes a node of the graph and runs, with the same bytes, at each launch of it. The name is for
 * messages and has static lifetime. 0, or the CUresult that a kernel's launch would have given. */
int softgpu_enqueue(struct CUstream_st *stream, softgpu_work *work, const void *args, size_t bytes,
                    const char *name);

/* 1 when all of [memory, memory + bytes) lies in one live allocation of the device, else 0. Host
 * memory is never the device's. bytes = 0 asks for the address alone. */
int softgpu_owns(const void *memory, size_t bytes);

#endif
