/* cpu_bias_grad.h - the gradient of a bias: the sum of dy over everything but the channels. */
#ifndef CPU_BIAS_GRAD_H
#define CPU_BIAS_GRAD_H

#include "vector/cpu_leaf.h"

typedef struct cpu_bias_grad {
    const cpu_leaf *leaf;
    int64_t rows, columns;
    int32_t dtype;
    int32_t chunks; /* depends on the shape only, and with it the order of the sum */
    size_t scratch_bytes;
} cpu_bias_grad;

void cpu_bias_grad_plan(const cpu_device *device, const wisp_desc *dy, cpu_bias_grad *plan);
void cpu_bias_grad_run(const cpu_device *device, const cpu_bias_grad *plan, const void *dy,
                       float *dbias, void *scratch);

#endif
