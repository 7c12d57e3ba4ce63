/* resize_bicubic.c - a map on a grid of another size, by cubic convolution; for position
 * embeddings.
 *
 * Output pixel i lies at source coordinate (i + 0.5) * scale - 0.5 (half-pixel centres) and is a
 * weighted sum of the 4x4 source pixels around it, coordinates clamped to the border. The kernel is
 * Keys' with A = -0.75; nothing is smoothed when shrinking. `scale`, the source step per output
 * step, is in / out unless given: some published models were trained with other values. */
#include <math.h>

#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

static const char *const resize_in[] = {"x"};
static const char *const resize_out[] = {"y"};
static const char *const grad_in[] = {"dy"};
static const char *const grad_out[] = {"dx"};

static wisp_status check_sizes(const wispi_rule *rule, const wisp_resize_attrs *a, int64_t in_h,
                               int64_t in_w)
{
    if (in_h < 1 || in_w < 1 || in_h > INT32_MAX || in_w > INT32_MAX || a->out_h < 1 ||
        a->out_w < 1)
        return wispi_rule_fail(rule, WISP_E_SHAPE,
                               "from %lldx%lld to %dx%d: sizes must be 1 or "
                               "more",
                               (long long)in_h, (long long)in_w, a->out_h, a->out_w);
    if (!(a->scale_h >= 0 && a->scale_h < 1e6 && a->scale_w >= 0 && a->scale_w < 1e6))
        return wispi_rule_fail(rule, WISP_E_INVALID,
                               "scale is %g, %g; it must be positive, or 0 for in / out",
                               a->scale_h, a->scale_w);
    return wispi_rule_not_empty(rule, 0, 3);
}

static wisp_status resize_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wisp_resize_attrs *a = attrs;
    const wispi_rule rule = {"resize_bicubic", resize_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    const int64_t *x = in[0]->shape;
    WISP_TRY(check_sizes(&rule, a, x[1], x[2]));
    if ((a->in_h && a->in_h != x[1]) || (a->in_w && a->in_w != x[2]))
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "x is not the map of %dx%d that was announced",
                               a->in_h, a->in_w);
    const wisp_desc y = wisp_desc4(in[0]->dtype, x[0], a->out_h, a->out_w, x[3]);
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wisp_resize_attrs *a = attrs;
    const wispi_rule rule = {"resize_bicubic_grad", grad_in, in, n_in, err};
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    const int64_t *dy = in[0]->shape;
    WISP_TRY(check_sizes(&rule, a, a->in_h, a->in_w));
    const wisp_desc want = wisp_desc4(WISP_F32, dy[0], a->out_h, a->out_w, dy[3]);
    WISP_TRY(wispi_rule_shape(&rule, 0, &want));
    const wisp_desc dx = wisp_desc4(in[0]->dtype, dy[0], a->in_h, a->in_w, dy[3]);
    WISP_TRY(wispi_rule_countable(&rule, &dx));
    out[0] = dx;
    return WISP_OK;
}

/* The four source pixels of one output pixel along one axis. */
typedef struct taps {
    int64_t at[4];
    double weight[4];
} taps;

/* Keys' kernel at distance d: two cubics, on [0, 1] and on [1, 2]. */
static double cubic(double d)
{
    const double a = -0.75, x = fabs(d);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static taps taps_at(int64_t i, int64_t in, int64_t out, double scale)
{
    const double step = scale > 0 ? scale : (double)in / (double)out;
    const double source = ((double)i + 0.5) * step - 0.5;
    const double left = floor(source);
    taps t;
    for (int k = 0; k < 4; k++) {
        const double at = left - 1 + k;
        t.at[k] = (int64_t)fmin(fmax(at, 0), (double)(in - 1));
        t.weight[k] = cubic(source - at);
    }
    return t;
}

/* x (N,H,W,C), y (N,h,w,C). Adds weight * x to y, or weight * y to x: the same pairs. */
static void each_pair(const wisp_resize_attrs *a, const wispi_ref *x, const wispi_ref *y, int to_x)
{
    const int64_t *big = x->desc->shape, *size = y->desc->shape;
    for (int64_t n = 0; n < size[0]; n++)
        for (int64_t i = 0; i < size[1]; i++) {
            const taps rows = taps_at(i, big[1], size[1], a->scale_h);
            for (int64_t j = 0; j < size[2]; j++) {
                const taps columns = taps_at(j, big[2], size[2], a->scale_w);
                for (int k = 0; k < 16; k++) {
                    const double weight = rows.weight[k / 4] * columns.weight[k % 4];
                    double *vx = x->v + wispi_at4(x->desc, n, rows.at[k / 4], columns.at[k % 4], 0);
                    double *vy = y->v + wispi_at4(y->desc, n, i, j, 0);
                    for (int64_t c = 0; c < size[3]; c++) {
                        if (to_x)
                            vx[c] += weight * vy[c];
                        else
                            vy[c] += weight * vx[c];
                    }
                }
            }
        }
}

static void resize_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    each_pair(attrs, &in[0], &out[0], 0);
}

