/* cuda_top_k.c - the k largest of each row. */
#include <math.h>

#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/top_k.h"

enum { SHORTEST_PART = 4096, THREADS = 256 };

typedef struct top_state {
    CUfunction parts, merge;
    top_k_args args;    /* n, m, k, parts, part */
    size_t found, last; /* in scratch */
} top_state;

static cuda_grid grid_of(int64_t units)
{
    const int64_t most = 1 << 20;
    return (cuda_grid){.x = (uint32_t)(units < most ? units : most), .threads = THREADS};
}

/* Enough parts to fill the device, but no more than leave the second launch as much to look at as
 * the first has in a part. */
static void choose_parts(const cuda_device *device, top_k_args *a)
{
    const int64_t wanted = (int64_t)device->n_multiprocessors * 4 / (a->n > 0 ? a->n : 1);
    const int64_t balanced =
        (int64_t)sqrt((double)a->m / (double)(a->k < TOP_K_MOST ? a->k : TOP_K_MOST));
    int64_t parts = wanted < balanced ? wanted : balanced;
    if (parts > a->m / SHORTEST_PART)
        parts = a->m / SHORTEST_PART;
    parts = parts > 1 ? parts : 1;
    a->part = ((a->m + parts - 1) / parts + 3) / 4 * 4;
    a->parts = (a->m + a->part - 1) / a->part;
}

static wisp_status top_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                           const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const top_state *s = kernel->state;
    top_k_args args = s->args;
    args.x = in[0].data;
    args.values = out[0].data;
    args.index = out[1].data;
    args.found = (uint64_t *)(void *)((char *)scratch + s->found);
    args.last = (uint64_t *)(void *)((char *)scratch + s->last);
    args.by_four = args.m % 4 == 0 && cuda_aligned(cuda_address(args.x), 16);
    for (; args.done < args.k; args.done += args.now) {
        const int64_t rest = args.k - args.done;
        args.now = rest < TOP_K_MOST ? rest : TOP_K_MOST;
        WISP_TRY(cuda_launch(device, s->parts, grid_of(args.n * args.parts), &args, err));
        if (args.parts > 1)
            WISP_TRY(cuda_launch(device, s->merge, grid_of(args.n), &args, err));
    }
    return WISP_OK;
}

static wisp_status top_prepare(cuda_device *device, const wisp_kernel_request *request,
                               wisp_kernel **kernel, wisp_error *err)
{
    const wisp_top_k_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0];
    top_state made = {.args = {.n = x->shape[0], .m = x->shape[1], .k = attrs->k}};
    if (x->shape[1] > UINT32_MAX)
        return wisp_refuse(request, err, "rows have more than 2^32 - 1 elements");
    choose_parts(device, &made.args);
    WISP_TRY(cuda_function_for(device, "top_k", x->dtype, &made.parts, err));
    WISP_TRY(cuda_function_for(device, "top_k_merge", x->dtype, &made.merge, err));
    WISP_TRY(cuda_kernel_create(device, "top_k", top_run, sizeof made, NULL, kernel, err));
    const size_t rows = (size_t)made.args.n,
                 now = attrs->k < TOP_K_MOST ? (size_t)attrs->k : TOP_K_MOST;
    const size_t parts = made.args.parts > 1 ? (size_t)made.args.parts : 0;
    made.found = cuda_book(&(*kernel)->scratch_bytes, rows * parts * now * sizeof(uint64_t));
    made.last = cuda_book(&(*kernel)->scratch_bytes, rows * sizeof(uint64_t));
    *(top_state *)(*kernel)->state = made;
    return WISP_OK;
}

const cuda_kernel_entry cuda_top_k_kernels[] = {
    {"top_k", top_prepare},
    {NULL, NULL},
};
