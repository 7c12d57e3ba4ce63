/* cuda_pair_entropy.c - cross-entropies between soft targets and predictions of several views. */
#include "cuda_device.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/pair_entropy.h"

typedef struct pair_state {
    CUfunction first, second; /* rows, then their sums; or sums of targets, then the gradient */
    pair_entropy_args args;   /* all but the pointers */
    int32_t divides;          /* rows into packs */
} pair_state;

static const cuda_grid no_grid = {.threads = PAIR_THREADS};

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const pair_state *state = kernel->state;
    pair_entropy_args args = state->args;
    args.logits = in[0].data;
    args.targets = in[1].data;
    args.weights = in[2].data;
    args.loss = out[0].data;
    args.pairs = out[1].data;
    args.lse = out[2].data;
    args.rows = scratch;
    args.wide =
        state->divides && (cuda_address(args.logits) | cuda_address(args.targets)) % 16 == 0;
    cuda_grid rows = no_grid, one = no_grid;
    rows.x = (uint32_t)(args.samples * cuda_ceil_div(args.n_views, PAIR_VIEWS));
    one.x = 1;
    WISP_TRY(cuda_launch(device, state->first, rows, &args, err));
    return cuda_launch(device, state->second, one, &args, err);
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const pair_state *state = kernel->state;
    pair_entropy_args args = state->args;
    args.dloss = in[0].data;
    args.logits = in[1].data;
    args.targets = in[2].data;
    args.weights = in[3].data;
    args.lse_in = in[4].data;
    args.dlogits = out[0].data;
    args.mass = scratch;
    args.wide = state->divides && (cuda_address(args.logits) | cuda_address(args.targets) |
                                   cuda_address(args.dlogits)) %
                                          16 ==
                                      0;
    cuda_grid masses = no_grid, rows = no_grid;
    masses.x = (uint32_t)(args.n_targets * args.samples);
    rows.x = (uint32_t)(args.samples * args.slices);
    rows.y = (uint32_t)cuda_ceil_div(args.n_views, PAIR_FACTORS);
    WISP_TRY(cuda_launch(device, state->first, masses, &args, err));
    return cuda_launch(device, state->second, rows, &args, err);
}

/* Blocks a sample that keep the device busy, each with some packs for every thread. */
static int64_t slices_of(const cuda_device *device, int64_t samples, int64_t classes, int32_t pack)
{
    const int64_t wanted = cuda_ceil_div((int64_t)device->n_multiprocessors * 8, samples);
    const int64_t most = cuda_ceil_div(classes, (int64_t)PAIR_THREADS * pack);
    return wanted < most ? wanted : most;
}

static wisp_status find_functions(const cuda_device *device, int32_t logits, int32_t targets,
                                  int grad, pair_state *state, wisp_error *err)
{
    char name[48];
    snprintf(name, sizeof name, "pair_entropy%s_%s", grad ? "_grad" : "", wisp_dtype_name(logits));
    if (!grad) {
        WISP_TRY(cuda_function_for(device, name, targets, &state->first, err));
        return cuda_function(device, "pair_entropy_finish", &state->second, err);
    }
    WISP_TRY(cuda_function_for(device, "pair_entropy_mass", targets, &state->first, err));
    return cuda_function_for(device, name, targets, &state->second, err);
}

static wisp_status prepare(cuda_device *device, const wisp_kernel_request *request,
                           wisp_kernel **kernel, wisp_error *err)
{
    const wisp_pair_cross_entropy_attrs *attrs = request->attrs;
    const int grad = strcmp(request->op, "pair_cross_entropy_grad") == 0;
    const wisp_desc *logits = request->in[grad], *targets = request->in[grad + 1];
    pair_state state;
    memset(&state, 0, sizeof state);
    if (!cuda_is_float(logits) || (targets->dtype != WISP_F32 && targets->dtype != logits->dtype))
        return wisp_refuse(request, err, "needs f32 or bf16, and targets of that type or f32");
    WISP_TRY(find_functions(device, logits->dtype, targets->dtype, grad, &state, err));
    state.args.samples = logits->shape[0] / attrs->views;
    state.args.classes = logits->shape[1];
    state.args.n_views = attrs->views;
    state.args.n_targets = attrs->targets;
    state.args.scale = (float)attrs->scale;
    state.divides = logits->shape[1] % cuda_per_access(logits->dtype) == 0;
    state.args.slices = slices_of(device, state.args.samples, state.args.classes,
                                  state.divides ? cuda_per_access(logits->dtype) : 1);
    WISP_TRY(cuda_kernel_create(device, "pairs", grad ? grad_run : forward_run, sizeof state, NULL,
                                kernel, err));
    memcpy((*kernel)->state, &state, sizeof state);
    (*kernel)->scratch_bytes = (size_t)(attrs->targets * state.args.samples) * sizeof(float) *
                               (size_t)(grad ? 1 : attrs->views);
    return WISP_OK;
}

const cuda_kernel_entry cuda_pair_entropy_kernels[] = {
    {"pair_cross_entropy", prepare},
    {"pair_cross_entropy_grad", prepare},
    {NULL, NULL},
};
