/* cuda_gather.c - rows by index, of a table or of every sample's tokens; a table is the tokens of
 * one sample. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/gather.h"

typedef struct gather_state {
    cuda_word_functions moves;
    CUfunction nobody, picks, by_four, by_one; /* of the gradient */
    int64_t batch, row;                        /* row: elements */
    int64_t element;                           /* bytes */
    size_t first, count;                       /* in scratch */
    gather_args args;                          /* tokens, picks, missing */
} gather_state;

/* `x` is x or dx. */
static gather_state state_of(const wisp_kernel_request *request, const wisp_desc *x)
{
    const int32_t batch = strstr(request->op, "tokens") ? 1 : 0;
    gather_state s = {.batch = batch ? x->shape[0] : 1,
                      .row = 1,
                      .element = wisp_dtype_bytes(x->dtype),
                      .args = {.tokens = x->shape[batch], .picks = request->in[1]->shape[batch]}};
    for (int32_t d = batch + 1; d < x->rank; d++)
        s.row *= x->shape[d];
    s.args.n_rows = s.batch * s.args.tokens;
    s.args.n_picks = s.batch * s.args.picks;
    s.args.missing = x->dtype == WISP_F32 ? 0x7fc00000u : x->dtype == WISP_BF16 ? 0x7fc07fc0u : 0u;
    return s;
}

static wisp_status gather_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const gather_state *s = kernel->state;
    gather_args args = s->args;
    (void)scratch;
    args.x = in[0].data;
    args.index = in[1].data;
    args.y = out[0].data;
    const int64_t bytes = s->row * s->element;
    const int32_t size =
        cuda_word_size(cuda_address(args.x) | cuda_address(args.y) | (uint64_t)bytes);
    args.n = s->args.n_picks * (bytes >> size);
    args.row = division_by(bytes >> size, args.n);
    args.picked = division_by(args.picks, args.n);
    return cuda_launch(device, s->moves.of[size], cuda_grid_over(device, args.n, 4), &args, err);
}

static wisp_status gather_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    gather_state made = state_of(request, request->in[0]);
    WISP_TRY(cuda_word_functions_find(device, "gather", CUDA_WORD_SIZES, &made.moves, err));
    WISP_TRY(cuda_kernel_create(device, "gather", gather_run, sizeof made, NULL, kernel, err));
    *(gather_state *)(*kernel)->state = made;
    return WISP_OK;
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const gather_state *s = kernel->state;
    gather_args args = s->args;
    args.x = in[0].data;
    args.index = in[1].data;
    args.y = out[0].data;
    args.first = (int32_t *)(void *)((char *)scratch + s->first);
    args.count = (int32_t *)(void *)((char *)scratch + s->count);
    const int by_four =
        s->row % 4 == 0 && cuda_aligned(cuda_address(args.x) | cuda_address(args.y), 16);
    const int64_t row = by_four ? s->row / 4 : s->row;
    args.n = args.n_rows * row;
    args.row = division_by(row, args.n);
    args.picked = division_by(args.tokens, args.n);
    WISP_TRY(cuda_launch(device, s->nobody, cuda_grid_over(device, args.n_rows, 4), &args, err));
    WISP_TRY(cuda_launch(device, s->picks, cuda_grid_over(device, args.n_picks, 1), &args, err));
    return cuda_launch(device, by_four ? s->by_four : s->by_one, cuda_grid_over(device, args.n, 1),
                       &args, err);
}

static wisp_status grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const int32_t type = request->out[0]->dtype;
    gather_state made = state_of(request, request->out[0]);
    if (made.args.picks >= INT32_MAX)
        return wisp_refuse(request, err, "the index has 2^31 entries or more");
    WISP_TRY(cuda_function(device, "gather_nobody", &made.nobody, err));
    WISP_TRY(cuda_function(device, "gather_picks", &made.picks, err));
    WISP_TRY(cuda_function_for(device, "gather_grad", type, &made.by_four, err));
    WISP_TRY(cuda_function_for(device, "gather_grad_one", type, &made.by_one, err));
    WISP_TRY(cuda_kernel_create(device, "gather", grad_run, sizeof made, NULL, kernel, err));
    made.first = cuda_book(&(*kernel)->scratch_bytes, (size_t)made.args.n_rows * sizeof(int32_t));
    made.count = cuda_book(&(*kernel)->scratch_bytes, (size_t)made.args.n_rows * sizeof(int32_t));
    *(gather_state *)(*kernel)->state = made;
    return WISP_OK;
}

const cuda_kernel_entry cuda_gather_kernels[] = {
    {"gather_rows", gather_prepare},
    {"gather_rows_grad", grad_prepare},
    {"gather_tokens", gather_prepare},
    {"gather_tokens_grad", grad_prepare},
    {NULL, NULL},
};
