/* cpu_empty.h - calls without work: a sum over nothing is 0. */
#ifndef CPU_EMPTY_H
#define CPU_EMPTY_H

#include "cpu_device.h"

/* A kernel that sets all outputs to 0. */
wisp_status cpu_empty_create(cpu_device *device, const wisp_kernel_request *request,
                             wisp_kernel **kernel, wisp_error *err);

#endif
