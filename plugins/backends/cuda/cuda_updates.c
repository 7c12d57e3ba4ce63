/* cuda_updates.c - norms, clipping, SGD, LARS, AdamW and moving averages over whole parameter
 * stores. */
#include "cuda_table.h"
#include "cuda_words.h"
#include "kernels/updates.h"

enum { MAX_LAUNCHES = 4, THREADS = 256 };

/* How many blocks a launch has. */
typedef enum launch_kind { ONE_BLOCK, OVER_CHUNKS, OVER_SEGMENTS, OVER_PAIRS } launch_kind;

typedef struct launch {
    const char *name;
    launch_kind kind;
} launch;

typedef struct optimizer_state {
    CUfunction functions[MAX_LAUNCHES];
    launch_kind kinds[MAX_LAUNCHES];
    int32_t n_launches;
    optimizer_args args;                                                 /* without the pointers */
    size_t first, pairs_first, numbers, sum_a, sum_b, follows, followed; /* in scratch */
} optimizer_state;

static segment_table table_of(int64_t store, int64_t source_store, const wisp_desc *table)
{
    const segment_table t = {.n = table->shape[0],
                             .store = store,
                             .source_store = source_store,
                             .room = store / SEGMENT_CHUNK + table->shape[0]};
    return t;
}

static void book(optimizer_state *s, size_t *total)
{
    const segment_table *t = &s->args.segments, *pairs = &s->args.pairs;
    s->first = cuda_book(total, (size_t)(t->n + 1) * sizeof(int64_t));
    s->pairs_first = cuda_book(total, (size_t)(pairs->n + 1) * sizeof(int64_t));
    s->numbers = cuda_book(total, (size_t)t->n * SEGMENT_NUMBERS * sizeof(float));
    s->sum_a = cuda_book(total, (size_t)t->room * sizeof(double));
    s->sum_b = cuda_book(total, (size_t)t->room * sizeof(double));
    s->follows = cuda_book(total, (size_t)t->n * sizeof(int64_t));
    s->followed = cuda_book(total, (size_t)pairs->n * sizeof(int32_t));
}

static void place_scratch(const optimizer_state *s, char *scratch, optimizer_args *args)
{
    args->segments.first = (int64_t *)(void *)(scratch + s->first);
    args->pairs.first = (int64_t *)(void *)(scratch + s->pairs_first);
    args->numbers = (float *)(void *)(scratch + s->numbers);
    args->sum_a = (double *)(void *)(scratch + s->sum_a);
    args->sum_b = (double *)(void *)(scratch + s->sum_b);
    args->follows = (int64_t *)(void *)(scratch + s->follows);
    args->followed = (int32_t *)(void *)(scratch + s->followed);
    args->by_four = cuda_aligned(cuda_address(args->p) | cuda_address(args->grad) |
                                     cuda_address(args->m) | cuda_address(args->v) |
                                     cuda_address(args->target) | cuda_address(args->source),
                                 16);
}

static cuda_grid grid_for(const cuda_device *device, const optimizer_args *args, launch_kind kind)
{
    const segment_table *t = kind == OVER_PAIRS ? &args->pairs : &args->segments;
    const int64_t most = (int64_t)device->n_multiprocessors * 8;
    int64_t blocks = kind == ONE_BLOCK ? 1 : t->room < most ? t->room : most;
    if (kind == OVER_SEGMENTS)
        blocks = t->n;
    return (cuda_grid){.x = (uint32_t)blocks, .threads = THREADS};
}

static wisp_status start(const wisp_kernel *kernel, void *scratch, optimizer_args *args,
                         wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const optimizer_state *s = kernel->state;
    place_scratch(s, scratch, args);
    for (int32_t i = 0; i < s->n_launches; i++) {
        const cuda_grid grid = grid_for(device, args, s->kinds[i]);
        if (s->kinds[i] == OVER_PAIRS) { /* the last: averages what is updated by now */
            args->segments = args->pairs;
            args->source = args->p;
        }
        WISP_TRY(cuda_launch(device, s->functions[i], grid, args, err));
    }
    return WISP_OK;
}

