/* cpu_few.c - which products with few rows are possible, and for which type. */
#include "cpu_few.h"

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

cpu_few cpu_few_plan(const cpu_device *device, int32_t pass, int64_t rows, int64_t k, int64_t o,
                     int32_t dtype)
{
    cpu_few few = {.rows = rows, .k = k, .o = o, .pass = pass, .dtype = dtype};
    if (dtype == WISP_BF16)
        cpu_few_plan_bf16(&few, device->n_threads);
    return few;
}

int64_t cpu_few_room(const cpu_few *few)
{
    return few->dtype == WISP_BF16 ? (few->rows + 31) / 32 * 32 : few->rows;
}

void cpu_few_lay(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (few->dtype == WISP_BF16)
        cpu_few_lay_bf16(few, call, part, parts);
}

void cpu_few_multiply(const cpu_few *few, const cpu_few_call *call, int64_t part, int64_t parts)
{
    if (few->dtype == WISP_BF16)
        cpu_few_multiply_bf16(few, call, part, parts);
    else
        cpu_few_multiply_f32(few, call, part, parts);
}

#endif
