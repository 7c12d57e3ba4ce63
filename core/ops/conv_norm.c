/* conv_norm.c - a convolution that normalises and activates its input as it reads it, and measures
 * its result as it writes it.
 *
 *   a = act(x * scale + shift), y = conv2d(a, w), mean and var of each channel of y
 *
 * In a chain of convolutions and batch norms only the raw results y are stored: norm_scale makes
 * scale and shift of one call's mean and var, and the next call applies them. The gradient of one
 * link is one operation too. With n elements in a channel, what reaches y is
 *
 *   t = dy + dmean / n + 2 * dvar * (y - mean) / n
 *
 * from which come dw, and through the activation dx, dscale and dshift. */
#include "ops/conv_products.h"
#include "ops/rule.h"
#include "ops/sample.h"

extern const wispi_op_family wispi_op_conv2d;

/* --- shapes --- */

/* x in `first`, scale and shift behind it, w last: what both operations have. Writes y's
 * description. */
static wisp_status check_call(const wispi_rule *rule, const wisp_conv_norm_attrs *a, int32_t first,
                              wisp_desc *y)
{
    const wisp_desc *scale = wispi_rule_in(rule, first + 1),
                    *shift = wispi_rule_in(rule, first + 2);
    WISP_TRY(wispi_rule_rank(rule, first, 4));
    const wisp_desc c = wisp_desc1(WISP_F32, wispi_last(rule->in[first]));
    WISP_TRY(wispi_rule_optional_f32(rule, first + 1, &c));
    WISP_TRY(wispi_rule_optional_f32(rule, first + 2, &c));
    if (!scale != !shift)
        return wispi_rule_fail(rule, WISP_E_INVALID, "scale and shift come together");
    if (a->activation < WISP_ACT_NONE || a->activation > WISP_ACT_RELU6)
        return wispi_rule_fail(rule, WISP_E_INVALID, "there is no activation %d", a->activation);
    if (!scale && a->activation != WISP_ACT_NONE)
        return wispi_rule_fail(rule, WISP_E_INVALID, "an activation needs scale and shift");
    WISP_TRY(wispi_rule_present(rule, first + 3));
    const wisp_desc *conv[] = {rule->in[first], rule->in[first + 3]};
    WISP_TRY(wispi_op_conv2d.ops[0]->infer(&a->conv, conv, 2, y, rule->err));
    if (wispi_leading_count(y, 1) < 1)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "nothing has no mean");
    return WISP_OK;
}

static const char *const conv_in[] = {"x", "scale", "shift", "w"};
static const char *const conv_out[] = {"y", "mean", "var"};

static wisp_status conv_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wisp_conv_norm_attrs *a = attrs;
    const wispi_rule rule = {"conv_norm", conv_in, in, n_in, err};
    WISP_TRY(check_call(&rule, a, 0, &out[0]));
    out[1] = out[2] =
        a->want_stats ? wisp_desc1(WISP_F32, wispi_last(&out[0])) : (wisp_desc){0, 0, {0}};
    return WISP_OK;
}

enum { DY, Y, MEAN, DMEAN, DVAR, X, SCALE, SHIFT, W, N_GRAD_IN };

static const char *const grad_in[] = {"dy", "y",     "mean",  "dmean", "dvar",
                                      "x",  "scale", "shift", "w"};
static const char *const grad_out[] = {"dx", "dscale", "dshift", "dw"};

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wisp_conv_norm_attrs *a = attrs;
    const wispi_rule rule = {"conv_norm_grad", grad_in, in, n_in, err};
    wisp_desc y;
    WISP_TRY(check_call(&rule, a, X, &y));
    WISP_TRY(wispi_rule_same_dtype(&rule, DY, X));
    WISP_TRY(wispi_rule_shape(&rule, DY, &y));
    if (wispi_rule_in(&rule, Y)) {
        const wisp_desc o = wisp_desc1(WISP_F32, wispi_last(&y));
        WISP_TRY(wispi_rule_like(&rule, Y, DY));
        for (int32_t i = MEAN; i <= DVAR; i++)
            WISP_TRY(wispi_rule_f32(&rule, i, &o));
    }
    const wisp_desc none = {0, 0, {0}}, c = wisp_desc1(WISP_F32, wispi_last(in[X]));
    const int input = (a->want_grads & WISP_CONV_NORM_INPUT) != 0;
    out[0] = input ? *in[X] : none;
    out[1] = out[2] = input && in[SCALE] ? c : none;
    out[3] = a->want_grads & WISP_CONV_NORM_WEIGHT ? *in[W] : none;
    return WISP_OK;
}

