/* conv2d.c - convolution of maps, with stride, padding, dilation and groups.
 *
 *   y[n,i,j,o] = bias[o] + sum over ky,kx,c of x[n, i*stride - pad + ky*dilation, ..., g*C/G + c]
 *                                              * w[o,c,ky,kx],  g the group of output channel o
 *
 * It is linear in x and in w, so all three kernels are sums over the same products: the forward one
 * adds x*w to y, the gradients add dy*w to dx and x*dy to dw. */
#include "ops/conv_products.h"
#include "ops/rule.h"
#include "ops/sample.h"

/* Sizes of one convolution: x (N,H,W,C), w (O,C/groups,kh,kw), y (N,Ho,Wo,O). */
typedef struct conv_sizes {
    int64_t n, h, w, c;
    int64_t ho, wo, o;
    int64_t kh, kw;
} conv_sizes;

static wisp_status check_attrs(const wispi_rule *rule, const wisp_conv2d_attrs *a)
{
    if (a->stride_h < 1 || a->stride_w < 1 || a->dilation_h < 1 || a->dilation_w < 1)
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "stride %dx%d and dilation %dx%d must be 1 or more", a->stride_h,
                               a->stride_w, a->dilation_h, a->dilation_w);
    if (a->pad_h < 0 || a->pad_w < 0)
        return wispi_rule_fail(rule, WISP_E_INVALID, "padding %dx%d must not be negative", a->pad_h,
                               a->pad_w);
    if (a->groups < 1)
        return wispi_rule_fail(rule, WISP_E_INVALID, "groups is %d, must be 1 or more", a->groups);
    return WISP_OK;
}

/* Steps of the window along one axis; 0 when it does not fit once. */
static int64_t positions(int64_t size, int64_t pad, int64_t kernel, int64_t dilation,
                         int64_t stride)
{
    const int64_t room = size + 2 * pad - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

/* Fills in ho, wo from the other sizes; checks what all three operations need. */
static wisp_status check_sizes(const wispi_rule *rule, const wisp_conv2d_attrs *a, conv_sizes *s)
{
    if (s->h < 1 || s->w < 1 || s->c < 1 || s->o < 1 || s->kh < 1 || s->kw < 1)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "only the batch may be empty");
    if (s->h > INT32_MAX || s->w > INT32_MAX || s->kh > INT32_MAX || s->kw > INT32_MAX)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "a map or kernel side is too long");
    if (s->c % a->groups || s->o % a->groups)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "%lld input and %lld output channels do not divide into %d groups",
                               (long long)s->c, (long long)s->o, a->groups);
    s->ho = positions(s->h, a->pad_h, s->kh, a->dilation_h, a->stride_h);
    s->wo = positions(s->w, a->pad_w, s->kw, a->dilation_w, a->stride_w);
    if (s->ho < 1 || s->wo < 1)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "kernel %lldx%lld, dilation %dx%d, is larger than the map %lldx%lld "
                               "with padding %dx%d",
                               (long long)s->kh, (long long)s->kw, a->dilation_h, a->dilation_w,
                               (long long)s->h, (long long)s->w, a->pad_h, a->pad_w);
    return WISP_OK;
}

static const char *const conv_in[] = {"x", "w", "bias"};
static const char *const conv_out[] = {"y"};

static wisp_status conv2d_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wisp_conv2d_attrs *a = attrs;
    const wispi_rule rule = {"conv2d", conv_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_rank(&rule, 1, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_F32));
    WISP_TRY(check_attrs(&rule, a));
    const int64_t *x = in[0]->shape, *w = in[1]->shape;
    conv_sizes s = {x[0], x[1], x[2], x[3], 0, 0, w[0], w[2], w[3]};
    WISP_TRY(check_sizes(&rule, a, &s));
    if (w[1] != s.c / a->groups)
        return wispi_rule_fail(&rule, WISP_E_SHAPE,
                               "w has %lld channels a group, x has %lld channels in %d groups",
                               (long long)w[1], (long long)s.c, a->groups);
    const wisp_desc bias = wisp_desc1(WISP_F32, s.o);
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, &bias));
    const wisp_desc y = wisp_desc4(in[0]->dtype, s.n, s.ho, s.wo, s.o);
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static const char *const grad_input_in[] = {"dy", "w"};
static const char *const grad_input_out[] = {"dx"};

