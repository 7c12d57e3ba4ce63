/* cpu_linear_few.c - linear layers with few rows, and their gradients: the weights are read, or
 * their gradient is written, once and as they lie. */
#include <omp.h>

#include "cpu_bias_grad.h"
#include "cpu_empty.h"
#include "cpu_few.h"
#include "kernel_table.h"
#include "vector/cpu_leaf.h"

#ifdef CPU_CAN_FEW

/* Above, packed products are as fast; below, everything is. */
enum { MAX_ROWS = 32, MIN_WEIGHTS = 32768 };

typedef struct few_linear {
    cpu_few few;
    cpu_bias_grad bias; /* grad_weight, where wanted */
    const cpu_leaf *leaf;
    size_t sum_at; /* offset in scratch of what is not the product's */
    int32_t has_bias, reserved;
} few_linear;

static int64_t rows_of(const wisp_desc *x)
{
    return wisp_desc_count(x) / x->shape[x->rank - 1];
}

static void multiply(const cpu_device *device, const few_linear *s, const cpu_few_call *call)
{
    const cpu_few *f = &s->few;
#pragma omp parallel num_threads(device->n_threads)
    {
        const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
        cpu_few_lay(f, call, part, parts);
#pragma omp barrier
        cpu_few_multiply(f, call, part, parts);
    }
}

static wisp_status run_forward(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const few_linear *s = kernel->state;
    const cpu_few_call call = {.x = in[0].data,
                               .w = in[1].data,
                               .bias = s->has_bias ? in[2].data : NULL,
                               .y = out[0].data,
                               .scratch = scratch};
    multiply(cpu_kernel_device(kernel), s, &call);
    return WISP_OK;
}

static wisp_status run_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                  const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const few_linear *s = kernel->state;
    const int rounds = s->few.dtype == WISP_BF16;
    float *sum = rounds ? (float *)((char *)scratch + s->sum_at) : out[0].data;
    const cpu_few_call call = {.dy = in[0].data, .w = in[1].data, .dx = sum, .scratch = scratch};
    multiply(cpu_kernel_device(kernel), s, &call);
    if (rounds)
        s->leaf->store_rows(WISP_BF16, sum, out[0].data, s->few.k, s->few.rows, s->few.k);
    return WISP_OK;
}

static wisp_status run_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                   const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const cpu_device *device = cpu_kernel_device(kernel);
    const few_linear *s = kernel->state;
    const cpu_few_call call = {
        .x = in[0].data, .dy = in[1].data, .dw = out[0].data, .scratch = scratch};
    multiply(device, s, &call);
    if (s->has_bias)
        cpu_bias_grad_run(device, &s->bias, in[1].data, out[1].data, scratch);
    return WISP_OK;
}

static wisp_status judge(const cpu_device *device, const wisp_kernel_request *request, int64_t rows,
                         int64_t k, int64_t o, int32_t dtype, wisp_error *err)
{
    const char *refusal = cpu_few_refusal(device, k, o, dtype);
    if (refusal)
        return wisp_refuse(request, err, "%s", refusal);
    if (rows < 1 || rows > MAX_ROWS || k * o < MIN_WEIGHTS)
        return wisp_refuse(request, err, "not few rows of large weights");
    return WISP_OK;
}

/* `x` and `y` are the activations of the forward call. */
static wisp_status make(cpu_device *device, const wisp_kernel_request *request, int32_t pass,
                        int is_normed, const wisp_desc *x, const wisp_desc *y, cpu_run run,
                        wisp_kernel **kernel, wisp_error *err)
{
    if (wisp_request_is_empty(request))
        return wisp_refuse(request, err, "there is nothing in it");
    const int64_t rows = rows_of(x), k = x->shape[x->rank - 1], o = y->shape[y->rank - 1];
    WISP_TRY(judge(device, request, rows, k, o, x->dtype, err));
    if (!is_normed && pass != CPU_FEW_WEIGHTS && request->in[1]->dtype != WISP_F32)
        return wisp_refuse(request, err, "products with few rows read weights in f32");
    WISP_TRY(cpu_kernel_create(device, "few rows", run, sizeof(few_linear), NULL, kernel, err));
    few_linear *s = (*kernel)->state;
    s->leaf = cpu_leaf_for(device);
    s->few = cpu_few_plan(device, pass, rows, k, o, x->dtype, is_normed);
    s->sum_at = cpu_align64(s->few.scratch_bytes);
    (*kernel)->scratch_bytes = s->sum_at;
    return WISP_OK;
}

