/* cpu_permute.c - dimensions in another order.
 *
 * Dimensions that stay neighbours are joined first. Then either the last one stays last and rows
 * are copied, or it does not, and squares are transposed between the dimension that is last in y
 * and the one that was last in x. */
#include "cpu_vector.h"

enum { SQUARE = 16 };

typedef struct permute_state {
    cpu_plan plan;
    int32_t rank;                    /* after joining */
    int32_t from_last;               /* dimension of y that is the last of x */
    int64_t size[WISP_MAX_RANK];     /* of y */
    int64_t stride_x[WISP_MAX_RANK]; /* of x, in the order of y; in elements */
    int64_t stride_y[WISP_MAX_RANK];
    int64_t element;
} permute_state;

/* Offsets of item `unit` when the dimensions named in `skip` stand still. */
CPU_INLINE void find(const permute_state *s, int64_t unit, int32_t skip_a, int32_t skip_b,
                     int64_t *x, int64_t *y)
{
    *x = *y = 0;
    for (int32_t d = s->rank - 1; d >= 0; d--) {
        if (d == skip_a || d == skip_b)
            continue;
        const int64_t at = unit % s->size[d];
        unit /= s->size[d];
        *x += at * s->stride_x[d];
        *y += at * s->stride_y[d];
    }
}

static void copy_rows(const cpu_call *call, int64_t first, int64_t last)
{
    const permute_state *s = call->state;
    const char *x = call->in[0].data;
    char *y = call->out[0].data;
    const size_t bytes = (size_t)(s->size[s->rank - 1] * s->element);
    for (int64_t u = first; u < last; u++) {
        int64_t from, to;
        find(s, u, s->rank - 1, -1, &from, &to);
        memcpy(y + to * s->element, x + from * s->element, bytes);
    }
}

/* y[r * pitch_y + c] = x[r + c * pitch_x] */
#define DEFINE_TRANSPOSE(type)                                                                     \
    CPU_INLINE void transpose_##type(const void *x, void *y, int64_t rows, int64_t columns,        \
                                     int64_t pitch_x, int64_t pitch_y)                             \
    {                                                                                              \
        const type *restrict from = x;                                                             \
        type *restrict to = y;                                                                     \
        for (int64_t begin = 0; begin < columns; begin += SQUARE) {                                \
            const int64_t end = cpu_min(begin + SQUARE, columns);                                  \
            for (int64_t r = 0; r < rows; r++)                                                     \
                for (int64_t c = begin; c < end; c++)                                              \
                    to[r * pitch_y + c] = from[r + c * pitch_x];                                   \
        }                                                                                          \
    }                                                                                              \
    static void transpose_##type##_units(const cpu_call *call, int64_t first, int64_t last)        \
    {                                                                                              \
        const permute_state *s = call->state;                                                      \
        const int64_t n = s->size[s->from_last], blocks = cpu_ceil_div(n, SQUARE);                 \
        for (int64_t u = first; u < last; u++) {                                                   \
            const int64_t row = u % blocks * SQUARE;                                               \
            int64_t from, to;                                                                      \
            find(s, u / blocks, s->rank - 1, s->from_last, &from, &to);                            \
            transpose_##type((const type *)call->in[0].data + from + row,                          \
                             (type *)call->out[0].data + to + row * s->stride_y[s->from_last],     \
                             cpu_min(SQUARE, n - row), s->size[s->rank - 1],                       \
                             s->stride_x[s->rank - 1], s->stride_y[s->from_last]);                 \
        }                                                                                          \
    }
DEFINE_TRANSPOSE(uint8_t)
DEFINE_TRANSPOSE(uint16_t)
DEFINE_TRANSPOSE(uint32_t)
DEFINE_TRANSPOSE(uint64_t)

static cpu_body choose(int64_t element)
{
    switch (element) {
    case 1:
        return transpose_uint8_t_units;
    case 2:
        return transpose_uint16_t_units;
    case 4:
        return transpose_uint32_t_units;
    default:
        return transpose_uint64_t_units;
    }
}

/* Sizes and strides in the order of y; dimensions of 1 go, neighbours are joined. */
static void lay_out(permute_state *s, const wisp_desc *x, const int32_t *order)
{
    int64_t stride[WISP_MAX_RANK];
    int64_t step = 1;
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        stride[d] = step;
        step *= x->shape[d];
    }
    for (int32_t i = 0; i < x->rank; i++) {
        const int64_t size = x->shape[order[i]], along = stride[order[i]];
        const int32_t before = s->rank - 1;
        if (size == 1)
            continue;
        if (before >= 0 && s->stride_x[before] == along * size) {
            s->size[before] *= size;
            s->stride_x[before] = along;
            continue;
        }
        s->size[s->rank] = size;
        s->stride_x[s->rank++] = along;
    }
    if (s->rank == 0) {
        s->size[0] = s->stride_x[0] = 1;
        s->rank = 1;
    }
    step = 1;
    for (int32_t d = s->rank - 1; d >= 0; d--) {
        s->stride_y[d] = step;
        step *= s->size[d];
        if (s->stride_x[d] == 1)
            s->from_last = d;
    }
}

CPU_PREPARE(permute)
{
    const wisp_permute_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    const int64_t count = wisp_desc_count(x);
    WISP_TRY(cpu_plan_create(device, sizeof(permute_state), NULL, kernel, err));
    permute_state *s = (*kernel)->state;
    s->element = wisp_dtype_bytes(x->dtype);
    if (count == 0)
        return WISP_OK;
    lay_out(s, x, attrs->order);
    const int64_t n = s->size[s->from_last], inner = s->size[s->rank - 1];
    if (s->from_last == s->rank - 1)
        cpu_plan_add(*kernel, copy_rows, count / inner, 2.0 * (double)wisp_desc_bytes(x));
    else
        cpu_plan_add(*kernel, choose(s->element), count / inner / n * cpu_ceil_div(n, SQUARE),
                     2.0 * (double)wisp_desc_bytes(x));
    return WISP_OK;
}