static wisp_status grad_input_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                    wisp_desc *out, wisp_error *err)
{
    const wisp_conv2d_attrs *a = attrs;
    const wispi_rule rule = {"conv2d_grad_input", grad_input_in, in, n_in, err};
    int64_t c;
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_rank(&rule, 1, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_F32));
    WISP_TRY(check_attrs(&rule, a));
    const int64_t *w = in[1]->shape;
    if (!wispi_size_product(w[1], a->groups, &c))
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "too many channels");
    conv_sizes s = {in[0]->shape[0], a->in_h, a->in_w, c, 0, 0, w[0], w[2], w[3]};
    WISP_TRY(check_sizes(&rule, a, &s));
    const wisp_desc dy = wisp_desc4(WISP_F32, s.n, s.ho, s.wo, s.o);
    WISP_TRY(wispi_rule_shape(&rule, 0, &dy));
    const wisp_desc dx = wisp_desc4(in[0]->dtype, s.n, s.h, s.w, s.c);
    WISP_TRY(wispi_rule_countable(&rule, &dx));
    out[0] = dx;
    return WISP_OK;
}

static const char *const grad_weight_in[] = {"x", "dy", "sum"};
static const char *const grad_weight_out[] = {"dw", "dbias"};

static wisp_status grad_weight_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                     wisp_desc *out, wisp_error *err)
{
    const wisp_conv2d_attrs *a = attrs;
    const wispi_rule rule = {"conv2d_grad_weight", grad_weight_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_rank(&rule, 1, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_same_dtype(&rule, 1, 0));
    WISP_TRY(check_attrs(&rule, a));
    const int64_t *x = in[0]->shape, *dy = in[1]->shape;
    conv_sizes s = {x[0], x[1], x[2], x[3], 0, 0, dy[3], a->kernel_h, a->kernel_w};
    WISP_TRY(check_sizes(&rule, a, &s));
    const wisp_desc want = wisp_desc4(WISP_F32, s.n, s.ho, s.wo, s.o);
    WISP_TRY(wispi_rule_shape(&rule, 1, &want));
    const wisp_desc dw = wisp_desc4(WISP_F32, s.o, s.c / a->groups, s.kh, s.kw);
    WISP_TRY(wispi_rule_countable(&rule, &dw));
    WISP_TRY(wispi_rule_optional_f32(&rule, 2, &dw));
    out[0] = dw;
    out[1] = a->want_bias ? wisp_desc1(WISP_F32, s.o) : (wisp_desc){0, 0, {0}};
    return WISP_OK;
}

static void add_to_y(const wispi_products *p, int64_t y, int64_t x, int64_t w)
{
    p->y[y] += p->x[x] * p->w[w];
}

static void add_to_x(const wispi_products *p, int64_t y, int64_t x, int64_t w)
{
    p->x[x] += p->y[y] * p->w[w];
}

static void add_to_w(const wispi_products *p, int64_t y, int64_t x, int64_t w)
{
    p->w[w] += p->y[y] * p->x[x];
}

static void all_terms(const wisp_conv2d_attrs *a, const wispi_ref *x, const wispi_ref *w,
                      const wispi_ref *y, wispi_product *term)
{
    const wispi_products p = {x->desc, w->desc, y->desc, x->v, w->v, y->v, NULL};
    wispi_each_product(a, &p, term);
}

static void conv2d_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const double *bias = wispi_values(in, n_in, 2);
    const int64_t o_count = out->desc->shape[3];
    for (int64_t i = 0; bias && i < out->count; i++)
        out->v[i] = bias[i % o_count];
    all_terms(attrs, &in[0], &in[1], &out[0], add_to_y);
}

static void grad_input_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                 wispi_ref *out)
{
    (void)n_in;
    all_terms(attrs, &out[0], &in[1], &in[0], add_to_x);
}

/* dw is inout where there is a sum, so it holds the sum already. */
static void grad_weight_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                  wispi_ref *out)
{
    (void)n_in;
    const wispi_ref *dy = &in[1];
    const int64_t o_count = dy->desc->shape[3];
    all_terms(attrs, &in[0], &out[0], dy, add_to_w);
    for (int64_t i = 0; out[1].v && i < dy->count; i++)
        out[1].v[i % o_count] += dy->v[i];
}

