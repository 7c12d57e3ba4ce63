/* cpu_few.c - which products with few rows are possible, and for which type. */
#include "cpu_few.h"
#include "vector/cpu_bits.h"

#ifdef CPU_CAN_FEW

const char *cpu_few_refusal(const cpu_device *device, int64_t k, int64_t o, int32_t dtype)
{
    if (!device->has_avx512)
        return "products with few rows need AVX-512";
    if (dtype != WISP_F32 && !(device->has_amx && __builtin_cpu_supports("avx512bf16")))
        return "products with few rows in bf16 need AMX";
    if (k < 32 || o < 32 || k % 32 != 0 || o % 32 != 0)
        return "products with few rows need multiples of 32";
    return NULL;
}

/* In f32 six products of parts are worth it where there is more arithmetic than reading; by
 * measurement. */
static int uses_tiles(const cpu_device *device, const cpu_few *few)
{
    static const int64_t worth_parts[] = {
        [CPU_FEW_FORWARD] = 64, [CPU_FEW_INPUT] = 48, [CPU_FEW_WEIGHTS] = 120};
    return device->has_amx && __builtin_cpu_supports("avx512bf16") && !few->is_normed &&
           few->rows >= worth_parts[few->pass];
}

cpu_few cpu_few_plan(const cpu_device *device, int32_t pass, int64_t rows, int64_t k, int64_t o,
                     int32_t dtype, int is_normed)
{
    cpu_few few = {
        .rows = rows, .k = k, .o = o, .pass = pass, .dtype = dtype, .is_normed = is_normed};
    few.parts = dtype == WISP_BF16 ? 1 : uses_tiles(device, &few) ? 3 : 0;
    if (few.parts)
        cpu_few_plan_tiles(&few, device->n_threads);
    if (!is_normed || pass == CPU_FEW_FORWARD)
        return few;
    few.numbers_at = cpu_align64(few.scratch_bytes);
    few.scaled_at = cpu_align64(few.numbers_at + (size_t)(2 * o) * sizeof(float));
    few.scratch_bytes = few.scaled_at;
    if (pass == CPU_FEW_INPUT && dtype == WISP_F32)
        few.scratch_bytes += (size_t)(rows * o) * sizeof(float);
    return few;
}

/* sum += a * b */
static void add_products(const void *a, const void *b, int64_t first, int64_t last, int32_t dtype,
                         float *sum)
{
    if (dtype == WISP_BF16)
        for (int64_t i = first; i < last; i++)
            sum[i - first] +=
                cpu_from_bf16(((const uint16_t *)a)[i]) * cpu_from_bf16(((const uint16_t *)b)[i]);
    else
        for (int64_t i = first; i < last; i++)
            sum[i - first] += ((const float *)a)[i] * ((const float *)b)[i];
}

/* Rows first .. last-1 of v. */
static void lay_factors(const cpu_few *f, const cpu_few_call *call, int64_t first, int64_t last)
{
    float *factor = cpu_few_factors(f, call), *share = cpu_few_shares(f, call);
    float *scaled = (float *)(void *)(call->scratch + f->scaled_at);
    for (int64_t o = first; o < last; o++) {
        factor[o] = call->gain[o] / call->norm[o];
        share[o] = 0;
    }
    for (int64_t m = 0; m < f->rows && f->pass == CPU_FEW_WEIGHTS; m++)
        add_products(call->dy, call->made, m * f->o + first, m * f->o + last, f->dtype,
                     share + first);
    for (int64_t o = first; o < last; o++)
        share[o] /= call->norm[o] * call->norm[o];
    for (int64_t m = 0; m < f->rows && f->pass == CPU_FEW_INPUT && f->dtype == WISP_F32; m++)
        for (int64_t o = first; o < last; o++)
            scaled[m * f->o + o] = ((const float *)call->dy)[m * f->o + o] * factor[o];
}

int64_t cpu_few_room(const cpu_few *few)
{
    return few->parts ? (few->rows + 31) / 32 * 32 : few->rows;
}

void cpu_few_lay(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (few->is_normed && few->pass != CPU_FEW_FORWARD)
        lay_factors(few, call, cpu_cut(few->o, parts, part), cpu_cut(few->o, parts, part + 1));
    if (few->parts)
        cpu_few_lay_tiles(few, call, part, parts);
}

void cpu_few_multiply(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (few->parts)
        cpu_few_multiply_tiles(few, call, part, parts);
    else
        cpu_few_multiply_f32(few, call, part, parts);
}

#endif
