/* cuda_wide.h - whether device code may use accesses of 16 bytes, for the files that start it. */
#ifndef CUDA_WIDE_H
#define CUDA_WIDE_H

#include "wisp/tensor.h"

/* Elements in 16 bytes. */
static inline int32_t cuda_per_access(int32_t dtype)
{
    return 16 / (int32_t)wisp_dtype_bytes(dtype);
}

/* For `(cuda_address(x) | cuda_address(y)) % 16 == 0`; absent arguments do not disturb. */
static inline uintptr_t cuda_address(const void *memory)
{
    return (uintptr_t)memory;
}

static inline int cuda_is_float(const wisp_desc *desc)
{
    return desc && (desc->dtype == WISP_F32 || desc->dtype == WISP_BF16);
}

static inline int64_t cuda_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

#endif