/* Multiply-adds: every element of y is a sum over one group's window. Padding is counted, as is
 * usual. */
static double conv2d_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    const int64_t *w = in[1]->shape;
    return (double)wisp_desc_count(&out[0]) * (double)w[1] * (double)w[2] * (double)w[3];
}

static double grad_input_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    (void)out;
    const int64_t *w = in[1]->shape;
    return (double)wisp_desc_count(in[0]) * (double)w[1] * (double)w[2] * (double)w[3];
}

static double grad_weight_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    const int64_t *w = out[0].shape;
    return (double)wisp_desc_count(in[1]) * (double)w[1] * (double)w[2] * (double)w[3];
}

/* --- cases --- */

#define CONV(...)                                                                                  \
    &(const wisp_conv2d_attrs)                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define PLAIN .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 1
#define DEPTHWISE(stride, pad, channels)                                                           \
    .stride_h = stride, .stride_w = stride, .pad_h = pad, .pad_w = pad, .dilation_h = 1,           \
    .dilation_w = 1, .groups = channels

static const wispi_op_case conv_cases[] = {
    {.name = "odd",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 5, 3), WISPI_F32_OF(5, 3, 3, 3), WISPI_F32_OF(5)},
     WISPI_UNIT_VALUES},
    {.name = "pointwise",
     .attrs = CONV(PLAIN),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 5, 3, 17), WISPI_F32_OF(19, 17, 1, 1)},
     WISPI_UNIT_VALUES},
    {.name = "stem",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3, .dilation_h = 1,
                   .dilation_w = 1, .groups = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 17, 15, 3), WISPI_F32_OF(4, 3, 7, 7)},
     WISPI_UNIT_VALUES},
    {.name = "unequal_sides",
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .pad_h = 0, .pad_w = 2, .dilation_h = 1,
                   .dilation_w = 2, .groups = 1),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 9, 8, 2), WISPI_F32_OF(3, 2, 2, 3), WISPI_F32_OF(3)},
     WISPI_UNIT_VALUES},
    {.name = "grouped",
     .attrs = CONV(.stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 3),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 6, 6), WISPI_F32_OF(9, 2, 3, 3), WISPI_F32_OF(9)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 13),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 6, 13), WISPI_F32_OF(13, 1, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five",
     .attrs = CONV(DEPTHWISE(1, 2, 6)),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 9, 7, 6), WISPI_F32_OF(6, 1, 5, 5), WISPI_F32_OF(6)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five_stride",
     .attrs = CONV(DEPTHWISE(2, 2, 7)),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 9, 8, 7), WISPI_F32_OF(7, 1, 5, 5)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_unpadded",
     .attrs = CONV(DEPTHWISE(1, 0, 8)),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 6, 9, 8), WISPI_F32_OF(8, 1, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_many",
     .attrs = CONV(DEPTHWISE(1, 1, 96)),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(67, 7, 9, 96), WISPI_F32_OF(96, 1, 3, 3), WISPI_F32_OF(96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five_many",
     .attrs = CONV(DEPTHWISE(1, 2, 36)),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 21, 18, 36), WISPI_F32_OF(36, 1, 5, 5)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "one_pixel",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 1, 1, 1), WISPI_F32_OF(1, 1, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(65, 3, 2, 66), WISPI_F32_OF(70, 66, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(64, 4, 5, 64), WISPI_F32_OF(80, 64, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 64), WISPI_F32_OF(192, 64, 3, 3), WISPI_F32_OF(192)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_more",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 7, 6, 96), WISPI_F32_OF(160, 96, 3, 3), WISPI_F32_OF(160)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2, .dilation_h = 1,
                   .dilation_w = 2, .groups = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 5, 4, 96), WISPI_F32_OF(224, 96, 2, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_pointwise",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .groups = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 5, 3, 320), WISPI_F32_OF(352, 320, 1, 1)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "wide_rows",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 19, 37, 80), WISPI_F32_OF(20, 80, 3, 3), WISPI_F32_OF(20)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "unequal_strides",
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .pad_h = 2, .pad_w = 1, .dilation_h = 2,
                   .dilation_w = 1, .groups = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 14, 17, 40), WISPI_F32_OF(72, 40, 3, 5)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "window_over_all",
     .attrs = CONV(PLAIN, .pad_h = 3, .pad_w = 3),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(33, 2, 1, 16), WISPI_F32_OF(33, 16, 7, 7)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 7, 6, 40), WISPI_F32_OF(45, 40, 3, 3)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
    {.name = "few_pixels_tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 64), WISPI_F32_OF(192, 64, 3, 3)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
    {.name = "empty_batch",
     .attrs = CONV(PLAIN),
     .n_in = 3,
     .n_out = 1,
     .in = {WISPI_F32_OF(0, 4, 4, 3), WISPI_F32_OF(2, 3, 3, 3), WISPI_F32_OF(2)},
     WISPI_UNIT_VALUES},
};

