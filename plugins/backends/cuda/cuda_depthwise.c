/* cuda_depthwise.c - depthwise convolutions of 3x3 and 5x5 pixels, those of 3x3 as conv_norm too:
 * every channel by itself, which libraries do not do at the speed of memory. */
#include <math.h>

#include "cuda_table.h"
#include "cuda_wide.h"
#include "cuda_words.h"
#include "kernels/depthwise.h"

/* Threads over the channels, and how they walk over the map. */
typedef struct depth_plan {
    CUfunction pass;
    int32_t channels; /* a thread */
    int32_t lanes, slabs, band;
    int64_t tiles, blocks;
    division groups, bands;
} depth_plan;

typedef struct depth_state {
    depth_plan many, one; /* several channels a thread, or one where they are odd */
    CUfunction finish;
    int32_t kernel, stride; /* sides */
    int32_t side_by_side;   /* blocks of the pass on a multiprocessor */
    int32_t values;         /* sums of a part; 0: none */
    int32_t has_bias;
    int32_t add; /* dw += */
    int64_t n;
    size_t parts; /* in scratch */
    depthwise_args args;
} depth_state;

/* --- requests --- */

static wisp_status judge(const wisp_kernel_request *request, const wisp_conv2d_attrs *a,
                         const wisp_desc *x, const wisp_desc *y, int64_t kernel_h, int64_t kernel_w,
                         int64_t widest, wisp_error *err)
{
    if (x->shape[3] != a->groups || y->shape[3] != a->groups || a->groups < 2)
        return wisp_refuse(request, err, "is not depthwise");
    if (kernel_h != kernel_w || (kernel_h != 3 && kernel_h != 5) || kernel_h > widest)
        return wisp_refuse(request, err, "depthwise windows are 3x3%s",
                           widest > 3 ? " or 5x5" : "");
    if (a->stride_h != a->stride_w || a->stride_h > 2)
        return wisp_refuse(request, err, "depthwise strides are 1 or 2 both ways");
    if (a->dilation_h != 1 || a->dilation_w != 1)
        return wisp_refuse(request, err, "depthwise windows are not dilated");
    if (x->shape[3] > INT16_MAX * 8 || a->pad_h > INT16_MAX || a->pad_w > INT16_MAX)
        return wisp_refuse(request, err, "more channels or padding than a launch takes");
    return WISP_OK;
}

static depth_state state_of(const wisp_conv2d_attrs *a, const wisp_desc *x, const wisp_desc *y,
                            int64_t kernel)
{
    depth_state s = {.kernel = (int32_t)kernel,
                     .stride = a->stride_h,
                     .side_by_side = DEPTHWISE_BLOCKS,
                     .n = x->shape[0]};
    s.args.h = (int32_t)x->shape[1];
    s.args.w = (int32_t)x->shape[2];
    s.args.c = (int32_t)x->shape[3];
    s.args.ho = (int32_t)y->shape[1];
    s.args.wo = (int32_t)y->shape[2];
    s.args.pad_h = a->pad_h;
    s.args.pad_w = a->pad_w;
    s.args.pixels = x->shape[0] * y->shape[1] * y->shape[2];
    s.args.low = -INFINITY;
    s.args.high = INFINITY;
    return s;
}

static void take_activation(depth_state *s, int32_t activation)
{
    if (activation != WISP_ACT_NONE)
        s->args.low = 0.0f;
    if (activation == WISP_ACT_RELU6)
        s->args.high = 6.0f;
}

/* --- plans --- */

/* Threads side by side over `vectors`: the number, 8 to 32, that leaves the fewest idle. */
static int32_t lanes_for(int64_t vectors)
{
    int32_t best = 32;
    for (int32_t lanes = 16; lanes >= 8; lanes /= 2)
        if ((vectors + lanes - 1) / lanes * lanes < (vectors + best - 1) / best * best)
            best = lanes;
    return best;
}

/* Rows of a band: long ones read few rows twice, short ones leave no thread without work. What is
 * least is the number of rows of x that the busiest thread reads. */