static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    each_pair(attrs, &out[0], &in[0], 1);
}

/* --- cases --- */

#define RESIZE(...)                                                                                \
    &(const wisp_resize_attrs)                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const wispi_op_case resize_cases[] = {
    {.name = "smaller",
     .attrs = RESIZE(.out_h = 3, .out_w = 5),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 8, 13)},
     WISPI_UNIT_VALUES},
    {.name = "larger",
     .attrs = RESIZE(.out_h = 9, .out_w = 11),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 4, 5, 3)},
     WISPI_UNIT_VALUES},
    {.name = "position_embedding",
     .attrs = RESIZE(.scale_h = 14 / 6.1, .scale_w = 14 / 6.1, .out_h = 6, .out_w = 6),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 14, 14, 4)},
     WISPI_UNIT_VALUES},
    {.name = "wide",
     .attrs = RESIZE(.out_h = 16, .out_w = 17),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 14, 13, 96)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "from_one_pixel",
     .attrs = RESIZE(.out_h = 2, .out_w = 3),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 1, 1, 1)},
     WISPI_UNIT_VALUES},
    {.name = "same_size",
     .attrs = RESIZE(.out_h = 5, .out_w = 3),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 5, 3, 7)},
     WISPI_UNIT_VALUES},
};

static const wispi_op_case grad_cases[] = {
    {.name = "smaller",
     .attrs = RESIZE(.in_h = 7, .in_w = 8, .out_h = 3, .out_w = 5),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 5, 13)},
     WISPI_UNIT_VALUES},
    {.name = "larger",
     .attrs = RESIZE(.in_h = 4, .in_w = 5, .out_h = 9, .out_w = 11),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 9, 11, 3)},
     WISPI_UNIT_VALUES},
    {.name = "wide",
     .attrs = RESIZE(.in_h = 14, .in_w = 13, .out_h = 16, .out_w = 17),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 16, 17, 96)},
     WISPI_UNIT_VALUES},
    {.name = "position_embedding",
     .attrs = RESIZE(.scale_h = 14 / 6.1, .scale_w = 14 / 6.1, .in_h = 14, .in_w = 14, .out_h = 6,
                     .out_w = 6),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 6, 6, 4)},
     WISPI_UNIT_VALUES},
};

static const wispi_op grad_op = {
    .name = "resize_bicubic_grad",
    .attrs_bytes = sizeof(wisp_resize_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = grad_in,
    .out_names = grad_out,
    .infer = grad_infer,
    .reference = grad_reference,
    .cases = grad_cases,
    .n_cases = WISPI_COUNT_OF(grad_cases),
};

static wisp_status resize_gradient(wispi_grad *grad)
{
    wisp_resize_attrs attrs = *(const wisp_resize_attrs *)grad->attrs;
    const wisp_desc *x = wispi_tensor_desc(grad->in[0]);
    if (!grad->dout[0] || !wispi_grad_wants(grad, 0))
        return WISP_OK;
    attrs.in_h = (int32_t)x->shape[1];
    attrs.in_w = (int32_t)x->shape[2];
    wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_op, &attrs, &grad->dout[0], 1));
    return WISP_OK;
}

static const wispi_op resize_op = {
    .name = "resize_bicubic",
    .attrs_bytes = sizeof(wisp_resize_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = resize_in,
    .out_names = resize_out,
    .infer = resize_infer,
    .reference = resize_reference,
    .gradient = resize_gradient,
    .cases = resize_cases,
    .n_cases = WISPI_COUNT_OF(resize_cases),
};

static const wispi_op *const ops[] = {&resize_op, &grad_op};
const wispi_op_family wispi_op_resize_bicubic = {ops, WISPI_COUNT_OF(ops)};
