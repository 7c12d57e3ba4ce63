/* cpu_ring_write.c - the newest rows into a ring, over the oldest ones. */
#include "cpu_vector.h"

typedef struct ring_state {
    cpu_plan plan;
    int64_t size, rows, width; /* K, B, elements of a row */
    int64_t element;           /* bytes, where nothing is converted */
} ring_state;

static int64_t position(const cpu_call *call)
{
    const ring_state *s = call->state;
    const int64_t rest = *(const int64_t *)call->in[1].data % s->size;
    return rest < 0 ? rest + s->size : rest;
}

static void copy_rows(const cpu_call *call, int64_t first, int64_t last)
{
    const ring_state *s = call->state;
    const int64_t cursor = position(call), bytes = s->width * s->element;
    char *ring = call->out[0].data;
    const char *rows = call->in[2].data;
    for (int64_t b = first; b < last; b++)
        memcpy(ring + (cursor + b) % s->size * bytes, rows + b * bytes, (size_t)bytes);
}

CPU_INLINE void convert_rows(const cpu_call *call, int64_t first, int64_t last, const int type,
                             const int row_type)
{
    const ring_state *s = call->state;
    const int64_t cursor = position(call);
    for (int64_t b = first; b < last; b++) {
        void *to = cpu_at(call->out[0].data, (cursor + b) % s->size * s->width, type);
        const void *from = cpu_at_const(call->in[2].data, b * s->width, row_type);
        CPU_SIMD
        for (int64_t i = 0; i < s->width; i++)
            cpu_store(to, i, cpu_load(from, i, row_type), type);
    }
}
CPU_TYPED2(convert_rows)

static void move_cursor(const cpu_call *call, int64_t first, int64_t last)
{
    (void)first, (void)last;
    const ring_state *s = call->state;
    *(int64_t *)call->out[1].data = (position(call) + s->rows) % s->size;
}

CPU_PREPARE(ring_write)
{
    const wisp_desc *ring = request->in[0], *rows = request->in[2];
    CPU_NEED(ring->dtype == rows->dtype || (cpu_is_float(ring) && cpu_is_float(rows)),
             "ring and rows need one type, or f32 and bf16");
    CPU_NEED(ring->shape[0] > 0, "the ring is empty");
    WISP_TRY(cpu_plan_create(device, sizeof(ring_state), NULL, kernel, err));
    ring_state *s = (*kernel)->state;
    s->size = ring->shape[0];
    s->rows = rows->shape[0];
    s->width = wisp_desc_count(ring) / s->size;
    s->element = wisp_dtype_bytes(ring->dtype);
    cpu_plan_add(*kernel,
                 ring->dtype == rows->dtype ? copy_rows
                                            : CPU_PICK2(convert_rows, ring->dtype, rows->dtype),
                 s->rows, 2.0 * (double)wisp_desc_bytes(rows));
    cpu_plan_add(*kernel, move_cursor, 1, 0.0);
    return WISP_OK;
}