static int64_t band_for(const depth_state *s, int64_t rows, int64_t tiles_a_band, int64_t seats)
{
    int64_t best = rows, least = INT64_MAX;
    for (int64_t bands = 1; bands <= rows && bands <= 64; bands++) {
        const int64_t band = cuda_ceil_div(rows, bands);
        const int64_t rounds = cuda_ceil_div(tiles_a_band * cuda_ceil_div(rows, band), seats);
        const int64_t cost = rounds * (band * s->stride + s->kernel - s->stride);
        if (cost < least) {
            least = cost;
            best = band;
        }
    }
    return best;
}

/* `rows` and `groups` of tiles in an image, `channels` a thread. */
static depth_plan plan_for(const cuda_device *device, const depth_state *s, int32_t channels,
                           int64_t rows, int64_t groups)
{
    depth_plan p = {.channels = channels, .lanes = lanes_for(cuda_ceil_div(s->args.c, channels))};
    p.slabs = (int32_t)cuda_ceil_div(cuda_ceil_div(s->args.c, channels), p.lanes);
    const int64_t spots = DEPTHWISE_THREADS / p.lanes;
    int64_t blocks = (int64_t)device->n_multiprocessors * s->side_by_side / p.slabs;
    blocks = blocks > 1 ? blocks : 1;
    p.band = (int32_t)band_for(s, rows, s->n * groups, blocks * spots);
    const int64_t bands = cuda_ceil_div(rows, p.band);
    p.tiles = s->n * bands * groups;
    p.groups = division_by(groups, p.tiles);
    p.bands = division_by(bands, p.tiles);
    const int64_t rounds = cuda_ceil_div(p.tiles, blocks * spots);
    p.blocks = rounds > 0 ? cuda_ceil_div(p.tiles, rounds * spots) : 0;
    return p;
}

static wisp_status find_pass(const cuda_device *device, const char *name, const depth_state *s,
                             int32_t channels, int32_t dtype, CUfunction *function, wisp_error *err)
{
    char whole[60];
    snprintf(whole, sizeof whole, "%s_%d_%d_%d", name, s->kernel, s->stride, channels);
    return cuda_function_for(device, whole, dtype, function, err);
}

/* A pass over the rows of y. */
static wisp_status plan_forward(const cuda_device *device, const char *name, int32_t dtype,
                                depth_state *s, wisp_error *err)
{
    const int64_t groups = cuda_ceil_div(s->args.wo, DEPTHWISE_TILE);
    const int32_t many = s->kernel == 3 ? 4 : 2;
    s->args.rows = s->args.ho;
    s->many = plan_for(device, s, many, s->args.rows, groups);
    s->one = plan_for(device, s, 1, s->args.rows, groups);
    WISP_TRY(find_pass(device, name, s, many, dtype, &s->many.pass, err));
    return find_pass(device, name, s, 1, dtype, &s->one.pass, err);
}

/* A pass over the rows of x, `stride` at a time, as far as they lie in the map. */
static wisp_status plan_backward(const cuda_device *device, const char *name, int32_t dtype,
                                 depth_state *s, wisp_error *err)
{
    const depthwise_args *a = &s->args;
    const int32_t many = s->kernel == 3 ? 2 : 1;
    const int64_t rows = (a->h - 1 + a->pad_h) / s->stride - a->pad_h / s->stride + 1;
    const int64_t columns = (a->w - 1 + a->pad_w) / s->stride - a->pad_w / s->stride + 1;
    const int64_t groups = cuda_ceil_div(columns, DEPTHWISE_TILE / s->stride);
    s->args.rows = (int32_t)rows;
    s->many = plan_for(device, s, many, rows, groups);
    s->one = plan_for(device, s, 1, rows, groups);
    WISP_TRY(find_pass(device, name, s, many, dtype, &s->many.pass, err));
    return find_pass(device, name, s, 1, dtype, &s->one.pass, err);
}

static wisp_status create(cuda_device *device, depth_state *made, cuda_run run,
                          wisp_kernel **kernel, wisp_error *err)
{
    const int64_t blocks =
        made->many.blocks > made->one.blocks ? made->many.blocks : made->one.blocks;
    WISP_TRY(cuda_kernel_create(device, "depthwise", run, sizeof(depth_state), NULL, kernel, err));
    made->parts = cuda_book(&(*kernel)->scratch_bytes,
                            (size_t)(blocks * made->values) * (size_t)made->args.c * sizeof(float));
    *(depth_state *)(*kernel)->state = *made;
    return WISP_OK;
}

