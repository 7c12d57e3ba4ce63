/* soft_memory_fixture.h - tests only: the software device's memory, through the driver's API. */
#ifndef WISP_TESTS_SOFT_MEMORY_FIXTURE_H
#define WISP_TESTS_SOFT_MEMORY_FIXTURE_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/driver.h"
#include "soft_number.h"

static CUcontext soft_context;
static CUstream soft_stream;

#define CU_OK(call) ck_assert_int_eq(call, CUDA_SUCCESS)

static inline void soft_start(void)
{
    CU_OK(cuInit(0));
    CU_OK(cuDevicePrimaryCtxRetain(&soft_context, 0));
    CU_OK(cuCtxSetCurrent(soft_context));
    CU_OK(cuStreamCreate(&soft_stream, CU_STREAM_NON_BLOCKING));
}

static inline void soft_stop(void)
{
    CU_OK(cuDevicePrimaryCtxRelease(0));
}

static inline void *soft_room(size_t bytes)
{
    CUdeviceptr at = 0;
    CU_OK(cuMemAlloc(&at, bytes));
    return (void *)(uintptr_t)at;
}

static inline void soft_upload(void *to, const void *from, size_t bytes)
{
    CU_OK(cuMemcpyHtoDAsync((CUdeviceptr)(uintptr_t)to, from, bytes, soft_stream));
    CU_OK(cuStreamSynchronize(soft_stream));
}

static inline void soft_download(void *to, const void *from, size_t bytes)
{
    CU_OK(cuMemcpyDtoHAsync(to, (CUdeviceptr)(uintptr_t)from, bytes, soft_stream));
    CU_OK(cuStreamSynchronize(soft_stream));
}

/* Numbers on the device, as float or, with bf16, rounded. */
static inline void *soft_numbers(const float *values, int64_t n, int bf16)
{
    uint16_t *narrow = calloc((size_t)n, sizeof *narrow);
    for (int64_t i = 0; i < n; i++)
        narrow[i] = soft_to_bf16(values[i]);
    size_t bytes = (size_t)n * (bf16 ? 2 : 4);
    void *at = soft_room(bytes);
    soft_upload(at, bf16 ? (const void *)narrow : values, bytes);
    free(narrow);
    return at;
}

static inline void soft_values(const void *at, int64_t n, int bf16, float *values)
{
    uint16_t *narrow = calloc((size_t)n, sizeof *narrow);
    soft_download(bf16 ? (void *)narrow : values, at, (size_t)n * (bf16 ? 2 : 4));
    for (int64_t i = 0; bf16 && i < n; i++)
        values[i] = soft_of_bf16(narrow[i]);
    free(narrow);
}

#endif