/* --- reference kernels --- */

/* How an element of x is read. */
typedef struct reading {
    const double *scale, *shift;
    int64_t channels;
    int32_t activation;
} reading;

static reading reading_of(const wisp_conv_norm_attrs *a, const wispi_ref *x)
{
    const reading r = {x[1].v, x[2].v, wispi_last(x[0].desc), a->activation};
    return r;
}

static double before_activation(const reading *r, double x, int64_t i)
{
    const int64_t c = i % r->channels;
    return r->scale ? x * r->scale[c] + r->shift[c] : x;
}

static int passes(const reading *r, double v)
{
    return r->activation == WISP_ACT_NONE || (v > 0 && (r->activation != WISP_ACT_RELU6 || v < 6));
}

static double read_one(const reading *r, double x, int64_t i)
{
    const double v = before_activation(r, x, i);
    return passes(r, v) ? v : v > 0 ? 6 : 0;
}

static void add_to_y(const wispi_products *p, int64_t y, int64_t x, int64_t w)
{
    p->y[y] += read_one(p->more, p->x[x], x) * p->w[w];
}

static void statistics(const wispi_ref *y, double *mean, double *var)
{
    const int64_t n_c = wispi_last(y->desc);
    const double n = (double)(y->count / n_c);
    for (int64_t i = 0; i < y->count; i++)
        mean[i % n_c] += y->v[i] / n;
    for (int64_t i = 0; i < y->count; i++)
        var[i % n_c] += (y->v[i] - mean[i % n_c]) * (y->v[i] - mean[i % n_c]) / n;
}

static void conv_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_conv_norm_attrs *a = attrs;
    const reading r = reading_of(a, in);
    const wispi_products p = {in[0].desc, in[3].desc, out[0].desc, in[0].v, in[3].v, out[0].v, &r};
    (void)n_in;
    wispi_each_product(&a->conv, &p, add_to_y);
    if (a->want_stats)
        statistics(&out[0], out[1].v, out[2].v);
}

/* A gradient call, as its products need it. */
typedef struct grad_call {
    const wispi_ref *in;
    reading read;
    double *dw;
    int64_t channels; /* of y */
    double n;
} grad_call;

static double reaching(const grad_call *g, int64_t i)
{
    const wispi_ref *in = g->in;
    const int64_t o = i % g->channels;
    if (!in[Y].v)
        return in[DY].v[i];
    return in[DY].v[i] + (in[DMEAN].v[o] + 2 * in[DVAR].v[o] * (in[Y].v[i] - in[MEAN].v[o])) / g->n;
}

/* p->x is dx here, which first holds what arrives behind the activation. */
static void add_to_grads(const wispi_products *p, int64_t y, int64_t x, int64_t w)
{
    const grad_call *g = p->more;
    const double t = reaching(g, y);
    if (p->x)
        p->x[x] += t * p->w[w];
    if (g->dw)
        g->dw[w] += t * read_one(&g->read, g->in[X].v[x], x);
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_conv_norm_attrs *a = attrs;
    const int64_t n_o = wispi_last(in[DY].desc);
    const grad_call g = {in, reading_of(a, &in[X]), out[3].v, n_o, (double)(in[DY].count / n_o)};
    const wispi_products p = {in[X].desc, in[W].desc, in[DY].desc, out[0].v, in[W].v, NULL, &g};
    (void)n_in;
    wispi_each_product(&a->conv, &p, add_to_grads);
    for (int64_t i = 0; out[1].v && i < in[X].count; i++) {
        const int64_t c = i % g.read.channels;
        const double v = before_activation(&g.read, in[X].v[i], i);
        const double d = passes(&g.read, v) ? out[0].v[i] : 0;
        out[0].v[i] = d * in[SCALE].v[c];
        out[1].v[c] += d * in[X].v[i];
        out[2].v[c] += d;
    }
}

