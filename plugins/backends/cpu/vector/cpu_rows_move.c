/* cpu_rows_move.c - operations that only move runs of bytes: copy, concat, slice and its gradient.
 *
 * All are one: y is a number of rows, each the sequence of some parts; a part comes from an
 * argument or is zeros. */
#include "cpu_vector.h"

enum { MAX_PARTS = 16, PIECE = 65536 };

/* A part of every row of y. Units are pieces of about 64 KiB: of one long run, or several short
 * ones. */
typedef struct move_part {
    int64_t bytes;       /* of one run */
    int64_t from, pitch; /* in the argument: offset of the first run, distance of the runs */
    int64_t to;          /* offset in the row of y */
    int64_t pieces;      /* of a run; 1 when a unit holds whole runs */
    int64_t runs;        /* in a unit */
    int64_t first_unit, last_unit;
    int32_t argument; /* -1: zeros */
    int32_t reserved;
} move_part;

typedef struct move_state {
    cpu_plan plan;
    int64_t rows, pitch;
    int64_t units;
    int32_t n_parts, reserved;
    move_part parts[MAX_PARTS];
} move_state;

static void add_part(move_state *s, int32_t argument, int64_t bytes, int64_t from, int64_t pitch)
{
    move_part *p = &s->parts[s->n_parts];
    const move_part *before = p - 1;
    p->argument = argument;
    p->bytes = bytes;
    p->from = from;
    p->pitch = pitch;
    p->to = s->n_parts ? before->to + before->bytes : 0;
    p->pieces = cpu_max(1, cpu_ceil_div(bytes, PIECE));
    p->runs = p->pieces > 1 ? 1 : PIECE / cpu_max(1, bytes);
    p->runs = cpu_max(1, p->runs);
    p->first_unit = s->units;
    if (bytes > 0)
        s->units += cpu_ceil_div(s->rows, p->runs) * p->pieces;
    p->last_unit = s->units;
    s->n_parts++;
}

static void move_run(char *to, const char *from, int64_t bytes)
{
    if (from)
        memcpy(to, from, (size_t)bytes);
    else
        memset(to, 0, (size_t)bytes);
}

static void move_part_units(const cpu_call *call, const move_part *p, int64_t first, int64_t last)
{
    const move_state *s = call->state;
    const char *x = p->argument < 0 ? NULL : call->in[p->argument].data;
    char *y = call->out[0].data;
    for (int64_t u = first; u < last; u++) {
        const int64_t row = u / p->pieces * p->runs;
        const int64_t begin = cpu_cut(p->bytes, p->pieces, u % p->pieces);
        const int64_t end = cpu_cut(p->bytes, p->pieces, u % p->pieces + 1);
        const int64_t stop = cpu_min(row + p->runs, s->rows);
        for (int64_t r = row; r < stop; r++)
            move_run(y + r * s->pitch + p->to + begin,
                     x ? x + p->from + r * p->pitch + begin : NULL, end - begin);
    }
}

static void move(const cpu_call *call, int64_t first, int64_t last)
{
    const move_state *s = call->state;
    for (int32_t i = 0; i < s->n_parts; i++) {
        const move_part *p = &s->parts[i];
        const int64_t begin = cpu_max(first, p->first_unit), end = cpu_min(last, p->last_unit);
        if (begin < end)
            move_part_units(call, p, begin - p->first_unit, end - p->first_unit);
    }
}

static wisp_status begin(cpu_device *device, int64_t rows, int64_t pitch, wisp_kernel **kernel,
                         wisp_error *err)
{
    WISP_TRY(cpu_plan_create(device, sizeof(move_state), NULL, kernel, err));
    move_state *s = (*kernel)->state;
    s->rows = rows;
    s->pitch = pitch;
    return WISP_OK;
}

static void end(wisp_kernel *kernel)
{
    const move_state *s = kernel->state;
    cpu_plan_add(kernel, move, s->units, 2.0 * (double)(s->rows * s->pitch));
}

/* Rows before the axis, and bytes of a row from the axis on. */
static int64_t rows_before(const wisp_desc *d, int32_t axis)
{
    int64_t rows = 1;
    for (int32_t i = 0; i < axis; i++)
        rows *= d->shape[i];
    return rows;
}

static int64_t bytes_from(const wisp_desc *d, int32_t axis)
{
    int64_t bytes = wisp_dtype_bytes(d->dtype);
    for (int32_t i = axis; i < d->rank; i++)
        bytes *= d->shape[i];
    return bytes;
}

CPU_PREPARE(copy)
{
    const int64_t bytes = wisp_desc_bytes(request->in[0]);
    WISP_TRY(begin(device, 1, bytes, kernel, err));
    add_part((*kernel)->state, 0, bytes, 0, bytes);
    end(*kernel);
    return WISP_OK;
}

CPU_PREPARE(concat)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *y = request->out[0];
    CPU_NEED(request->n_in <= MAX_PARTS, "at most %d tensors", MAX_PARTS);
    WISP_TRY(begin(device, rows_before(y, attrs->axis), bytes_from(y, attrs->axis), kernel, err));
    for (int32_t i = 0; i < request->n_in; i++) {
        const int64_t bytes = bytes_from(request->in[i], attrs->axis);
        add_part((*kernel)->state, i, bytes, 0, bytes);
    }
    end(*kernel);
    return WISP_OK;
}

CPU_PREPARE(slice)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    const int64_t bytes = bytes_from(y, attrs->axis);
    WISP_TRY(begin(device, rows_before(y, attrs->axis), bytes, kernel, err));
    add_part((*kernel)->state, 0, bytes, attrs->start * bytes_from(x, attrs->axis + 1),
             bytes_from(x, attrs->axis));
    end(*kernel);
    return WISP_OK;
}

CPU_PREPARE(slice_grad)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0], *dx = request->out[0];
    const int64_t bytes = bytes_from(dy, attrs->axis), whole = bytes_from(dx, attrs->axis);
    const int64_t before = attrs->start * bytes_from(dx, attrs->axis + 1);
    WISP_TRY(begin(device, rows_before(dx, attrs->axis), whole, kernel, err));
    add_part((*kernel)->state, -1, before, 0, 0);
    add_part((*kernel)->state, 0, bytes, 0, bytes);
    add_part((*kernel)->state, -1, whole - before - bytes, 0, 0);
    end(*kernel);
    return WISP_OK;
}