static const wispi_op_case grad_input_cases[] = {
    {.name = "odd",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 7, .in_w = 5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 5, 5), WISPI_F32_OF(5, 3, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "rest_of_stride", /* the last row and column of x are never read */
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .dilation_h = 1, .dilation_w = 2, .groups = 1,
                   .in_h = 10, .in_w = 12),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 4, 3, 3), WISPI_F32_OF(3, 2, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "grouped",
     .attrs = CONV(.stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 3, .in_h = 5, .in_w = 6),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 6, 9), WISPI_F32_OF(9, 2, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 3, .in_w = 2),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(65, 3, 2, 70), WISPI_F32_OF(70, 66, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 1, .in_h = 4, .in_w = 5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(64, 2, 3, 80), WISPI_F32_OF(80, 64, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 3, .in_w = 5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 192), WISPI_F32_OF(192, 64, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_more",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 7, .in_w = 6),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 7, 6, 160), WISPI_F32_OF(160, 96, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2, .dilation_h = 1,
                   .dilation_w = 2, .groups = 1, .in_h = 5, .in_w = 4),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 3, 4, 224), WISPI_F32_OF(224, 96, 2, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_pointwise", /* pixels between those that are read get 0 */
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .dilation_h = 1, .dilation_w = 1, .groups = 1,
                   .in_h = 5, .in_w = 3),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 3, 2, 352), WISPI_F32_OF(352, 320, 1, 1)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "wide_rows",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 19, .in_w = 37),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 19, 37, 80), WISPI_F32_OF(80, 20, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "unequal_strides",
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .pad_h = 2, .pad_w = 1, .dilation_h = 2,
                   .dilation_w = 1, .groups = 1, .in_h = 14, .in_w = 17),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(5, 7, 5, 72), WISPI_F32_OF(72, 40, 3, 5)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "between_strides", /* no tap reaches some pixels of x */
     .attrs = CONV(.stride_h = 3, .stride_w = 3, .pad_h = 1, .dilation_h = 1, .dilation_w = 1,
                   .groups = 1, .in_h = 17, .in_w = 18),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 6, 6, 40), WISPI_F32_OF(40, 24, 2, 2)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "depthwise",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 13, .in_h = 7, .in_w = 6),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 4, 3, 13), WISPI_F32_OF(13, 1, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five",
     .attrs = CONV(DEPTHWISE(1, 2, 6), .in_h = 9, .in_w = 7),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 9, 7, 6), WISPI_F32_OF(6, 1, 5, 5)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five_stride",
     .attrs = CONV(DEPTHWISE(2, 2, 7), .in_h = 9, .in_w = 8),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 4, 7), WISPI_F32_OF(7, 1, 5, 5)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_rest",
     .attrs = CONV(DEPTHWISE(2, 0, 8), .in_h = 8, .in_w = 6),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 2, 8), WISPI_F32_OF(8, 1, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_many",
     .attrs = CONV(DEPTHWISE(1, 1, 96), .in_h = 7, .in_w = 9),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(67, 7, 9, 96), WISPI_F32_OF(96, 1, 3, 3)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 7, .in_w = 6),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 7, 6, 45), WISPI_F32_OF(45, 40, 3, 3)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
    {.name = "few_pixels_tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .in_h = 3, .in_w = 5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 192), WISPI_F32_OF(192, 64, 3, 3)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
};

