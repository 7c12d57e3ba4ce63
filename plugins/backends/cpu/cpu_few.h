/* cpu_few.h - products with few rows of activations, on processors with AVX-512.
 *
 *   forward    y[m,o]  = bias[o] + sum over k of x[m,k] * w[o,k]
 *   input      dx[m,k] = sum over o of dy[m,o] * w[o,k]
 *   weights    dw[o,k] = sum over m of dy[m,o] * x[m,k], or is added to dw
 *
 * Where rows m are few, reading w (or writing dw) takes longer than the arithmetic. So w is read
 * once, as it lies, f32, and dw written once; what would be gained by a packed copy of w is lost by
 * making it. With bf16 activations w is rounded on its way into the matrix tiles.
 *
 * A call with a gain has its weight given as direction and length, w[o] = gain[o] v[o] / |v[o]|: v
 * takes the place of w, forward leaves the lengths, and the gradient is that of v.
 *
 * All threads of a team call the functions with their part; a barrier stands between lay and
 * multiply, and before what they leave is read. Every value is summed by one thread in an order
 * that depends on sizes alone. */
#ifndef CPU_FEW_H
#define CPU_FEW_H

#include "cpu_device.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define CPU_CAN_FEW 1

enum { CPU_FEW_FORWARD, CPU_FEW_INPUT, CPU_FEW_WEIGHTS };

typedef struct cpu_few {
    int64_t rows, k, o;
    int32_t pass, dtype, is_normed;
    int32_t parts;                              /* of an operand on matrix tiles; 0: no tiles */
    size_t second_at, threads_at, thread_bytes; /* in scratch: packed operands, then per thread */
    size_t numbers_at, scaled_at; /* normed: per row of v its factor and its share; dy (f32) */
    size_t scratch_bytes;
} cpu_few;

typedef struct cpu_few_call {
    const void *x, *dy; /* of the activations' type */
    const float *w, *bias;
    void *y;      /* forward: of the activations' type */
    float *dx;    /* input: f32, with room for cpu_few_room() rows */
    float *dw;    /* weights */
    int32_t adds; /* weights: dw += */
    const float *gain;
    float *norm;      /* forward: written; else read */
    const void *made; /* weights, normed: y of the forward call */
    char *scratch;
} cpu_few_call;

/* NULL, or why these sizes are not for here. */
const char *cpu_few_refusal(const cpu_device *device, int64_t k, int64_t o, int32_t dtype);
cpu_few cpu_few_plan(const cpu_device *device, int32_t pass, int64_t rows, int64_t k, int64_t o,
                     int32_t dtype, int is_normed);
int64_t cpu_few_room(const cpu_few *few);

void cpu_few_lay(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts);
void cpu_few_multiply(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts);

/* Normed: factors gain / |v|, and of the gradient of v the share of v in it. */
static inline float *cpu_few_factors(const cpu_few *few, const cpu_few_call *call)
{
    return (float *)(void *)(call->scratch + few->numbers_at);
}

static inline float *cpu_few_shares(const cpu_few *few, const cpu_few_call *call)
{
    return cpu_few_factors(few, call) + few->o;
}

/* Adds the squares of n columns of w's rows to `sum`, one for each row. */
void cpu_few_add_squares(const float *w, int64_t pitch, int64_t rows, int64_t n, float *sum);

/* The two of them on matrix tiles, or the second in vectors. */
void cpu_few_multiply_f32(const cpu_few *few, const cpu_few_call *call, int64_t part,
                          int64_t parts);
void cpu_few_plan_tiles(cpu_few *few, int64_t n_threads);
void cpu_few_lay_tiles(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts);
void cpu_few_multiply_tiles(const cpu_few *few, const cpu_few_call *call, int64_t part,
                            int64_t parts);

#endif
#endif
