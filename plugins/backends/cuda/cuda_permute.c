/* cuda_permute.c - dimensions in another order.
 *
 * What stays innermost is moved in wide words; else tiles of 32x32 elements go through shared
 * memory, so that both sides are read and written along their rows. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/permute.h"

enum { FEW = 8 }; /* dimensions shorter than this fill no tile */

/* Dimensions of y with their strides in x; those of one element are gone. */
typedef struct axes {
    int64_t size[PERMUTE_RANK], stride[PERMUTE_RANK];
    int32_t rank;
} axes;

typedef struct permute_state {
    cuda_word_functions words, tiles;
    int64_t count, bytes;
    int32_t element; /* exponent of its bytes */
    int32_t tiled;   /* a dimension of y: the one that is innermost in x; -1: by words */
    axes axes;
} permute_state;

/* A dimension that is next to the one before it, in x as in y, becomes one with it. */
static void add_axis(axes *a, int64_t size, int64_t stride)
{
    if (size == 1)
        return;
    const int32_t last = a->rank - 1;
    if (a->rank > 0 && a->stride[last] == size * stride) {
        a->size[last] *= size;
        a->stride[last] = stride;
        return;
    }
    a->size[a->rank] = size;
    a->stride[a->rank++] = stride;
}

static axes axes_of(const wisp_permute_attrs *attrs, const wisp_desc *x)
{
    axes a = {{0}, {0}, 0};
    int64_t stride[WISP_MAX_RANK + 1];
    stride[x->rank] = 1;
    for (int32_t d = x->rank - 1; d >= 0; d--)
        stride[d] = stride[d + 1] * x->shape[d];
    for (int32_t d = 0; d < x->rank; d++)
        add_axis(&a, x->shape[attrs->order[d]], stride[attrs->order[d] + 1]);
    if (a.rank == 0)
        a = (axes){{1}, {1}, 1};
    return a;
}

/* The dimension of y that is innermost in x, where tiles serve; else -1. */
static int32_t tiled_axis(const axes *a)
{
    const int32_t last = a->rank - 1;
    for (int32_t d = 0; d < last; d++)
        if (a->stride[d] == 1)
            return a->size[d] >= FEW && a->size[last] >= FEW ? d : -1;
    return -1;
}

/* --- run --- */

static wisp_status run_words(const wisp_kernel *kernel, const void *x, void *y, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const permute_state *s = kernel->state;
    const int32_t last = s->axes.rank - 1;
    int32_t size = s->element;
    if (s->axes.stride[last] == 1)
        size = cuda_word_size(cuda_address(x) | cuda_address(y) |
                              (uint64_t)s->axes.size[last] << s->element);
    const int32_t wider = size - s->element; /* elements in a word, as an exponent */
    permute_args args = {.x = x, .y = y, .n = s->count >> wider, .rank = s->axes.rank};
    for (int32_t d = 0; d <= last; d++) {
        const int64_t n = s->axes.size[d], stride = s->axes.stride[d];
        args.size[d] = division_by(d == last ? n >> wider : n, args.n);
        args.stride[d] = d == last ? stride : stride >> wider;
    }
    return cuda_launch(device, s->words.of[size], cuda_grid_over(device, args.n, 4), &args, err);
}

static wisp_status run_tiles(const wisp_kernel *kernel, const void *x, void *y, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const permute_state *s = kernel->state;
    const axes *a = &s->axes;
    const int32_t last = a->rank - 1;
    permute_tile_args args = {.x = x,
                              .y = y,
                              .size_x = a->size[s->tiled],
                              .size_y = a->size[last],
                              .step_x = a->stride[last]};
    const int64_t tiles_x = (args.size_x + PERMUTE_TILE - 1) / PERMUTE_TILE;
    const int64_t tiles_y = (args.size_y + PERMUTE_TILE - 1) / PERMUTE_TILE;
    args.n = tiles_x * tiles_y * (s->count / (args.size_x * args.size_y));
    args.tiles_x = division_by(tiles_x, args.n);
    args.tiles_y = division_by(tiles_y, args.n);
    int64_t stride_y = a->size[last], strides[PERMUTE_RANK] = {0};
    for (int32_t d = last - 1; d >= 0; stride_y *= a->size[d--])
        strides[d] = stride_y;
    args.step_y = strides[s->tiled];
    for (int32_t d = 0; d < last; d++) {
        if (d == s->tiled)
            continue;
        args.size[args.rank] = division_by(a->size[d], args.n);
        args.stride_x[args.rank] = a->stride[d];
        args.stride_y[args.rank++] = strides[d];
    }
    const int64_t most = (int64_t)device->n_multiprocessors * 16;
    const cuda_grid grid = {.x = (uint32_t)(args.n < most ? args.n : most), .threads = 256};
    return cuda_launch(device, s->tiles.of[s->element], grid, &args, err);
}

static wisp_status permute_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const permute_state *s = kernel->state;
    (void)scratch;
    if (s->count == 0)
        return WISP_OK;
    return s->tiled < 0 ? run_words(kernel, in[0].data, out[0].data, err)
                        : run_tiles(kernel, in[0].data, out[0].data, err);
}

static wisp_status permute_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    cuda_word_functions words, tiles;
    WISP_TRY(cuda_word_functions_find(device, "permute_words", CUDA_WORD_SIZES, &words, err));
    WISP_TRY(cuda_word_functions_find(device, "permute_tiles", CUDA_WORD_SIZES - 1, &tiles, err));
    WISP_TRY(cuda_kernel_create(device, "permute", permute_run, sizeof(permute_state), NULL, kernel,
                                err));
    permute_state *s = (*kernel)->state;
    s->words = words;
    s->tiles = tiles;
    s->count = wisp_desc_count(request->in[0]);
    s->element = cuda_word_size((uint64_t)wisp_dtype_bytes(request->in[0]->dtype));
    s->axes = axes_of(request->attrs, request->in[0]);
    s->tiled = tiled_axis(&s->axes);
    return WISP_OK;
}

const cuda_kernel_entry cuda_permute_kernels[] = {
    {"permute", permute_prepare},
    {NULL, NULL},
};
