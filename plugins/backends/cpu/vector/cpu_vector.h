/* cpu_vector.h - what the files of own vector kernels share: loads and stores of f32 and bf16,
 * the loop annotations, and the plan that says how a kernel's work is cut.
 *
 * Every file of this folder is compiled several times, for several instruction sets; cpu_vector.c
 * chooses one when a kernel is prepared. A kernel is written once for all activation types: its
 * body is an inlined function with the type as a constant, and CPU_TYPED makes the two copies.
 *
 * Loops are plain C that compilers turn into vector code. Sums are taken over fixed blocks and the
 * blocks are added in their order, so results do not depend on the number of threads. */
#ifndef CPU_VECTOR_H
#define CPU_VECTOR_H

#include "cpu_bits.h"
#include "cpu_device.h"
#include "cpu_vector_list.h"

#define CPU_PRAGMA(text) _Pragma(#text)
/* The iterations of the next loop are independent of each other ... */
#define CPU_SIMD CPU_PRAGMA(omp simd)
/* ... but for these sums or maxima. */
#define CPU_SIMD_SUM(...) CPU_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define CPU_SIMD_MAX(...) CPU_PRAGMA(omp simd reduction(max : __VA_ARGS__))

/* A running call as the pieces of a kernel see it. */
typedef struct cpu_call {
    const void *state;
    const wisp_kernel_arg *in, *out;
    char *scratch;
} cpu_call;

/* Works on units first .. last-1 of a phase. */
typedef void (*cpu_body)(const cpu_call *call, int64_t first, int64_t last);

typedef struct cpu_phase {
    cpu_body body;
    int64_t units;
    int32_t threads;
    int32_t reserved;
} cpu_phase;

enum { CPU_MAX_PHASES = 5 };

/* Every kernel's state begins with its plan: phases that run one after the other, each cut into
 * units that may run at once. */
typedef struct cpu_plan {
    int32_t n_phases;
    int32_t reserved;
    cpu_phase phases[CPU_MAX_PHASES];
} cpu_plan;

/* Makes a kernel whose state (which begins with a cpu_plan) is zeroed. */
wisp_status cpu_plan_create(cpu_device *device, size_t state_bytes,
                            void (*destroy)(cpu_device *device, void *state), wisp_kernel **kernel,
                            wisp_error *err);
/* Appends a phase; `bytes` is roughly what it moves, and decides whether threads are worth it. */
void cpu_plan_add(wisp_kernel *kernel, cpu_body body, int64_t units, double bytes);

/* --- Types --- */

/* `type` is a constant wherever these are called, so nothing is decided at run time. */
CPU_INLINE float cpu_load(const void *p, int64_t i, const int type)
{
    if (type == WISP_BF16)
        return cpu_from_bf16(((const uint16_t *)p)[i]);
    return ((const float *)p)[i];
}

CPU_INLINE void cpu_store(void *p, int64_t i, float v, const int type)
{
    if (type == WISP_BF16)
        ((uint16_t *)p)[i] = cpu_to_bf16(v);
    else
        ((float *)p)[i] = v;
}

/* Element i of an array of `type`. */
CPU_INLINE void *cpu_at(void *p, int64_t i, const int type)
{
    return (char *)p + i * (type == WISP_BF16 ? 2 : 4);
}

CPU_INLINE const void *cpu_at_const(const void *p, int64_t i, const int type)
{
    return (const char *)p + i * (type == WISP_BF16 ? 2 : 4);
}

/* Makes name_f32 and name_bf16 of an inlined body name(call, first, last, type). */
#define CPU_TYPED(name)                                                                            \
    static void name##_f32(const cpu_call *call, int64_t first, int64_t last)                      \
    {                                                                                              \
        name(call, first, last, WISP_F32);                                                         \
    }                                                                                              \
    static void name##_bf16(const cpu_call *call, int64_t first, int64_t last)                     \
    {                                                                                              \
        name(call, first, last, WISP_BF16);                                                        \
    }