/* --- run --- */

/* The pass itself; args has its pointers. Answers how many parts there are. */
static wisp_status start_pass(const cuda_device *device, const depth_state *s, depthwise_args *args,
                              void *scratch, int64_t *parts, wisp_error *err)
{
    const uint64_t bits = cuda_address(args->x) | cuda_address(args->y) | cuda_address(args->dy) |
                          cuda_address(args->dx);
    const depth_plan *p =
        args->c % s->many.channels == 0 && cuda_aligned(bits, 16) ? &s->many : &s->one;
    args->lanes = p->lanes;
    args->band = p->band;
    args->tiles = p->tiles;
    args->groups = p->groups;
    args->bands = p->bands;
    args->parts = s->values ? (float *)(void *)((char *)scratch + s->parts) : NULL;
    *parts = p->blocks;
    const cuda_grid grid = {
        .x = (uint32_t)p->blocks, .y = (uint32_t)p->slabs, .threads = DEPTHWISE_THREADS};
    return cuda_launch(device, p->pass, grid, args, err);
}

static depthwise_finish_args finish_args(const depth_state *s, const depthwise_args *args,
                                         int64_t parts)
{
    return (depthwise_finish_args){.parts = args->parts,
                                   .n_parts = parts,
                                   .pixels = args->pixels,
                                   .c = args->c,
                                   .taps = s->kernel * s->kernel,
                                   .add = s->add};
}

/* --- forward --- */

static wisp_status conv_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const depth_state *s = kernel->state;
    depthwise_args args = s->args;
    int64_t parts;
    args.x = in[0].data;
    args.weights = in[1].data;
    args.bias = s->has_bias ? in[2].data : NULL;
    args.y = out[0].data;
    return start_pass(cuda_kernel_device(kernel), s, &args, scratch, &parts, err);
}

static wisp_status conv_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *w = request->in[1], *y = request->out[0];
    WISP_TRY(judge(request, attrs, x, y, w->shape[2], w->shape[3], 5, err));
    depth_state made = state_of(attrs, x, y, w->shape[2]);
    made.has_bias = request->n_in > 2 && request->in[2];
    WISP_TRY(plan_forward(device, "depthwise", x->dtype, &made, err));
    return create(device, &made, conv_run, kernel, err);
}

static wisp_status norm_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const depth_state *s = kernel->state;
    depthwise_args args = s->args;
    int64_t parts;
    args.x = in[0].data;
    args.scale = in[1].data;
    args.shift = in[2].data;
    args.weights = in[3].data;
    args.y = out[0].data;
    WISP_TRY(start_pass(device, s, &args, scratch, &parts, err));
    if (!s->values)
        return WISP_OK;
    depthwise_finish_args finish = finish_args(s, &args, parts);
    finish.mean = out[1].data;
    finish.var = out[2].data;
    const cuda_grid grid = {.x = (uint32_t)cuda_ceil_div(args.c, 32), .threads = 256};
    return cuda_launch(device, s->finish, grid, &finish, err);
}

static wisp_status norm_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *w = request->in[3], *y = request->out[0];
    WISP_TRY(judge(request, &attrs->conv, x, y, w->shape[2], w->shape[3], 3, err));
    depth_state made = state_of(&attrs->conv, x, y, w->shape[2]);
    made.values = attrs->want_stats ? 3 : 0;
    take_activation(&made, attrs->activation);
    WISP_TRY(cuda_function(device, "depthwise_moments", &made.finish, err));
    WISP_TRY(plan_forward(device, "depthwise_norm", x->dtype, &made, err));
    return create(device, &made, norm_run, kernel, err);
}

/* --- gradients --- */

static wisp_status input_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                             const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const depth_state *s = kernel->state;
    depthwise_args args = s->args;
    int64_t parts;
    args.dy = in[0].data;
    args.weights = in[1].data;
    args.dx = out[0].data;
    return start_pass(cuda_kernel_device(kernel), s, &args, scratch, &parts, err);
}

