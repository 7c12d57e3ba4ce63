/* cpu_binary.c - functions of two values with numpy broadcasting, and broadcasting alone.
 *
 * Dimensions are joined as far as both operands allow. What is left last is a row, in which an
 * operand either runs along or stands still; the others are walked. */
#include "cpu_vector.h"

enum { PIECE = 8192 };

/* How the elements of y meet those of up to two operands. */
typedef struct walk {
    int32_t rank, reserved;
    int64_t size[WISP_MAX_RANK + 1];
    int64_t stride[2][WISP_MAX_RANK + 1]; /* 0: the operand stands still */
    int64_t row, pieces;                  /* elements of a row, units in it */
    int64_t count;
} walk;

static void add_dimension(walk *w, int64_t size, int64_t a, int64_t b)
{
    const int32_t before = w->rank - 1;
    if (size == 1)
        return;
    if (before >= 0 && w->stride[0][before] == a * size && w->stride[1][before] == b * size) {
        w->size[before] *= size;
        w->stride[0][before] = a;
        w->stride[1][before] = b;
        return;
    }
    w->size[w->rank] = size;
    w->stride[0][w->rank] = a;
    w->stride[1][w->rank++] = b;
}

/* Distance of neighbours along dimension d of y in operand x. */
static int64_t stride_in(const wisp_desc *x, const wisp_desc *y, int32_t d)
{
    const int32_t at = d - (y->rank - x->rank);
    int64_t stride = 1;
    if (at < 0 || x->shape[at] == 1)
        return 0;
    for (int32_t i = at + 1; i < x->rank; i++)
        stride *= x->shape[i];
    return stride;
}

static walk walk_of(const wisp_desc *y, const wisp_desc *a, const wisp_desc *b)
{
    walk w;
    memset(&w, 0, sizeof w);
    w.count = wisp_desc_count(y);
    for (int32_t d = 0; d < y->rank; d++)
        add_dimension(&w, y->shape[d], stride_in(a, y, d), stride_in(b, y, d));
    if (w.rank == 0) {
        w.rank = 1;
        w.size[0] = 1;
    }
    w.row = cpu_max(1, w.size[w.rank - 1]);
    w.pieces = cpu_ceil_div(w.row, PIECE);
    return w;
}

static int64_t units_of(const walk *w)
{
    return w->count / w->row * w->pieces;
}

/* A unit: n elements of y from `at` on, and where the operands are there. */
typedef struct stretch {
    int64_t at, n, a, b;
} stretch;

CPU_INLINE stretch stretch_at(const walk *w, int64_t unit)
{
    int64_t row = unit;
    int64_t begin = 0, end = w->row;
    if (w->pieces > 1) {
        row = unit / w->pieces;
        begin = cpu_cut(w->row, w->pieces, unit % w->pieces);
        end = cpu_cut(w->row, w->pieces, unit % w->pieces + 1);
    }
    stretch s = {row * w->row + begin, end - begin, begin * w->stride[0][w->rank - 1],
                 begin * w->stride[1][w->rank - 1]};
    for (int32_t d = w->rank - 2; d >= 0; d--) {
        const int64_t i = d ? row % w->size[d] : row;
        s.a += i * w->stride[0][d];
        s.b += i * w->stride[1][d];
        row = d ? row / w->size[d] : 0;
    }
    return s;
}

/* --- Two operands --- */

typedef void (*row_function)(const void *a, const void *b, void *y, int64_t n, float constant);

typedef struct binary_state {
    cpu_plan plan;
    walk w;
    row_function along;
    int32_t type_a, type_b, type_y;
    int32_t constant; /* 0: both run, 1: a stands still, 2: b does */
} binary_state;

CPU_INLINE float combine(float a, float b, const int kind)
{
    switch (kind) {
    case WISP_BINARY_ADD:
        return a + b;
    case WISP_BINARY_SUB:
        return a - b;
    case WISP_BINARY_MUL:
        return a * b;
    case WISP_BINARY_DIV:
        return a / b;
    case WISP_BINARY_MAX: /* a NaN on either side stays one */
        return ((a > b) | (a != a)) ? a : b;
    default:
        return ((a < b) | (a != a)) ? a : b;
    }
}

CPU_INLINE void combine_row(const void *a, const void *b, void *y, int64_t n, float constant,
                            const int type, const int kind, const int still)
{
    CPU_SIMD
    for (int64_t i = 0; i < n; i++)
        cpu_store(y, i,
                  combine(still == 1 ? constant : cpu_load(a, i, type),
                          still == 2 ? constant : cpu_load(b, i, type), kind),
                  type);
}

