/* cuda_conv_norm.c - a convolution that normalises its input and measures its result, made of
 * kernels for its parts: whatever there is for the convolution and the statistics, and own passes
 * between them.
 *
 * Windows of one pixel are fully connected layers over the channels. What their gradient brings to
 * the activation stays in f32, since it is summed over all pixels; results in f32 are nothing that
 * cuDNN has for convolutions in bf16. */
#include "cuda_cuts.h"
#include "cuda_table.h"
#include "cuda_wide.h"
#include "kernels/conv_norm.h"

enum { MOST_PARTS = 2 };

typedef struct link_state {
    wisp_kernel *parts[MOST_PARTS]; /* convolution, statistics; or gradients of weight and input */
    CUfunction read, reach, back, finish;
    column_plan x_plan, y_plan;
    int32_t activation, has_scale, has_stats, is_wide; /* wide: `back` reads f32 */
    float per_row;
    size_t at_read, at_reach, at_back, at_sums, at_part;
} link_state;

static void destroy(cuda_device *device, void *state)
{
    link_state *s = state;
    (void)device;
    for (int32_t i = 0; i < MOST_PARTS; i++)
        if (s->parts[i])
            s->parts[i]->release(s->parts[i]);
}

static int is_there(const wisp_desc *desc)
{
    return desc && desc->dtype;
}

static column_plan plan_of(const cuda_device *device, const wisp_desc *map)
{
    const int64_t columns = map->shape[3];
    const column_cut shape = {
        .outer = 1, .rows = wisp_desc_count(map) / columns, .columns = columns};
    return cuda_column_plan(device, &shape, cuda_per_access(map->dtype), 8, 4);
}

/* A window of one pixel at every pixel. */
static int is_point(const wisp_conv2d_attrs *conv, const wisp_desc *w)
{
    return w->shape[2] == 1 && w->shape[3] == 1 && conv->groups == 1 && conv->stride_h == 1 &&
           conv->stride_w == 1 && conv->pad_h == 0 && conv->pad_w == 0;
}

static const wisp_linear_attrs plain_linear;

/* A kernel for a part; keeps room for the largest scratch of all. */
static wisp_status add_part(cuda_device *device, const wisp_kernel_request *whole,
                            wisp_kernel_request part, wisp_kernel **made, size_t *most,
                            wisp_error *err)
{
    wisp_error reason = {0};
    part.struct_size = sizeof part;
    part.deterministic = whole->deterministic;
    const wisp_status status = cuda_prepare(device, &part, made, &reason);
    if (status == WISP_E_UNSUPPORTED)
        return wisp_refuse(whole, err, "%s", reason.message);
    if (status != WISP_OK)
        return wisp_fail(err, status, "%s", reason.message);
    *most = (*made)->scratch_bytes > *most ? (*made)->scratch_bytes : *most;
    return WISP_OK;
}

static wisp_status run_part(const wisp_kernel *part, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, const link_state *s,
                            wisp_error *err)
{
    return part->run(part, in, out, cuda_part(scratch, s->at_part), err);
}

/* x as the convolution reads it: into scratch where it is normalised. */
static wisp_status read_input(const cuda_device *device, const link_state *s,
                              const wisp_kernel_arg *x, void *scratch, wisp_kernel_arg *read,
                              wisp_error *err)
{
    *read = x[0];
    if (!s->has_scale)
        return WISP_OK;
    conv_norm_args args = {.x = x[0].data,
                           .scale = x[1].data,
                           .shift = x[2].data,
                           .out = cuda_part(scratch, s->at_read),
                           .activation = s->activation};
    args.cut = *cuda_column_pick(&s->x_plan, cuda_address(args.x) | cuda_address(args.scale) |
                                                 cuda_address(args.shift));
    *read = (wisp_kernel_arg){.data = args.out};
    return cuda_launch(device, s->read, cuda_column_grid(&args.cut), &args, err);
}

/* --- conv_norm: x, scale, shift, w -> y, mean, var --- */

