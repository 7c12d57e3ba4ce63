/* cpu_vector.c - chooses among the copies of the vector kernels, one for each instruction set, and
 * runs their plans. */
#include <omp.h>

#include "kernel_table.h"
#include "vector/cpu_vector.h"

#ifdef CPU_HAS_X86_VARIANTS
#define DECLARE_VARIANTS(op)                                                                       \
    wisp_status cpu_##op##_avx2(cpu_device *, const wisp_kernel_request *, wisp_kernel **,         \
                                wisp_error *);                                                     \
    wisp_status cpu_##op##_avx512(cpu_device *, const wisp_kernel_request *, wisp_kernel **,       \
                                  wisp_error *);
CPU_VECTOR_OPS(DECLARE_VARIANTS)
#define CHOOSE(op)                                                                                 \
    (device->has_avx512 ? cpu_##op##_avx512                                                        \
                        : (device->has_avx2 ? cpu_##op##_avx2 : cpu_##op##_base))
#else
#define CHOOSE(op) cpu_##op##_base
#endif

#define DEFINE_PREPARE(op)                                                                         \
    static wisp_status prepare_##op(cpu_device *device, const wisp_kernel_request *request,        \
                                    wisp_kernel **kernel, wisp_error *err)                         \
    {                                                                                              \
        return CHOOSE(op)(device, request, kernel, err);                                           \
    }
CPU_VECTOR_OPS(DEFINE_PREPARE)

#define TABLE_ENTRY(op) {#op, prepare_##op},
const cpu_kernel_entry cpu_vector_kernels[] = {CPU_VECTOR_OPS(TABLE_ENTRY){NULL, NULL}};

static void run_phase(const cpu_phase *phase, const cpu_call *call)
{
    if (phase->threads <= 1) {
        phase->body(call, 0, phase->units);
        return;
    }
#pragma omp parallel num_threads(phase->threads)
    {
        int64_t n = omp_get_num_threads(), i = omp_get_thread_num();
        int64_t first = cpu_cut(phase->units, n, i), last = cpu_cut(phase->units, n, i + 1);
        if (first < last)
            phase->body(call, first, last);
    }
}

static wisp_status run_plan(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    (void)err;
    const cpu_plan *plan = kernel->state;
    const cpu_call call = {kernel->state, in, out, scratch};
    for (int32_t i = 0; i < plan->n_phases; i++)
        run_phase(&plan->phases[i], &call);
    return WISP_OK;
}

wisp_status cpu_plan_create(cpu_device *device, size_t state_bytes,
                            void (*destroy)(cpu_device *device, void *state), wisp_kernel **kernel,
                            wisp_error *err)
{
    const char *name = device->has_avx512 ? "avx512" : device->has_avx2 ? "avx2" : "plain";
    return cpu_kernel_create(device, name, run_plan, state_bytes, destroy, kernel, err);
}

/* Waking threads costs some microseconds; a thread moves about ten bytes in a nanosecond. */
static const double bytes_worth_a_thread = 64.0 * 1024;

void cpu_plan_add(wisp_kernel *kernel, cpu_body body, int64_t units, double bytes)
{
    cpu_plan *plan = kernel->state;
    if (units < 1)
        return;
    double worth = bytes / bytes_worth_a_thread;
    int64_t threads = cpu_kernel_device(kernel)->n_threads;
    threads = worth < (double)threads ? (int64_t)worth : threads;
    threads = cpu_max(1, cpu_min(threads, units));
    cpu_phase phase = {body, units, (int32_t)threads, 0};
    plan->phases[plan->n_phases++] = phase;
}