static double products_of(const wisp_desc *y, const wisp_desc *w)
{
    return (double)wisp_desc_count(y) * (double)w->shape[1] * (double)w->shape[2] *
           (double)w->shape[3];
}

static double conv_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    return products_of(&out[0], in[3]);
}

static double grad_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    (void)attrs;
    return products_of(in[DY], in[W]) * ((out[0].dtype != 0) + (out[3].dtype != 0));
}

/* --- cases --- */

#define POINT .conv = {.stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 1}
#define WINDOW(stride, pad, g)                                                                     \
    .conv = {.stride_h = stride,                                                                   \
             .stride_w = stride,                                                                   \
             .pad_h = pad,                                                                         \
             .pad_w = pad,                                                                         \
             .dilation_h = 1,                                                                      \
             .dilation_w = 1,                                                                      \
             .groups = g}
#define ATTRS(...)                                                                                 \
    &(const wisp_conv_norm_attrs)                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
/* x, scale, shift, w: wide enough that relu6 meets both of its ends. */
#define CONV_VALUES .low = {-2, 0.5, -1, -1}, .high = {2, 2, 4, 1}
#define SHAPES(xn, xh, xw, xc, o, c_g, k)                                                          \
    .n_in = 4, .n_out = 3,                                                                         \
    .in = {WISPI_F32_OF(xn, xh, xw, xc), WISPI_F32_OF(xc), WISPI_F32_OF(xc),                       \
           WISPI_F32_OF(o, c_g, k, k)}