static wisp_status forward_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                               const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const link_state *s = kernel->state;
    wisp_kernel_arg conv_in[2] = {{0}, in[3]};
    WISP_TRY(read_input(cuda_kernel_device(kernel), s, in, scratch, &conv_in[0], err));
    WISP_TRY(run_part(s->parts[0], conv_in, out, scratch, s, err));
    return s->has_stats ? run_part(s->parts[1], out, out + 1, scratch, s, err) : WISP_OK;
}

/* What both have: the input's side. */
static wisp_status fill_input(cuda_device *device, const wisp_conv_norm_attrs *attrs,
                              const wisp_desc *const *x, link_state *s, size_t *total,
                              wisp_error *err)
{
    s->activation = attrs->activation;
    s->has_scale = is_there(x[1]);
    s->x_plan = plan_of(device, x[0]);
    if (!s->has_scale)
        return WISP_OK;
    s->at_read = cuda_book(total, (size_t)wisp_desc_bytes(x[0]));
    return cuda_function_for(device, "conv_norm_read", x[0]->dtype, &s->read, err);
}

static wisp_status forward_fill(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel *made, wisp_error *err)
{
    link_state *s = made->state;
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *w = request->in[3], matrix = wisp_desc2(w->dtype, w->shape[0], w->shape[1]);
    const wisp_desc *in[] = {request->in[0], w};
    wisp_kernel_request conv = {.op = "conv2d",
                                .attrs = &attrs->conv,
                                .attrs_bytes = sizeof attrs->conv,
                                .n_in = 2,
                                .n_out = 1,
                                .in = in,
                                .out = request->out};
    size_t total = 0, most = 0;
    WISP_TRY(fill_input(device, attrs, request->in, s, &total, err));
    if (is_point(&attrs->conv, w)) {
        conv.op = "linear";
        conv.attrs = &plain_linear;
        conv.attrs_bytes = sizeof plain_linear;
        in[1] = &matrix;
    }
    WISP_TRY(add_part(device, request, conv, &s->parts[0], &most, err));
    s->has_stats = attrs->want_stats;
    const wisp_kernel_request stats = {
        .op = "channel_stats", .n_in = 1, .n_out = 2, .in = request->out, .out = request->out + 1};
    if (s->has_stats)
        WISP_TRY(add_part(device, request, stats, &s->parts[1], &most, err));
    s->at_part = cuda_book(&total, most);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

/* --- conv_norm_grad --- */

enum { DY, Y, MEAN, DMEAN, DVAR, X, SCALE, SHIFT, W };
enum { DX, DSCALE, DSHIFT, DW };
enum { OF_WEIGHT, OF_INPUT };

/* What reaches y: into scratch where its statistics had a part in the result. */
static wisp_status reach_result(const cuda_device *device, const link_state *s,
                                const wisp_kernel_arg *in, void *scratch, wisp_kernel_arg *reached,
                                wisp_error *err)
{
    *reached = in[DY];
    if (!s->has_stats)
        return WISP_OK;
    conv_norm_args args = {.dy = in[DY].data,
                           .y = in[Y].data,
                           .mean = in[MEAN].data,
                           .dmean = in[DMEAN].data,
                           .dvar = in[DVAR].data,
                           .out = cuda_part(scratch, s->at_reach),
                           .per_row = s->per_row};
    args.cut = *cuda_column_pick(
        &s->y_plan, cuda_address(args.dy) | cuda_address(args.y) | cuda_address(args.mean) |
                        cuda_address(args.dmean) | cuda_address(args.dvar));
    *reached = (wisp_kernel_arg){.data = args.out};
    return cuda_launch(device, s->reach, cuda_column_grid(&args.cut), &args, err);
}

/* From what arrives behind the activation to dx, which may hold it. */
static wisp_status go_back(const cuda_device *device, const link_state *s,
                           const wisp_kernel_arg *in, const void *arrived,
                           const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    conv_norm_args args = {.x = in[X].data,
                           .scale = in[SCALE].data,
                           .shift = in[SHIFT].data,
                           .dy = arrived,
                           .out = out[DX].data,
                           .first = out[DSCALE].data,
                           .second = out[DSHIFT].data,
                           .activation = s->activation};
    args.cut = *cuda_column_pick(&s->x_plan, cuda_address(args.x) | cuda_address(args.scale) |
                                                 cuda_address(args.shift) | cuda_address(args.out));
    args.partial[0] = cuda_part(scratch, s->at_sums);
    args.partial[1] = args.partial[0] + args.cut.n_chunks * args.cut.columns;
    WISP_TRY(cuda_launch(device, s->back, cuda_column_grid(&args.cut), &args, err));
    return cuda_launch(device, s->finish, cuda_finish_grid(&args.cut), &args, err);
}

static wisp_status grad_run(const wisp_kernel *kernel, const wisp_kernel_arg *in,
                            const wisp_kernel_arg *out, void *scratch, wisp_error *err)
{
    const cuda_device *device = cuda_kernel_device(kernel);
    const link_state *s = kernel->state;
    wisp_kernel_arg reached;
    WISP_TRY(reach_result(device, s, in, scratch, &reached, err));
    if (s->parts[OF_WEIGHT]) {
        wisp_kernel_arg arguments[2] = {{0}, reached};
        const wisp_kernel_arg results[2] = {out[DW], {0}};
        WISP_TRY(read_input(device, s, in + X, scratch, &arguments[0], err));
        WISP_TRY(run_part(s->parts[OF_WEIGHT], arguments, results, scratch, s, err));
    }
    if (!s->parts[OF_INPUT])
        return WISP_OK;
    const wisp_kernel_arg arguments[2] = {reached, in[W]};
    wisp_kernel_arg arrived = out[DX];
    if (s->is_wide)
        arrived = (wisp_kernel_arg){.data = cuda_part(scratch, s->at_back)};
    WISP_TRY(run_part(s->parts[OF_INPUT], arguments, &arrived, scratch, s, err));
    return s->has_scale ? go_back(device, s, in, arrived.data, out, scratch, err) : WISP_OK;
}

/* dw = conv2d_grad_weight(x, dy), dx = conv2d_grad_input(dy, w). */
static wisp_status add_gradients(cuda_device *device, const wisp_kernel_request *request,
                                 link_state *s, size_t *most, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[X], *w = request->in[W], *dy = request->in[DY];
    const wisp_desc *of_weight[] = {x, dy}, *of_input[] = {dy, w};
    const wisp_desc *dw[] = {request->out[DW], NULL}, *dx[] = {request->out[DX]};
    wisp_conv2d_attrs conv = attrs->conv;
    wisp_kernel_request part = {.op = "conv2d_grad_weight",
                                .attrs = &conv,
                                .attrs_bytes = sizeof conv,
                                .n_in = 2,
                                .n_out = 2,
                                .in = of_weight,
                                .out = dw};
    conv.kernel_h = (int32_t)w->shape[2];
    conv.kernel_w = (int32_t)w->shape[3];
    if (attrs->want_grads & WISP_CONV_NORM_WEIGHT)
        WISP_TRY(add_part(device, request, part, &s->parts[OF_WEIGHT], most, err));
    if (!(attrs->want_grads & WISP_CONV_NORM_INPUT))
        return WISP_OK;
    conv = attrs->conv;
    conv.in_h = (int32_t)x->shape[1];
    conv.in_w = (int32_t)x->shape[2];
    part.op = "conv2d_grad_input";
    part.n_out = 1;
    part.in = of_input;
    part.out = dx;
    return add_part(device, request, part, &s->parts[OF_INPUT], most, err);
}

/* The same for windows of one pixel. */
static wisp_status add_products(cuda_device *device, const wisp_kernel_request *request,
                                link_state *s, size_t *most, wisp_error *err)
{
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *x = request->in[X], *w = request->in[W], *dy = request->in[DY];
    const wisp_desc matrix = wisp_desc2(w->dtype, w->shape[0], w->shape[1]);
    wisp_desc wide = *x;
    const wisp_desc *of_weight[] = {x, dy}, *of_input[] = {dy, &matrix};
    const wisp_desc *dw[] = {&matrix, NULL}, *dx[] = {&wide};
    wisp_kernel_request part = {.op = "linear_grad_weight",
                                .attrs = &plain_linear,
                                .attrs_bytes = sizeof plain_linear,
                                .n_in = 2,
                                .n_out = 2,
                                .in = of_weight,
                                .out = dw};
    if (attrs->want_grads & WISP_CONV_NORM_WEIGHT)
        WISP_TRY(add_part(device, request, part, &s->parts[OF_WEIGHT], most, err));
    if (!(attrs->want_grads & WISP_CONV_NORM_INPUT))
        return WISP_OK;
    s->is_wide = s->has_scale;
    wide.dtype = s->is_wide ? WISP_F32 : x->dtype;
    part.op = "linear_grad_input";
    part.n_out = 1;
    part.in = of_input;
    part.out = dx;
    return add_part(device, request, part, &s->parts[OF_INPUT], most, err);
}

static wisp_status grad_fill(cuda_device *device, const wisp_kernel_request *request,
                             wisp_kernel *made, wisp_error *err)
{
    link_state *s = made->state;
    const wisp_conv_norm_attrs *attrs = request->attrs;
    const wisp_desc *dy = request->in[DY], *x = request->in[X];
    const int point = is_point(&attrs->conv, request->in[W]);
    size_t total = 0, most = 0;
    WISP_TRY(fill_input(device, attrs, &request->in[X], s, &total, err));
    s->y_plan = plan_of(device, dy);
    s->has_stats = is_there(request->in[Y]);
    s->per_row = (float)(1.0 / (double)(wisp_desc_count(dy) / dy->shape[3]));
    WISP_TRY(cuda_function_for(device, "conv_norm_reach", dy->dtype, &s->reach, err));
    WISP_TRY((point ? add_products : add_gradients)(device, request, s, &most, err));
    WISP_TRY(cuda_function_for(device, s->is_wide ? "conv_norm_back_wide" : "conv_norm_back",
                               dy->dtype, &s->back, err));
    WISP_TRY(cuda_function(device, "conv_norm_back_finish", &s->finish, err));
    if (s->is_wide)
        s->at_back = cuda_book(&total, (size_t)wisp_desc_count(x) * sizeof(float));
    if (s->has_stats)
        s->at_reach = cuda_book(&total, (size_t)wisp_desc_bytes(dy));
    s->at_sums = cuda_book(&total, cuda_partial_bytes(&s->x_plan, 2));
    s->at_part = cuda_book(&total, most);
    made->scratch_bytes = cuda_booked(total);
    return WISP_OK;
}

/* --- --- */

static wisp_status make(cuda_device *device, const wisp_kernel_request *request, cuda_run run,
                        wisp_status (*fill)(cuda_device *, const wisp_kernel_request *,
                                            wisp_kernel *, wisp_error *),
                        wisp_kernel **kernel, wisp_error *err)
{
    wisp_kernel *made;
    WISP_TRY(cuda_kernel_create(device, "of_parts", run, sizeof(link_state), destroy, &made, err));
    return cuda_kernel_finish(made, fill(device, request, made, err), kernel);
}

static wisp_status forward_prepare(cuda_device *device, const wisp_kernel_request *request,
                                   wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, forward_run, forward_fill, kernel, err);
}

static wisp_status grad_prepare(cuda_device *device, const wisp_kernel_request *request,
                                wisp_kernel **kernel, wisp_error *err)
{
    return make(device, request, grad_run, grad_fill, kernel, err);
}

const cuda_kernel_entry cuda_conv_norm_kernels[] = {
    {"conv_norm", forward_prepare},
    {"conv_norm_grad", grad_prepare},
    {NULL, NULL},
};