#define DEFINE_ROW(name, type, text, still)                                                        \
    static void row_##name##_##text##_##still(const void *a, const void *b, void *y, int64_t n,    \
                                              float constant)                                      \
    {                                                                                              \
        combine_row(a, b, y, n, constant, type, WISP_BINARY_##name, still);                        \
    }
#define DEFINE_ROWS(name)                                                                          \
    DEFINE_ROW(name, WISP_F32, f32, 0)                                                             \
    DEFINE_ROW(name, WISP_F32, f32, 1)                                                             \
    DEFINE_ROW(name, WISP_F32, f32, 2)                                                             \
    DEFINE_ROW(name, WISP_BF16, bf16, 0)                                                           \
    DEFINE_ROW(name, WISP_BF16, bf16, 1)                                                           \
    DEFINE_ROW(name, WISP_BF16, bf16, 2)
DEFINE_ROWS(ADD)
DEFINE_ROWS(SUB)
DEFINE_ROWS(MUL)
DEFINE_ROWS(DIV)
DEFINE_ROWS(MAX)
DEFINE_ROWS(MIN)

#define ROW_CASE(name)                                                                             \
    case WISP_BINARY_##name: {                                                                     \
        static const row_function rows[2][3] = {                                                   \
            {row_##name##_f32_0, row_##name##_f32_1, row_##name##_f32_2},                          \
            {row_##name##_bf16_0, row_##name##_bf16_1, row_##name##_bf16_2}};                      \
        return rows[type == WISP_BF16][still];                                                     \
    }

static row_function choose(int32_t kind, int32_t type, int32_t still)
{
    switch (kind) {
        ROW_CASE(ADD)
        ROW_CASE(SUB)
        ROW_CASE(MUL)
        ROW_CASE(DIV)
        ROW_CASE(MAX)
        ROW_CASE(MIN)
    default:
        return NULL;
    }
}

/* An operand that stands still may be a 0-d f32 beside bf16. */
static float value_at(const void *x, int64_t i, int32_t type)
{
    return type == WISP_BF16 ? cpu_load(x, i, WISP_BF16) : cpu_load(x, i, WISP_F32);
}

static void combine_units(const cpu_call *call, int64_t first, int64_t last)
{
    const binary_state *s = call->state;
    const void *a = call->in[0].data, *b = call->in[1].data;
    for (int64_t u = first; u < last; u++) {
        const stretch at = stretch_at(&s->w, u);
        float constant = 0;
        if (s->constant == 1)
            constant = value_at(a, at.a, s->type_a);
        else if (s->constant == 2)
            constant = value_at(b, at.b, s->type_b);
        s->along(cpu_at_const(a, at.a, s->type_a), cpu_at_const(b, at.b, s->type_b),
                 cpu_at(call->out[0].data, at.at, s->type_y), at.n, constant);
    }
}

static int is_scalar(const wisp_desc *x)
{
    return x->rank == 0;
}

CPU_PREPARE(binary)
{
    const wisp_binary_attrs *attrs = request->attrs;
    const wisp_desc *a = request->in[0], *b = request->in[1], *y = request->out[0];
    CPU_NEED(cpu_is_float(a) && cpu_is_float(b) && cpu_is_float(y) &&
                 (a->dtype == y->dtype || is_scalar(a)) && (b->dtype == y->dtype || is_scalar(b)),
             "a and b need one type, f32 or bf16, or a 0-d operand");
    WISP_TRY(cpu_plan_create(device, sizeof(binary_state), NULL, kernel, err));
    binary_state *s = (*kernel)->state;
    s->w = walk_of(y, a, b);
    s->type_a = a->dtype;
    s->type_b = b->dtype;
    s->type_y = y->dtype;
    if (s->w.stride[1][s->w.rank - 1] == 0)
        s->constant = 2;
    else if (s->w.stride[0][s->w.rank - 1] == 0)
        s->constant = 1;
    /* Two single values of different types: only one of them can be the constant. */
    if (s->constant == 2 && a->dtype != y->dtype)
        s->constant = 1;
    s->along = choose(attrs->kind, y->dtype, s->constant);
    if (!s->along || (s->constant == 1 && b->dtype != y->dtype)) {
        (*kernel)->release(*kernel);
        return wisp_refuse(request, err, "function %d of these types is not known", attrs->kind);
    }
    cpu_plan_add(*kernel, combine_units, units_of(&s->w), 3.0 * (double)wisp_desc_bytes(y));
    return WISP_OK;
}

/* --- One operand, stretched --- */

typedef struct broadcast_state {
    cpu_plan plan;
    walk w;
    float scale;
    int32_t runs; /* x runs along the rows */
} broadcast_state;

CPU_INLINE void stretch_units(const cpu_call *call, int64_t first, int64_t last, const int type,
                              const int out_type)
{
    const broadcast_state *s = call->state;
    const float scale = s->scale;
    for (int64_t u = first; u < last; u++) {
        const stretch at = stretch_at(&s->w, u);
        const void *x = cpu_at_const(call->in[0].data, at.a, type);
        void *y = cpu_at(call->out[0].data, at.at, out_type);
        if (s->runs) {
            CPU_SIMD
            for (int64_t i = 0; i < at.n; i++)
                cpu_store(y, i, scale * cpu_load(x, i, type), out_type);
        } else {
            const float v = scale * cpu_load(x, 0, type);
            CPU_SIMD
            for (int64_t i = 0; i < at.n; i++)
                cpu_store(y, i, v, out_type);
        }
    }
}
CPU_TYPED2(stretch_units)

CPU_PREPARE(broadcast)
{
    const wisp_broadcast_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    CPU_NEED(cpu_is_float(x) && cpu_is_float(y), "needs f32 or bf16");
    WISP_TRY(cpu_plan_create(device, sizeof(broadcast_state), NULL, kernel, err));
    broadcast_state *s = (*kernel)->state;
    s->w = walk_of(y, x, x);
    s->scale = (float)attrs->scale;
    s->runs = s->w.stride[0][s->w.rank - 1] != 0;
    cpu_plan_add(*kernel, CPU_PICK2(stretch_units, x->dtype, y->dtype), units_of(&s->w),
                 (double)(wisp_desc_bytes(x) + wisp_desc_bytes(y)));
    return WISP_OK;
}