/* `launches` ends with a NULL name. */
static wisp_status create(cuda_device *device, const launch *launches, const wisp_desc *const *in,
                          int32_t segments, int64_t source_store, cuda_run run,
                          wisp_kernel **kernel, wisp_error *err)
{
    optimizer_state made = {
        .args = {.segments = table_of(wisp_desc_count(in[0]), source_store, in[segments])}};
    for (; launches[made.n_launches].name; made.n_launches++) {
        const launch *one = &launches[made.n_launches];
        WISP_TRY(cuda_function(device, one->name, &made.functions[made.n_launches], err));
        made.kinds[made.n_launches] = one->kind;
    }
    WISP_TRY(
        cuda_kernel_create(device, "optimizer", run, sizeof(optimizer_state), NULL, kernel, err));
    optimizer_state *s = (*kernel)->state;
    *s = made;
    book(s, &(*kernel)->scratch_bytes);
    return WISP_OK;
}

/* --- norms and clipping --- */

static wisp_status norms_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    args.grad = in[0].data;
    args.segments.rows = in[1].data;
    args.norms = out[0].data;
    return start(kernel, scratch, &args, err);
}

static wisp_status norms_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {{"optimizer_plan", ONE_BLOCK},
                                      {"optimizer_measure", OVER_CHUNKS},
                                      {"optimizer_finish_norms", OVER_SEGMENTS},
                                      {NULL, ONE_BLOCK}};
    return create(device, launches, request->in, 1, -1, norms_run, kernel, err);
}

static wisp_status clip_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    args.p = out[0].data;
    args.segments.rows = in[1].data;
    args.norms = in[2].data;
    return start(kernel, scratch, &args, err);
}

static wisp_status clip_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {
        {"optimizer_plan_clip", ONE_BLOCK}, {"optimizer_clip", OVER_CHUNKS}, {NULL, ONE_BLOCK}};
    const wisp_clip_attrs *attrs = request->attrs;
    WISP_TRY(create(device, launches, request->in, 1, -1, clip_run, kernel, err));
    optimizer_state *s = (*kernel)->state;
    s->args.limit = attrs->limit;
    s->args.per_segment = attrs->per_segment;
    return WISP_OK;
}

/* --- SGD and LARS --- */

static wisp_status sgd_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                           const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    args.p = out[0].data;
    args.grad = in[1].data;
    args.m = out[1].data;
    args.segments.rows = in[3].data;
    args.rules = in[4].data;
    args.lr = in[5].data;
    args.wd = in[6].data;
    return start(kernel, scratch, &args, err);
}

static wisp_status create_sgd(cuda_device *device, const wisp_kernel_request *request,
                              const launch *launches, wisp_kernel **kernel, wisp_error *err)
{
    const wisp_sgd_attrs *attrs = request->attrs;
    WISP_TRY(create(device, launches, request->in, 3, -1, sgd_run, kernel, err));
    optimizer_state *s = (*kernel)->state;
    s->args.momentum = attrs->momentum;
    s->args.trust = attrs->trust;
    s->args.nesterov = attrs->nesterov;
    return WISP_OK;
}

static wisp_status sgd_prepare(cuda_device *device, const wisp_kernel_request *request,
                               wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {
        {"optimizer_plan_sgd", ONE_BLOCK}, {"optimizer_sgd", OVER_CHUNKS}, {NULL, ONE_BLOCK}};
    return create_sgd(device, request, launches, kernel, err);
}

static wisp_status lars_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {{"optimizer_plan_sgd", ONE_BLOCK},
                                      {"optimizer_measure_lars", OVER_CHUNKS},
                                      {"optimizer_finish_lars", OVER_SEGMENTS},
                                      {"optimizer_sgd", OVER_CHUNKS},
                                      {NULL, ONE_BLOCK}};
    return create_sgd(device, request, launches, kernel, err);
}

/* --- AdamW and averages --- */

