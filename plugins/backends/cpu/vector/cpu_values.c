/* cpu_values.c - constants, other data types for the same values, sums and averages in place. */
#include <math.h>

#include "cpu_vector.h"

/* --- fill --- */

typedef struct fill_state {
    cpu_plan plan;
    int64_t n;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } pattern;
} fill_state;

/* Towards zero, limited to what the type holds; a NaN becomes 0. */
CPU_INLINE int64_t cpu_limited(double v, double low, double high)
{
    double inside = v < low ? low : (v > high ? high : v);
    return v != v ? 0 : (int64_t)inside;
}

static const double i64_high = 9223372036854774784.0; /* the largest double below 2^63 */

#define DEFINE_FILL(type, field)                                                                   \
    static void fill_##field(const cpu_call *call, int64_t first, int64_t last)                    \
    {                                                                                              \
        const fill_state *s = call->state;                                                         \
        type *y = call->out[0].data;                                                               \
        const type value = s->pattern.field;                                                       \
        const int64_t end = cpu_min(last * CPU_BLOCK, s->n);                                       \
        CPU_SIMD                                                                                   \
        for (int64_t i = first * CPU_BLOCK; i < end; i++)                                          \
            y[i] = value;                                                                          \
    }
DEFINE_FILL(uint8_t, u8)
DEFINE_FILL(uint16_t, u16)
DEFINE_FILL(uint32_t, u32)
DEFINE_FILL(uint64_t, u64)

static cpu_body set_pattern(fill_state *s, int32_t dtype, double value)
{
    switch (dtype) {
    case WISP_F32:
        s->pattern.u32 = cpu_bits_of_float((float)value);
        return fill_u32;
    case WISP_BF16:
        s->pattern.u16 = cpu_to_bf16((float)value);
        return fill_u16;
    case WISP_I32:
        s->pattern.u32 = (uint32_t)cpu_limited(value, -2147483648.0, 2147483647.0);
        return fill_u32;
    case WISP_I64:
        s->pattern.u64 = (uint64_t)cpu_limited(value, -9223372036854775808.0, i64_high);
        return fill_u64;
    default:
        s->pattern.u8 = (uint8_t)cpu_limited(value, 0.0, 255.0);
        return fill_u8;
    }
}

CPU_PREPARE(fill)
{
    const wisp_fill_attrs *attrs = request->attrs;
    const wisp_desc *y = request->out[0];
    WISP_TRY(cpu_plan_create(device, sizeof(fill_state), NULL, kernel, err));
    fill_state *s = (*kernel)->state;
    s->n = wisp_desc_count(y);
    cpu_body body = set_pattern(s, y->dtype, attrs->value);
    cpu_plan_add(*kernel, body, cpu_blocks(s->n), (double)wisp_desc_bytes(y));
    return WISP_OK;
}

/* --- cast --- */

typedef struct flat_state {
    cpu_plan plan;
    int64_t n;
} flat_state;

CPU_INLINE int64_t load_integer(const void *p, int64_t i, const int type)
{
    switch (type) {
    case WISP_I32:
        return ((const int32_t *)p)[i];
    case WISP_I64:
        return ((const int64_t *)p)[i];
    default:
        return ((const uint8_t *)p)[i];
    }
}

CPU_INLINE void store_integer(void *p, int64_t i, int64_t v, const int type)
{
    switch (type) {
    case WISP_I32:
        ((int32_t *)p)[i] = (int32_t)(v < INT32_MIN ? INT32_MIN : (v > INT32_MAX ? INT32_MAX : v));
        break;
    case WISP_I64:
        ((int64_t *)p)[i] = v;
        break;
    default:
        ((uint8_t *)p)[i] = (uint8_t)(v < 0 ? 0 : (v > 255 ? 255 : v));
    }
}

CPU_INLINE int is_real(const int type)
{
    return type == WISP_F32 || type == WISP_BF16;
}

CPU_INLINE void convert(const cpu_call *call, int64_t first, int64_t last, const int from,
                        const int to)
{
    const flat_state *s = call->state;
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->n);
    CPU_SIMD
    for (int64_t i = first * CPU_BLOCK; i < end; i++) {
        if (is_real(from) && is_real(to))
            cpu_store(y, i, cpu_load(x, i, from), to);
        else if (is_real(from))
            store_integer(
                y, i, cpu_limited((double)cpu_load(x, i, from), -9223372036854775808.0, i64_high),
                to);
        else if (is_real(to))
            cpu_store(y, i, (float)load_integer(x, i, from), to);
        else
            store_integer(y, i, load_integer(x, i, from), to);
    }
}