static wisp_status input_prepare(cuda_device *device, const wisp_kernel_request *request,
                                 wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[0], *w = request->in[1], *dx = request->out[0];
    WISP_TRY(judge(request, attrs, dx, dy, w->shape[2], w->shape[3], 5, err));
    depth_state made = state_of(attrs, dx, dy, w->shape[2]);
    made.side_by_side = DEPTHWISE_GRAD_BLOCKS;
    WISP_TRY(plan_backward(device, "depthwise_input", dx->dtype, &made, err));
    return create(device, &made, input_run, kernel, err);
}

static wisp_status finish_sums(const cuda_device *device, const depth_state *s,
                               const depthwise_finish_args *finish, wisp_error *err)
{
    const cuda_grid grid = {.x = (uint32_t)cuda_ceil_div(finish->c, 32),
                            .y = (uint32_t)(finish->dscale ? s->values : finish->taps),
                            .threads = 128};
    return cuda_launch(device, s->finish, grid, finish, err);
}

static wisp_status weight_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                              const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const depth_state *s = kernel->state;
    depthwise_args args = s->args;
    int64_t parts;
    args.x = in[0].data;
    args.dy = in[1].data;
    WISP_TRY(start_pass(device, s, &args, scratch, &parts, err));
    depthwise_finish_args finish = finish_args(s, &args, parts);
    finish.dw = out[0].data;
    return finish_sums(device, s, &finish, err);
}

static wisp_status weight_prepare(cuda_device *device, const wisp_kernel_request *request,
                                  wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv2d_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[0], *dy = request->in[1];
    WISP_TRY(judge(request, attrs, x, dy, attrs->kernel_h, attrs->kernel_w, 5, err));
    if (attrs->want_bias)
        return wisp_refuse(request, err, "depthwise kernels make no dbias");
    depth_state made = state_of(attrs, x, dy, attrs->kernel_h);
    made.values = made.kernel * made.kernel + 2;
    made.add = request->n_in > 2 && request->in[2];
    WISP_TRY(cuda_function(device, "depthwise_sums", &made.finish, err));
    made.side_by_side = DEPTHWISE_GRAD_BLOCKS;
    WISP_TRY(plan_backward(device, "depthwise_weight", x->dtype, &made, err));
    return create(device, &made, weight_run, kernel, err);
}

enum { DY, Y, MEAN, DMEAN, DVAR, X, SCALE, SHIFT, W };

static wisp_status norm_grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                                 const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const depth_state *s = kernel->state;
    depthwise_args args = s->args;
    int64_t parts;
    args.dy = in[DY].data;
    args.y = in[Y].data;
    args.mean = in[MEAN].data;
    args.dmean = in[DMEAN].data;
    args.dvar = in[DVAR].data;
    args.x = in[X].data;
    args.scale = in[SCALE].data;
    args.shift = in[SHIFT].data;
    args.weights = in[W].data;
    args.dx = out[0].data;
    WISP_TRY(start_pass(device, s, &args, scratch, &parts, err));
    depthwise_finish_args finish = finish_args(s, &args, parts);
    finish.dscale = out[1].data;
    finish.dshift = out[2].data;
    finish.dw = out[3].data;
    return finish_sums(device, s, &finish, err);
}

static wisp_status norm_grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                     wisp_kernel **kernel, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[X], *w = request->in[W], *dy = request->in[DY];
    WISP_TRY(judge(request, &attrs->conv, x, dy, w->shape[2], w->shape[3], 3, err));
    depth_state made = state_of(&attrs->conv, x, dy, w->shape[2]);
    made.values = made.kernel * made.kernel + 2;
    take_activation(&made, attrs->activation);
    WISP_TRY(cuda_function(device, "depthwise_sums", &made.finish, err));
    WISP_TRY(plan_backward(device, "depthwise_norm_grad", x->dtype, &made, err));
    return create(device, &made, norm_grad_run, kernel, err);
}

const cuda_kernel_entry cuda_depthwise_kernels[] = {
    {"conv2d", conv_prepare},
    {"conv2d_grad_input", input_prepare},
    {"conv2d_grad_weight", weight_prepare},
    {"conv_norm", norm_prepare},
    {"conv_norm_grad", norm_grad_prepare},
    {NULL, NULL},
};