#define CPU_PICK(name, type) ((type) == WISP_BF16 ? name##_bf16 : name##_f32)

/* The same for bodies with two types: name_f32_f32, name_f32_bf16, ... */
#define CPU_TYPED_ONE(name, a, b, A, B)                                                            \
    static void name##_##a##_##b(const cpu_call *call, int64_t first, int64_t last)                \
    {                                                                                              \
        name(call, first, last, A, B);                                                             \
    }
#define CPU_TYPED2(name)                                                                           \
    CPU_TYPED_ONE(name, f32, f32, WISP_F32, WISP_F32)                                              \
    CPU_TYPED_ONE(name, f32, bf16, WISP_F32, WISP_BF16)                                            \
    CPU_TYPED_ONE(name, bf16, f32, WISP_BF16, WISP_F32)                                            \
    CPU_TYPED_ONE(name, bf16, bf16, WISP_BF16, WISP_BF16)
#define CPU_PICK2(name, a, b)                                                                      \
    ((a) == WISP_BF16 ? ((b) == WISP_BF16 ? name##_bf16_bf16 : name##_bf16_f32)                    \
                      : ((b) == WISP_BF16 ? name##_f32_bf16 : name##_f32_f32))

/* --- Sizes --- */

CPU_INLINE int64_t cpu_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

CPU_INLINE int64_t cpu_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

CPU_INLINE int64_t cpu_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Elementwise kernels are cut into blocks of this many elements. */
enum { CPU_BLOCK = 4096 };

CPU_INLINE int64_t cpu_blocks(int64_t n)
{
    return cpu_ceil_div(n, CPU_BLOCK);
}

/* The last dimension, and the product of the others. */
CPU_INLINE int64_t cpu_last(const wisp_desc *desc)
{
    return desc->rank ? desc->shape[desc->rank - 1] : 1;
}

CPU_INLINE int64_t cpu_rows(const wisp_desc *desc)
{
    int64_t rows = 1;
    for (int32_t i = 0; i + 1 < desc->rank; i++)
        rows *= desc->shape[i];
    return rows;
}

CPU_INLINE int cpu_is_float(const wisp_desc *desc)
{
    return desc && (desc->dtype == WISP_F32 || desc->dtype == WISP_BF16);
}

/* Descriptor and data of an argument that the caller may have left out altogether. */
CPU_INLINE const wisp_desc *cpu_in(const wisp_kernel_request *request, int32_t i)
{
    return i < request->n_in ? request->in[i] : NULL;
}

CPU_INLINE const wisp_desc *cpu_out(const wisp_kernel_request *request, int32_t i)
{
    return i < request->n_out && request->out[i] && request->out[i]->dtype ? request->out[i] : NULL;
}

/* --- Names: cpu_batch_norm_avx2, one for each instruction set --- */

#ifndef CPU_VARIANT
#define CPU_VARIANT base
#endif
#define CPU_PASTE3(a, b, c) a##b##_##c
#define CPU_PASTE2(op, variant) CPU_PASTE3(cpu_, op, variant)
#define CPU_VECTOR_NAME(op) CPU_PASTE2(op, CPU_VARIANT)
/* Begins the definition of the prepare function of an op. */
#define CPU_PREPARE(op)                                                                            \
    wisp_status CPU_VECTOR_NAME(op)(cpu_device * device, const wisp_kernel_request *request,       \
                                    wisp_kernel **kernel, wisp_error *err)

#define CPU_DECLARE_PREPARE(op) CPU_PREPARE(op);
CPU_VECTOR_OPS(CPU_DECLARE_PREPARE)
#undef CPU_DECLARE_PREPARE

/* A request whose floating-point types the kernel does not know is refused with this. */
#define CPU_NEED(condition, ...)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return wisp_refuse(request, err, __VA_ARGS__);                                         \
    } while (0)

#endif
