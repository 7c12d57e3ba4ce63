/* cuda_rows_move.c - operations that only move runs of bytes: concat, slice and its gradient. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/rows_move.h"

typedef struct move_state {
    cuda_word_functions functions;
    int64_t rows, pitch;                /* pitch: bytes of a row of y */
    int32_t arguments[ROWS_MOVE_PARTS]; /* where a part comes from; -1: zeros */
    rows_move_args args;                /* in bytes, without the pointers */
} move_state;

/* Parts of no bytes are left out. */
static void add_part(move_state *s, int32_t argument, int64_t bytes, int64_t from, int64_t pitch)
{
    if (bytes < 1)
        return;
    rows_move_part *part = &s->args.parts[s->args.n_parts];
    part->to = s->args.n_parts ? part[-1].to + part[-1].length : 0;
    part->length = bytes;
    part->from = from;
    part->pitch = pitch;
    s->arguments[s->args.n_parts++] = argument;
}

static uint64_t part_bits(const rows_move_part *p)
{
    return cuda_address(p->x) | (uint64_t)p->from | (uint64_t)p->pitch | (uint64_t)p->to |
           (uint64_t)p->length;
}

static wisp_status move_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const move_state *s = kernel->state;
    rows_move_args args = s->args;
    uint64_t bits = cuda_address(out[0].data) | (uint64_t)s->pitch;
    (void)scratch;
    args.y = out[0].data;
    for (int32_t i = 0; i < args.n_parts; i++) {
        rows_move_part *part = &args.parts[i];
        part->x = s->arguments[i] < 0 ? NULL : in[s->arguments[i]].data;
        bits |= part_bits(part);
    }
    const int32_t size = cuda_word_size(bits);
    for (int32_t i = 0; i < args.n_parts; i++) {
        rows_move_part *part = &args.parts[i];
        part->from >>= size, part->pitch >>= size, part->to >>= size, part->length >>= size;
    }
    args.n = s->rows * (s->pitch >> size);
    args.row = division_by(s->pitch >> size, args.n);
    return cuda_launch(device, s->functions.of[size], cuda_grid_over(device, args.n, 4), &args,
                       err);
}

static wisp_status begin(cuda_device *device, int64_t rows, int64_t pitch, wisp_kernel **kernel,
                         wisp_error *err)
{
    cuda_word_functions functions;
    WISP_TRY(cuda_word_functions_find(device, "rows_move", CUDA_WORD_SIZES, &functions, err));
    WISP_TRY(
        cuda_kernel_create(device, "rows move", move_run, sizeof(move_state), NULL, kernel, err));
    move_state *s = (*kernel)->state;
    s->functions = functions;
    s->rows = rows;
    s->pitch = pitch;
    return WISP_OK;
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

static wisp_status concat_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *y = request->out[0];
    if (request->n_in > ROWS_MOVE_PARTS)
        return wisp_refuse(request, err, "at most %d tensors", ROWS_MOVE_PARTS);
    WISP_TRY(begin(device, rows_before(y, attrs->axis), bytes_from(y, attrs->axis), kernel, err));
    for (int32_t i = 0; i < request->n_in; i++) {
        const int64_t bytes = bytes_from(request->in[i], attrs->axis);
        add_part((*kernel)->state, i, bytes, 0, bytes);
    }
    return WISP_OK;
}

static wisp_status slice_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *y = request->out[0];
    const int64_t bytes = bytes_from(y, attrs->axis);
    WISP_TRY(begin(device, rows_before(y, attrs->axis), bytes, kernel, err));
    add_part((*kernel)->state, 0, bytes, attrs->start * bytes_from(x, attrs->axis + 1),
             bytes_from(x, attrs->axis));
    return WISP_OK;
}

static wisp_status slice_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                      wisp_kernel **kernel, wisp_error *err)
{
    const wisp_axis_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0], *dx = request->out[0];
    const int64_t bytes = bytes_from(dy, attrs->axis), whole = bytes_from(dx, attrs->axis);
    const int64_t before = attrs->start * bytes_from(dx, attrs->axis + 1);
    WISP_TRY(begin(device, rows_before(dx, attrs->axis), whole, kernel, err));
    add_part((*kernel)->state, -1, before, 0, 0);
    add_part((*kernel)->state, 0, bytes, 0, bytes);
    add_part((*kernel)->state, -1, whole - before - bytes, 0, 0);
    return WISP_OK;
}

const cuda_kernel_entry cuda_rows_move_kernels[] = {
    {"concat", concat_prepare},
    {"slice", slice_prepare},
    {"slice_grad", slice_grad_prepare},
    {NULL, NULL},
};