static const wispi_op_case grad_weight_cases[] = {
    {.name = "tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 7, 6, 40), WISPI_F32_OF(3, 7, 6, 45)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
    {.name = "few_pixels_tiny_values",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 5, 64), WISPI_F32_OF(2, 3, 5, 192)},
     .skip_grad = 1,
     WISPI_TINY_VALUES(2)},
    {.name = "odd",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 7, 5, 3), WISPI_F32_OF(2, 7, 5, 5)},
     WISPI_UNIT_VALUES},
    {.name = "rest_of_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .dilation_h = 1, .dilation_w = 2, .groups = 1,
                   .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 10, 12, 2), WISPI_F32_OF(2, 4, 3, 3)},
     WISPI_UNIT_VALUES},
    {.name = "grouped",
     .attrs = CONV(.stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 3, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 6, 6), WISPI_F32_OF(2, 5, 6, 9)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 13, .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 7, 6, 13), WISPI_F32_OF(2, 4, 3, 13)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five",
     .attrs = CONV(DEPTHWISE(1, 2, 6), .kernel_h = 5, .kernel_w = 5),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 9, 7, 6), WISPI_F32_OF(2, 9, 7, 6)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_five_stride",
     .attrs = CONV(DEPTHWISE(2, 2, 7), .kernel_h = 5, .kernel_w = 5),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 9, 8, 7), WISPI_F32_OF(2, 5, 4, 7)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_rest",
     .attrs = CONV(DEPTHWISE(2, 0, 8), .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 8, 6, 8), WISPI_F32_OF(2, 3, 2, 8)},
     WISPI_UNIT_VALUES},
    {.name = "depthwise_many",
     .attrs = CONV(DEPTHWISE(1, 1, 96), .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(67, 7, 9, 96), WISPI_F32_OF(67, 7, 9, 96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "depthwise_sum",
     .attrs = CONV(DEPTHWISE(1, 1, 12), .kernel_h = 3, .kernel_w = 3),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 5, 6, 12), WISPI_F32_OF(3, 5, 6, 12), WISPI_F32_OF(12, 1, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(65, 3, 2, 66), WISPI_F32_OF(65, 3, 2, 70)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 1, .kernel_h = 3, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(64, 4, 5, 64), WISPI_F32_OF(64, 2, 3, 80)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 5, 64), WISPI_F32_OF(2, 3, 5, 192)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_stride",
     .attrs = CONV(.stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2, .dilation_h = 1,
                   .dilation_w = 2, .groups = 1, .kernel_h = 2, .kernel_w = 3),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 5, 4, 96), WISPI_F32_OF(3, 3, 4, 224)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "wide_rows",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 19, 37, 80), WISPI_F32_OF(3, 19, 37, 20)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "wide_rows_sum",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 19, 37, 80), WISPI_F32_OF(3, 19, 37, 20), WISPI_F32_OF(20, 80, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "unequal_strides",
     .attrs = CONV(.stride_h = 2, .stride_w = 3, .pad_h = 2, .pad_w = 1, .dilation_h = 2,
                   .dilation_w = 1, .groups = 1, .kernel_h = 3, .kernel_w = 5),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(5, 14, 17, 40), WISPI_F32_OF(5, 7, 5, 72)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "window_over_all",
     .attrs = CONV(PLAIN, .pad_h = 3, .pad_w = 3, .kernel_h = 7, .kernel_w = 7),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(33, 2, 1, 16), WISPI_F32_OF(33, 2, 1, 33)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_more_sum",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 7, 6, 96), WISPI_F32_OF(3, 7, 6, 160), WISPI_F32_OF(160, 96, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "few_pixels_sum",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 3, 5, 64), WISPI_F32_OF(2, 3, 5, 192), WISPI_F32_OF(192, 64, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "odd_sum",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 7, 5, 3), WISPI_F32_OF(2, 7, 5, 5), WISPI_F32_OF(5, 3, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     WISPI_UNIT_VALUES},
    {.name = "grouped_sum",
     .attrs = CONV(.stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                   .dilation_w = 1, .groups = 3, .kernel_h = 3, .kernel_w = 3),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 6, 6), WISPI_F32_OF(2, 5, 6, 9), WISPI_F32_OF(9, 2, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     WISPI_UNIT_VALUES},
    {.name = "small_map_many_channels_sum",
     .attrs = CONV(PLAIN, .pad_h = 1, .pad_w = 1, .kernel_h = 3, .kernel_w = 3),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(65, 3, 2, 66), WISPI_F32_OF(65, 3, 2, 70), WISPI_F32_OF(70, 66, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "empty_batch_sum",
     .attrs = CONV(PLAIN, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 3,
     .n_out = 2,
     .in = {WISPI_F32_OF(0, 4, 4, 3), WISPI_F32_OF(0, 2, 2, 2), WISPI_F32_OF(2, 3, 3, 3)},
     .inout = 1,
     .inout_from = {2},
     WISPI_UNIT_VALUES},
    {.name = "empty_batch",
     .attrs = CONV(PLAIN, .kernel_h = 3, .kernel_w = 3, .want_bias = 1),
     .n_in = 2,
     .n_out = 2,
     .in = {WISPI_F32_OF(0, 4, 4, 3), WISPI_F32_OF(0, 2, 2, 2)},
     WISPI_UNIT_VALUES},
};

static const wispi_op grad_input_op = {
    .name = "conv2d_grad_input",
    .attrs_bytes = sizeof(wisp_conv2d_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .parameter_in = 1u << 1,
    .in_names = grad_input_in,
    .out_names = grad_input_out,
    .infer = grad_input_infer,
    .reference = grad_input_reference,
    .macs = grad_input_macs,
    .cases = grad_input_cases,
    .n_cases = WISPI_COUNT_OF(grad_input_cases),
};

static const wispi_op grad_weight_op = {
    .name = "conv2d_grad_weight",
    .attrs_bytes = sizeof(wisp_conv2d_attrs),
    .min_in = 2,
    .max_in = 3,
    .n_out = 2,
    .parameter_in = 1u << 2,
    .in_names = grad_weight_in,
    .out_names = grad_weight_out,
    .infer = grad_weight_infer,
    .reference = grad_weight_reference,
    .macs = grad_weight_macs,
    .cases = grad_weight_cases,
    .n_cases = WISPI_COUNT_OF(grad_weight_cases),
};

static wisp_status conv2d_gradient(wispi_grad *grad)
{
    wisp_tensor *dy = grad->dout[0];
    if (!dy)
        return WISP_OK;
    wisp_conv2d_attrs attrs = *(const wisp_conv2d_attrs *)grad->attrs;
    if (wispi_grad_wants(grad, 0)) {
        const wisp_desc *x = wispi_tensor_desc(grad->in[0]);
        attrs.in_h = (int32_t)x->shape[1];
        attrs.in_w = (int32_t)x->shape[2];
        wisp_tensor *in[] = {dy, grad->in[1]};
        wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_input_op, &attrs, in, 2));
    }
    const int want_bias = wispi_grad_wants(grad, 2);
    if (wispi_grad_wants(grad, 1) || want_bias) {
        const wisp_desc *w = wispi_tensor_desc(grad->in[1]);
        attrs.in_h = attrs.in_w = 0;
        attrs.kernel_h = (int32_t)w->shape[2];
        attrs.kernel_w = (int32_t)w->shape[3];
        attrs.want_bias = want_bias;
        wisp_tensor *sum = wispi_grad_wants(grad, 1) ? wispi_grad_sum(grad, 1) : NULL;
        wisp_tensor *in[] = {grad->in[0], dy, sum};
        wisp_tensor *out[WISPI_MAX_OUT] = {NULL};
        if (wispi_grad_wants(grad, 1))
            out[0] = sum ? sum : wispi_grad_target(grad, 1);
        if (want_bias)
            out[1] = wispi_grad_target(grad, 2);
        wispi_apply(grad->step, &grad_weight_op, &attrs, in, sum ? 3 : 2, out);
        wispi_grad_give(grad, 1, out[0]);
        wispi_grad_give(grad, 2, out[1]);
    }
    return WISP_OK;
}

static const wispi_op conv2d_op = {
    .name = "conv2d",
    .attrs_bytes = sizeof(wisp_conv2d_attrs),
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .parameter_in = 1u << 1 | 1u << 2,
    .in_names = conv_in,
    .out_names = conv_out,
    .infer = conv2d_infer,
    .reference = conv2d_reference,
    .gradient = conv2d_gradient,
    .macs = conv2d_macs,
    .cases = conv_cases,
    .n_cases = WISPI_COUNT_OF(conv_cases),
};

static const wispi_op *const ops[] = {&conv2d_op, &grad_input_op, &grad_weight_op};

const wispi_op_family wispi_op_conv2d = {ops, WISPI_COUNT_OF(ops)};