static const wispi_op_case conv_cases[] = {
    {.name = "pointwise",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(3, 5, 3, 17, 19, 17, 1),
     CONV_VALUES},
    {.name = "pointwise_many",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(5, 13, 17, 40, 72, 40, 1),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "pointwise_wide",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU, .want_stats = 1),
     SHAPES(2, 3, 3, 130, 200, 130, 1),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "plain_input",
     .attrs = ATTRS(POINT, .want_stats = 1),
     .n_in = 4,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 4, 7, 16), WISPI_ABSENT, WISPI_ABSENT, WISPI_F32_OF(24, 16, 1, 1)},
     CONV_VALUES},
    {.name = "no_stats",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU),
     .n_in = 4,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 4, 3, 5), WISPI_F32_OF(5), WISPI_F32_OF(5), WISPI_F32_OF(9, 5, 1, 1)},
     CONV_VALUES},
    {.name = "depthwise",
     .attrs = ATTRS(WINDOW(1, 1, 13), .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(2, 5, 6, 13, 13, 1, 3),
     CONV_VALUES},
    {.name = "depthwise_stride",
     .attrs = ATTRS(WINDOW(2, 1, 13), .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(2, 7, 6, 13, 13, 1, 3),
     CONV_VALUES},
    {.name = "depthwise_many",
     .attrs = ATTRS(WINDOW(1, 1, 48), .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(3, 19, 21, 48, 48, 1, 3),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "depthwise_stride_many",
     .attrs = ATTRS(WINDOW(2, 1, 40), .activation = WISP_ACT_RELU, .want_stats = 1),
     SHAPES(3, 18, 21, 40, 40, 1, 3),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "depthwise_batch",
     .attrs = ATTRS(WINDOW(1, 1, 96), .activation = WISP_ACT_RELU6, .want_stats = 1),
     SHAPES(67, 7, 9, 96, 96, 1, 3),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "depthwise_stride_batch",
     .attrs = ATTRS(WINDOW(2, 1, 36), .activation = WISP_ACT_RELU, .want_stats = 1),
     SHAPES(67, 8, 9, 36, 36, 1, 3),
     .skip_grad = 1,
     CONV_VALUES},
    {.name = "depthwise_one_pixel",
     .attrs = ATTRS(WINDOW(1, 1, 3), .want_stats = 1),
     SHAPES(40, 1, 1, 3, 3, 1, 3),
     CONV_VALUES},
    {.name = "stem",
     .attrs = ATTRS(WINDOW(2, 1, 1), .want_stats = 1),
     .n_in = 4,
     .n_out = 3,
     .in = {WISPI_F32_OF(2, 9, 8, 3), WISPI_ABSENT, WISPI_ABSENT, WISPI_F32_OF(10, 3, 3, 3)},
     CONV_VALUES},
};

/* dy, y, mean, dmean, dvar, x, scale, shift, w */
#define GRAD_VALUES                                                                                \
    .low = {-1, -2, -1, -9, -9, -2, 0.5, -1, -1}, .high = {1, 2, 1, 9, 9, 2, 2, 4, 1}
#define BOTH .want_grads = WISP_CONV_NORM_INPUT | WISP_CONV_NORM_WEIGHT
#define GRAD_SHAPES(xn, xh, xw, xc, yh, yw, o, c_g, k)                                             \
    .n_in = 9, .n_out = 4,                                                                         \
    .in = {WISPI_F32_OF(xn, yh, yw, o),                                                            \
           WISPI_F32_OF(xn, yh, yw, o),                                                            \
           WISPI_F32_OF(o),                                                                        \
           WISPI_F32_OF(o),                                                                        \
           WISPI_F32_OF(o),                                                                        \
           WISPI_F32_OF(xn, xh, xw, xc),                                                           \
           WISPI_F32_OF(xc),                                                                       \
           WISPI_F32_OF(xc),                                                                       \
           WISPI_F32_OF(o, c_g, k, k)}

static const wispi_op_case grad_cases[] = {
    {.name = "pointwise",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(3, 5, 3, 17, 5, 3, 19, 17, 1),
     GRAD_VALUES},
    {.name = "pointwise_many",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(5, 13, 17, 40, 13, 17, 72, 40, 1),
     GRAD_VALUES},
    {.name = "pointwise_wide",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU, BOTH),
     GRAD_SHAPES(2, 3, 3, 130, 3, 3, 200, 130, 1),
     GRAD_VALUES},
    {.name = "statistics_are_constants",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, BOTH),
     .n_in = 9,
     .n_out = 4,
     .in = {WISPI_F32_OF(2, 4, 3, 9), WISPI_ABSENT, WISPI_ABSENT, WISPI_ABSENT, WISPI_ABSENT,
            WISPI_F32_OF(2, 4, 3, 5), WISPI_F32_OF(5), WISPI_F32_OF(5), WISPI_F32_OF(9, 5, 1, 1)},
     GRAD_VALUES},
    {.name = "plain_input",
     .attrs = ATTRS(POINT, BOTH),
     .n_in = 9,
     .n_out = 4,
     .in = {WISPI_F32_OF(2, 4, 7, 24), WISPI_F32_OF(2, 4, 7, 24), WISPI_F32_OF(24),
            WISPI_F32_OF(24), WISPI_F32_OF(24), WISPI_F32_OF(2, 4, 7, 16), WISPI_ABSENT,
            WISPI_ABSENT, WISPI_F32_OF(24, 16, 1, 1)},
     GRAD_VALUES},
    {.name = "only_input",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, .want_grads = WISP_CONV_NORM_INPUT),
     GRAD_SHAPES(2, 5, 3, 6, 5, 3, 11, 6, 1),
     GRAD_VALUES},
    {.name = "only_weight",
     .attrs = ATTRS(POINT, .activation = WISP_ACT_RELU6, .want_grads = WISP_CONV_NORM_WEIGHT),
     GRAD_SHAPES(2, 5, 3, 6, 5, 3, 11, 6, 1),
     GRAD_VALUES},
    {.name = "depthwise",
     .attrs = ATTRS(WINDOW(1, 1, 13), .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(2, 5, 6, 13, 5, 6, 13, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_stride",
     .attrs = ATTRS(WINDOW(2, 1, 13), .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(2, 7, 6, 13, 4, 3, 13, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_many",
     .attrs = ATTRS(WINDOW(1, 1, 48), .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(3, 19, 21, 48, 19, 21, 48, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_stride_many",
     .attrs = ATTRS(WINDOW(2, 1, 40), .activation = WISP_ACT_RELU, BOTH),
     GRAD_SHAPES(3, 18, 21, 40, 9, 11, 40, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_batch",
     .attrs = ATTRS(WINDOW(1, 1, 96), .activation = WISP_ACT_RELU6, BOTH),
     GRAD_SHAPES(67, 7, 9, 96, 7, 9, 96, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_stride_batch",
     .attrs = ATTRS(WINDOW(2, 1, 36), .activation = WISP_ACT_RELU, BOTH),
     GRAD_SHAPES(67, 8, 9, 36, 4, 5, 36, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_one_pixel",
     .attrs = ATTRS(WINDOW(1, 1, 3), BOTH),
     GRAD_SHAPES(4, 1, 1, 3, 1, 1, 3, 1, 3),
     GRAD_VALUES},
    {.name = "depthwise_only_weight",
     .attrs =
         ATTRS(WINDOW(2, 1, 5), .activation = WISP_ACT_RELU6, .want_grads = WISP_CONV_NORM_WEIGHT),
     GRAD_SHAPES(2, 5, 5, 5, 3, 3, 5, 1, 3),
     GRAD_VALUES},
    {.name = "stem",
     .attrs = ATTRS(WINDOW(2, 1, 1), .want_grads = WISP_CONV_NORM_WEIGHT),
     .n_in = 9,
     .n_out = 4,
     .in = {WISPI_F32_OF(2, 5, 4, 10), WISPI_F32_OF(2, 5, 4, 10), WISPI_F32_OF(10),
            WISPI_F32_OF(10), WISPI_F32_OF(10), WISPI_F32_OF(2, 9, 8, 3), WISPI_ABSENT,
            WISPI_ABSENT, WISPI_F32_OF(10, 3, 3, 3)},
     GRAD_VALUES},
};

static const wispi_op grad_op = {
    .name = "conv_norm_grad",
    .attrs_bytes = sizeof(wisp_conv_norm_attrs),
    .min_in = N_GRAD_IN,
    .max_in = N_GRAD_IN,
    .n_out = 4,
    .parameter_in = 1u << MEAN | 1u << DMEAN | 1u << DVAR | 1u << SCALE | 1u << SHIFT | 1u << W,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .macs = grad_macs,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
};

/* --- gradient --- */

static wisp_status conv_gradient(wispi_grad *grad)
{
    if (!grad->dout[0] && !grad->dout[1] && !grad->dout[2])
        return WISP_OK;
    wisp_conv_norm_attrs attrs = *(const wisp_conv_norm_attrs *)grad->attrs;
    wisp_tensor *in[N_GRAD_IN] = {wispi_grad_or_zeros(grad, 0)}, *out[WISPI_MAX_OUT] = {NULL};
    attrs.want_stats = 0;
    for (int32_t i = 0; i < 3; i++)
        attrs.want_grads |= wispi_grad_wants(grad, i) ? WISP_CONV_NORM_INPUT : 0;
    attrs.want_grads |= wispi_grad_wants(grad, 3) ? WISP_CONV_NORM_WEIGHT : 0;
    if (grad->dout[1] || grad->dout[2]) {
        in[Y] = grad->out[0];
        in[MEAN] = grad->out[1];
        in[DMEAN] = wispi_grad_or_zeros(grad, 1);
        in[DVAR] = wispi_grad_or_zeros(grad, 2);
    }
    for (int32_t i = 0; i < 4; i++)
        in[X + i] = grad->in[i];
    out[3] = wispi_grad_wants(grad, 3) ? wispi_grad_target(grad, 3) : NULL;
    wispi_apply(grad->step, &grad_op, &attrs, in, N_GRAD_IN, out);
    for (int32_t i = 0; i < 4; i++)
        wispi_grad_give(grad, i, out[i]);
    return WISP_OK;
}

static const wispi_op conv_op = {
    .name = "conv_norm",
    .attrs_bytes = sizeof(wisp_conv_norm_attrs),
    .min_in = 4,
    .max_in = 4,
    .n_out = 3,
    .parameter_in = 1u << 1 | 1u << 2 | 1u << 3,
    .in_names = conv_in,
    .out_names = conv_out,
    .infer = conv_infer,
    .reference = conv_reference,
    .gradient = conv_gradient,
    .macs = conv_macs,
    .cases = conv_cases,
    .n_cases = WISPI_COUNT_OF(conv_cases),
};

static const wispi_op *const ops[] = {&conv_op, &grad_op};
const wispi_op_family wispi_op_conv_norm = {ops, WISPI_COUNT_OF(ops)};
