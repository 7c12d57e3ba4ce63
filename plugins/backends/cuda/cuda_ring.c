/* cuda_ring.c - lerp, and the newest rows into a ring. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/ring.h"

/* NAME_<type of what is written>_<type of what is read> */
static wisp_status function_for_types(const cuda_device *device, const char *name,
                                      const wisp_desc *to, const wisp_desc *from,
                                      CUfunction *function, wisp_error *err)
{
    char whole[60];
    snprintf(whole, sizeof whole, "%s_%s", name, wisp_dtype_name(to->dtype));
    return cuda_function_for(device, whole, from->dtype, function, err);
}

/* --- lerp --- */

typedef struct lerp_state {
    CUfunction function;
    int64_t n;
} lerp_state;

static wisp_status lerp_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const lerp_state *s = kernel->state;
    (void)scratch;
    const lerp_args args = {
        .buffer = out[0].data,
        .x = in[1].data,
        .m = in[2].data,
        .n = s->n,
        .by_four = cuda_aligned(cuda_address(out[0].data) | cuda_address(in[1].data), 16),
    };
    return cuda_launch(device, s->function, cuda_grid_over(device, s->n, 4), &args, err);
}

static wisp_status lerp_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    CUfunction function;
    const wisp_desc *const *in = request->in;
    if (!cuda_is_float(in[0]) || !cuda_is_float(in[1]))
        return wisp_refuse(request, err, "needs f32 or bf16");
    WISP_TRY(function_for_types(device, "lerp", in[0], in[1], &function, err));
    WISP_TRY(cuda_kernel_create(device, "lerp", lerp_run, sizeof(lerp_state), NULL, kernel, err));
    lerp_state *s = (*kernel)->state;
    s->function = function;
    s->n = wisp_desc_count(in[0]);
    return WISP_OK;
}

/* --- ring_write --- */

typedef struct ring_state {
    cuda_word_functions moves;
    CUfunction convert, advance; /* convert NULL: the types are the same */
    int64_t size, n_rows, width; /* width: elements */
    int64_t element;             /* bytes */
} ring_state;

static wisp_status ring_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const ring_state *s = kernel->state;
    ring_args args = {.ring = out[0].data,
                      .rows = in[2].data,
                      .cursor = out[1].data,
                      .size = s->size,
                      .n_rows = s->n_rows};
    CUfunction rows = s->convert;
    int64_t width = s->width;
    (void)scratch;
    if (!rows) {
        const int32_t size = cuda_word_size(cuda_address(args.ring) | cuda_address(args.rows) |
                                            (uint64_t)(width * s->element));
        rows = s->moves.of[size];
        width = width * s->element >> size;
    }
    args.n = s->n_rows * width;
    args.width = division_by(width, args.n);
    WISP_TRY(cuda_launch(device, rows, cuda_grid_over(device, args.n, 2), &args, err));
    return cuda_launch(device, s->advance, (cuda_grid){.x = 1, .threads = 1}, &args, err);
}

static wisp_status ring_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_desc *ring = request->in[0], *rows = request->in[2];
    ring_state made = {.size = ring->shape[0], .n_rows = rows->shape[0]};
    if (ring->dtype != rows->dtype && (!cuda_is_float(ring) || !cuda_is_float(rows)))
        return wisp_refuse(request, err, "ring and rows need one type, or f32 and bf16");
    if (made.size < 1)
        return wisp_refuse(request, err, "the ring is empty");
    made.width = wisp_desc_count(ring) / made.size;
    made.element = wisp_dtype_bytes(ring->dtype);
    WISP_TRY(cuda_function(device, "ring_advance", &made.advance, err));
    WISP_TRY(cuda_word_functions_find(device, "ring_move", CUDA_WORD_SIZES, &made.moves, err));
    if (ring->dtype != rows->dtype)
        WISP_TRY(function_for_types(device, "ring_convert", ring, rows, &made.convert, err));
    WISP_TRY(cuda_kernel_create(device, "ring", ring_run, sizeof made, NULL, kernel, err));
    *(ring_state *)(*kernel)->state = made;
    return WISP_OK;
}

const cuda_kernel_entry cuda_ring_kernels[] = {
    {"lerp", lerp_prepare},
    {"ring_write", ring_prepare},
    {NULL, NULL},
};