static wisp_status prepare_forward(cpu_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, CPU_FEW_FORWARD, 0, request->in[0], request->out[0], run_forward,
                  kernel, err));
    ((few_linear *)(*kernel)->state)->has_bias = request->n_in > 2 && request->in[2];
    return WISP_OK;
}

static wisp_status prepare_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, CPU_FEW_INPUT, 0, request->out[0], request->in[0],
                  run_grad_input, kernel, err));
    const few_linear *s = (*kernel)->state;
    if (s->few.dtype == WISP_BF16)
        (*kernel)->scratch_bytes += (size_t)(cpu_few_room(&s->few) * s->few.k) * sizeof(float);
    return WISP_OK;
}

static wisp_status prepare_grad_weight(cpu_device *device, const wisp_kernel_request *request,
                                       wisp_kernel **kernel, wisp_error *err)
{
    const wisp_linear_attrs *a = request->attrs;
    WISP_TRY(make(device, request, CPU_FEW_WEIGHTS, 0, request->in[0], request->in[1],
                  run_grad_weight, kernel, err));
    few_linear *s = (*kernel)->state;
    s->has_bias = a->want_bias && request->n_out > 1 && request->out[1] && request->out[1]->dtype;
    if (s->has_bias)
        cpu_bias_grad_plan(device, request->in[1], &s->bias);
    if (s->bias.scratch_bytes > (*kernel)->scratch_bytes)
        (*kernel)->scratch_bytes = s->bias.scratch_bytes;
    return WISP_OK;
}

/* --- Weights given as direction and length --- */

static wisp_status run_normed(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const cpu_few_call call = {.x = in[0].data,
                               .w = in[1].data,
                               .gain = in[2].data,
                               .y = out[0].data,
                               .norm = out[1].data,
                               .scratch = scratch};
    multiply(cpu_kernel_device(kernel), kernel->state, &call);
    return WISP_OK;
}

static wisp_status run_normed_grad_input(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                         const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const few_linear *s = kernel->state;
    const int rounds = s->few.dtype == WISP_BF16;
    float *sum = rounds ? (float *)((char *)scratch + s->sum_at) : out[0].data;
    const cpu_few_call call = {.dy = in[0].data,
                               .w = in[1].data,
                               .gain = in[2].data,
                               .norm = in[3].data,
                               .dx = sum,
                               .scratch = scratch};
    multiply(cpu_kernel_device(kernel), s, &call);
    if (rounds)
        s->leaf->store_rows(WISP_BF16, sum, out[0].data, s->few.k, s->few.rows, s->few.k);
    return WISP_OK;
}

static wisp_status run_normed_grad_weight(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                          const wisp_kernel_arg *out, void *scratch,
                                          wisp_error *err)
{
    (void)err;
    const cpu_few_call call = {.x = in[0].data,
                               .dy = in[1].data,
                               .made = in[2].data,
                               .w = in[3].data,
                               .gain = in[4].data,
                               .norm = in[5].data,
                               .dw = out[0].data,
                               .scratch = scratch};
    multiply(cpu_kernel_device(kernel), kernel->state, &call);
    return WISP_OK;
}

static wisp_status prepare_normed(cpu_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, CPU_FEW_FORWARD, 1, request->in[0], request->out[0], run_normed,
                kernel, err);
}

static wisp_status prepare_normed_grad_input(cpu_device *device, const wisp_kernel_request *request,
                                             wisp_kernel **kernel, wisp_error *err)
{
    WISP_TRY(make(device, request, CPU_FEW_INPUT, 1, request->out[0], request->in[0],
                  run_normed_grad_input, kernel, err));
    const few_linear *s = (*kernel)->state;
    if (s->few.dtype == WISP_BF16)
        (*kernel)->scratch_bytes += (size_t)(cpu_few_room(&s->few) * s->few.k) * sizeof(float);
    return WISP_OK;
}

static wisp_status prepare_normed_grad_weight(cpu_device *device,
                                              const wisp_kernel_request *request,
                                              wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, CPU_FEW_WEIGHTS, 1, request->in[0], request->in[1],
                run_normed_grad_weight, kernel, err);
}

const cpu_kernel_entry cpu_linear_few_kernels[] = {
    {"normed_linear", prepare_normed},
    {"normed_linear_grad_input", prepare_normed_grad_input},
    {"normed_linear_grad_weight", prepare_normed_grad_weight},
    {"linear", prepare_forward},
    {"linear_grad_input", prepare_grad_input},
    {"linear_grad_weight", prepare_grad_weight},
    {NULL, NULL},
};

#else

const cpu_kernel_entry cpu_linear_few_kernels[] = {{NULL, NULL}};

#endif