static void place_adamw(const wisp_kernel_arg *in, const wisp_kernel_arg *out, optimizer_args *args)
{
    args->p = out[0].data;
    args->grad = in[1].data;
    args->m = out[1].data;
    args->v = out[2].data;
    args->segments.rows = in[4].data;
    args->rules = in[5].data;
    args->lr = in[6].data;
    args->wd = in[7].data;
    args->step = out[3].data;
}

static wisp_status adamw_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    place_adamw(in, out, &args);
    return start(kernel, scratch, &args, err);
}

static void take_betas(wisp_kernel *kernel, const wisp_adamw_attrs *attrs, const wisp_desc *step)
{
    optimizer_state *s = kernel->state;
    s->args.beta1 = attrs->beta1;
    s->args.beta2 = attrs->beta2;
    s->args.eps = attrs->eps;
    s->args.own_steps = step->rank == 1;
}

static wisp_status adamw_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {
        {"optimizer_plan_adamw", ONE_BLOCK}, {"optimizer_adamw", OVER_CHUNKS}, {NULL, ONE_BLOCK}};
    WISP_TRY(create(device, launches, request->in, 4, -1, adamw_run, kernel, err));
    take_betas(*kernel, request->attrs, request->in[8]);
    return WISP_OK;
}

static wisp_status ema_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                           const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    args.target = out[0].data;
    args.source = in[1].data;
    args.segments.rows = in[2].data;
    args.stays = in[3].data;
    return start(kernel, scratch, &args, err);
}

static wisp_status ema_prepare(cuda_device *device, const wisp_kernel_request *request,
                               wisp_kernel **kernel, wisp_error *err)
{
    static const launch launches[] = {
        {"optimizer_plan", ONE_BLOCK}, {"optimizer_average", OVER_CHUNKS}, {NULL, ONE_BLOCK}};
    return create(device, launches, request->in, 2, wisp_desc_count(request->in[1]), ema_run,
                  kernel, err);
}

static wisp_status both_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    optimizer_args args = ((const optimizer_state *)kernel->state)->args;
    place_adamw(in, out, &args);
    args.target = out[4].data;
    args.pairs.rows = in[10].data;
    args.stays = in[11].data;
    args.norms = out[5].data;
    return start(kernel, scratch, &args, err);
}

static wisp_status both_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    static const launch with_norms[] = {{"optimizer_plan_adamw", ONE_BLOCK},
                                        {"optimizer_adamw_ema", OVER_CHUNKS},
                                        {"optimizer_finish_norms", OVER_SEGMENTS},
                                        {"optimizer_average", OVER_PAIRS},
                                        {NULL, ONE_BLOCK}};
    static const launch without[] = {{"optimizer_plan_adamw", ONE_BLOCK},
                                     {"optimizer_adamw_ema", OVER_CHUNKS},
                                     {"optimizer_average", OVER_PAIRS},
                                     {NULL, ONE_BLOCK}};
    const wisp_adamw_ema_attrs *attrs = request->attrs;
    const wisp_desc *const *in = request->in;
    WISP_TRY(
        create(device, attrs->want_norms ? with_norms : without, in, 4, -1, both_run, kernel, err));
    optimizer_state *s = (*kernel)->state;
    take_betas(*kernel, &attrs->adamw, in[8]);
    s->args.want_norms = attrs->want_norms;
    s->args.pairs = table_of(wisp_desc_count(in[9]), s->args.segments.store, in[10]);
    (*kernel)->scratch_bytes = 0;
    book(s, &(*kernel)->scratch_bytes);
    return WISP_OK;
}

const cuda_kernel_entry cuda_updates_kernels[] = {
    {"segment_norms", norms_prepare},   {"clip_segments", clip_prepare},
    {"sgd_update", sgd_prepare},        {"lars_update", lars_prepare},
    {"adamw_update", adamw_prepare},    {"ema_update", ema_prepare},
    {"adamw_ema_update", both_prepare}, {NULL, NULL},
};
