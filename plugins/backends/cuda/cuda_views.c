/* cuda_views.c - make_views: two launches, whatever the number of views. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "kernels/views.h"

typedef struct views_state {
    CUfunction resize, finish;
    cuda_grid resize_grid, finish_grid;
    views_args args; /* all but the pointers */
    size_t map_at, spare_at;
} views_state;

static wisp_status run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                       const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const views_state *state = kernel->state;
    views_args args = state->args;
    args.pixels = in[0].data;
    args.views = in[1].data;
    args.ops = in[2].data;
    args.map = (uint8_t *)scratch + state->map_at;
    args.spare = (uint8_t *)scratch + state->spare_at;
    args.y = out[0].data;
    WISP_TRY(cuda_launch(device, state->resize, state->resize_grid, &args, err));
    return cuda_launch(device, state->finish, state->finish_grid, &args, err);
}

static int32_t tiles(int32_t side)
{
    return (side + VIEWS_TILE - 1) / VIEWS_TILE;
}

static void lay_out(wisp_kernel *kernel, const wisp_kernel_request *request)
{
    const wisp_make_views_attrs *attrs = request->attrs;
    views_state *state = kernel->state;
    views_args *args = &state->args;
    const int64_t n = request->in[1]->shape[0];
    const size_t bytes = (size_t)n * (size_t)attrs->width * (size_t)attrs->height * 3;
    args->n_bytes = request->in[0]->shape[0];
    args->width = attrs->width;
    args->height = attrs->height;
    args->tiles_x = tiles(attrs->width);
    args->tiles_y = tiles(attrs->height);
    for (int c = 0; c < 3; c++) {
        args->mean[c] = attrs->mean[c];
        args->std[c] = attrs->std[c];
    }
    state->map_at = cuda_book(&kernel->scratch_bytes, bytes);
    state->spare_at = cuda_book(&kernel->scratch_bytes, bytes);
    state->resize_grid = (cuda_grid){.x = (uint32_t)(n * args->tiles_x * args->tiles_y),
                                     .threads = VIEWS_TILE_THREADS};
    state->finish_grid = (cuda_grid){.x = (uint32_t)n, .threads = VIEWS_FINISH_THREADS};
}

static wisp_status prepare(cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    const wisp_make_views_attrs *attrs = request->attrs;
    const int64_t blocks =
        request->in[1]->shape[0] * tiles(attrs->width) * (int64_t)tiles(attrs->height);
    CUfunction resize, finish;
    if (blocks > INT32_MAX)
        return wisp_refuse(request, err, "%lld tiles are more than a launch takes",
                           (long long)blocks);
    WISP_TRY(cuda_function(device, "resize_views", &resize, err));
    WISP_TRY(cuda_function_for(device, "finish_views", attrs->dtype, &finish, err));
    WISP_TRY(cuda_kernel_create(device, "views", run, sizeof(views_state), NULL, kernel, err));
    views_state *state = (*kernel)->state;
    state->resize = resize;
    state->finish = finish;
    lay_out(*kernel, request);
    return WISP_OK;
}

const cuda_kernel_entry cuda_views_kernels[] = {
    {"make_views", prepare},
    {NULL, NULL},
};