#define FOR_TYPES(X, ...)                                                                          \
    X(F32, __VA_ARGS__)                                                                            \
    X(BF16, __VA_ARGS__) X(I32, __VA_ARGS__) X(I64, __VA_ARGS__) X(U8, __VA_ARGS__)
#define DEFINE_CONVERT(to, from)                                                                   \
    static void convert_##from##_##to(const cpu_call *call, int64_t first, int64_t last)           \
    {                                                                                              \
        convert(call, first, last, WISP_##from, WISP_##to);                                        \
    }
FOR_TYPES(DEFINE_CONVERT, F32)
FOR_TYPES(DEFINE_CONVERT, BF16)
FOR_TYPES(DEFINE_CONVERT, I32)
FOR_TYPES(DEFINE_CONVERT, I64)
FOR_TYPES(DEFINE_CONVERT, U8)

#define CONVERT_CASE(to, from)                                                                     \
    case WISP_##from * 8 + WISP_##to:                                                              \
        return convert_##from##_##to;

static cpu_body converter(int32_t from, int32_t to)
{
    switch (from * 8 + to) {
        FOR_TYPES(CONVERT_CASE, F32)
        FOR_TYPES(CONVERT_CASE, BF16)
        FOR_TYPES(CONVERT_CASE, I32)
        FOR_TYPES(CONVERT_CASE, I64)
        FOR_TYPES(CONVERT_CASE, U8)
    default:
        return NULL;
    }
}

CPU_PREPARE(cast)
{
    const wisp_desc *x = request->in[0], *y = request->out[0];
    cpu_body body = converter(x->dtype, y->dtype);
    CPU_NEED(body, "a data type is not known");
    WISP_TRY(cpu_plan_create(device, sizeof(flat_state), NULL, kernel, err));
    flat_state *s = (*kernel)->state;
    s->n = wisp_desc_count(x);
    cpu_plan_add(*kernel, body, cpu_blocks(s->n),
                 (double)(wisp_desc_bytes(x) + wisp_desc_bytes(y)));
    return WISP_OK;
}

/* --- in place --- */

CPU_INLINE void accumulate_blocks(const cpu_call *call, int64_t first, int64_t last, const int type,
                                  const int type_y)
{
    const flat_state *s = call->state;
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    const int64_t end = cpu_min(last * CPU_BLOCK, s->n);
    CPU_SIMD
    for (int64_t i = first * CPU_BLOCK; i < end; i++)
        cpu_store(y, i, cpu_load(y, i, type_y) + cpu_load(x, i, type), type_y);
}
CPU_TYPED2(accumulate_blocks)

CPU_PREPARE(accumulate)
{
    const wisp_desc *x = request->in[0], *y = request->out[0];
    CPU_NEED(cpu_is_float(x) && cpu_is_float(y), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(flat_state), NULL, kernel, err));
    flat_state *s = (*kernel)->state;
    s->n = wisp_desc_count(x);
    cpu_plan_add(*kernel, CPU_PICK2(accumulate_blocks, x->dtype, y->dtype), cpu_blocks(s->n),
                 (double)(wisp_desc_bytes(x) + 2 * wisp_desc_bytes(y)));
    return WISP_OK;
}

CPU_INLINE void lerp_blocks(const cpu_call *call, int64_t first, int64_t last, const int type,
                            const int type_x)
{
    const flat_state *s = call->state;
    void *buffer = call->out[0].data;
    const void *x = call->in[1].data;
    const float m = *(const float *)call->in[2].data, rest = (float)(1.0 - (double)m);
    const int64_t end = cpu_min(last * CPU_BLOCK, s->n);
    CPU_SIMD
    for (int64_t i = first * CPU_BLOCK; i < end; i++)
        cpu_store(buffer, i, m * cpu_load(buffer, i, type) + rest * cpu_load(x, i, type_x), type);
}
CPU_TYPED2(lerp_blocks)

CPU_PREPARE(lerp)
{
    const wisp_desc *buffer = request->in[0], *x = request->in[1];
    CPU_NEED(cpu_is_float(buffer) && cpu_is_float(x), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(flat_state), NULL, kernel, err));
    flat_state *s = (*kernel)->state;
    s->n = wisp_desc_count(buffer);
    cpu_plan_add(*kernel, CPU_PICK2(lerp_blocks, buffer->dtype, x->dtype), cpu_blocks(s->n),
                 (double)(wisp_desc_bytes(x) + 2 * wisp_desc_bytes(buffer)));
    return WISP_OK;
}
