/* softgpu_probe.h - arguments of the kernels that test the software device. */
#ifndef SOFTGPU_PROBE_H
#define SOFTGPU_PROBE_H

#include <stdint.h>

typedef struct probe_args {
    const float *x;
    float *y;
    int64_t n;
    int32_t choice;
} probe_args;

#endif
