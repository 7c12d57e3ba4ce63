/* avg_pool.c - the mean under a sliding window.
 *
 *   y[n,i,j,c] = sum over ky,kx of x[n, i*stride - pad + ky, j*stride - pad + kx, c] / divisor
 *
 * The divisor is the size of the window, or, without include_padding, the number of its positions
 * that lie in the map. */
#include "ops/index.h"
#include "ops/sample.h"
#include "ops/window.h"

static const char *const pool_in[] = {"x"};
static const char *const pool_out[] = {"y"};
static const char *const grad_in[] = {"dy"};
static const char *const grad_out[] = {"dx"};

static wisp_status pool_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"avg_pool", pool_in, in, n_in, err};
    wisp_desc y;
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_window_map(&rule, attrs, in[0], &y));
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"avg_pool_grad", grad_in, in, n_in, err};
    wisp_desc dx;
    WISP_TRY(wispi_window_grad(&rule, attrs, &dx));
    out[0] = dx;
    return WISP_OK;
}

/* The part of a window that lies in the map: rows [top, bottom), columns [left, right). */
typedef struct window {
    int64_t top, bottom, left, right;
    double divisor;
} window;

static int64_t at_least_0(int64_t v)
{
    return v > 0 ? v : 0;
}

static int64_t at_most(int64_t v, int64_t limit)
{
    return v < limit ? v : limit;
}

static window window_at(const wisp_pool_attrs *a, const wisp_desc *x, int64_t i, int64_t j)
{
    const int64_t row = i * a->stride_h - a->pad_h, column = j * a->stride_w - a->pad_w;
    window w = {at_least_0(row), at_most(row + a->kernel_h, x->shape[1]), at_least_0(column),
                at_most(column + a->kernel_w, x->shape[2]), 0};
    w.divisor = a->include_padding ? (double)a->kernel_h * a->kernel_w
                                   : (double)((w.bottom - w.top) * (w.right - w.left));
    return w;
}

/* Adds the mean of the window to each y, or each y's share to the window: the same pairs. */
static void each_pair(const wisp_pool_attrs *a, const wispi_ref *x, const wispi_ref *y,
                      int to_the_window)
{
    const int64_t *size = y->desc->shape;
    for (int64_t n = 0; n < size[0]; n++)
        for (int64_t i = 0; i < size[1]; i++)
            for (int64_t j = 0; j < size[2]; j++) {
                const window w = window_at(a, x->desc, i, j);
                for (int64_t row = w.top; row < w.bottom; row++)
                    for (int64_t column = w.left; column < w.right; column++)
                        for (int64_t c = 0; c < size[3]; c++) {
                            double *vy = &y->v[wispi_at4(y->desc, n, i, j, c)];
                            double *vx = &x->v[wispi_at4(x->desc, n, row, column, c)];
                            if (to_the_window)
                                *vx += *vy / w.divisor;
                            else
                                *vy += *vx / w.divisor;
                        }
            }
}

static void pool_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
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

#define POOL(...)                                                                                  \
    &(const wisp_pool_attrs)                                                                       \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const wispi_op_case pool_cases[] = {
    {.name = "odd",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 0, 0, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 5, 13)},
     WISPI_UNIT_VALUES},
    {.name = "padding_counts",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 0, 0, 1, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 7, 5, 13)},
     WISPI_UNIT_VALUES},
    {.name = "whole_map",
     .attrs = POOL(7, 7, 1, 1, 0, 0, 0, 0, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 7, 7, 19)},
     WISPI_UNIT_VALUES},
    {.name = "unequal_sides",
     .attrs = POOL(2, 3, 1, 2, 1, 0, 0, 0, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 7, 4)},
     WISPI_UNIT_VALUES},
    {.name = "large",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 0, 0, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(4, 36, 35, 64)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "one_pixel",
     .attrs = POOL(1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 1, 1, 1)},
     WISPI_UNIT_VALUES},
};

static const wispi_op_case grad_cases[] = {
    {.name = "odd",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 7, 5, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 4, 3, 13)},
     WISPI_UNIT_VALUES},
    {.name = "padding_counts",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 7, 5, 1, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 4, 3, 13)},
     WISPI_UNIT_VALUES},
    {.name = "large",
     .attrs = POOL(3, 3, 2, 2, 1, 1, 36, 35, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(4, 18, 18, 64)},
     WISPI_UNIT_VALUES},
    {.name = "rest_of_stride",
     .attrs = POOL(2, 2, 2, 2, 0, 0, 7, 5, 0, 0),
     .n_in = 1,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 2, 16)},
     WISPI_UNIT_VALUES},
};

static const wispi_op grad_op = {
    .name = "avg_pool_grad",
    .attrs_bytes = sizeof(wisp_pool_attrs),
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

static wisp_status pool_gradient(wispi_grad *grad)
{
    wisp_pool_attrs attrs = *(const wisp_pool_attrs *)grad->attrs;
    const wisp_desc *x = wispi_tensor_desc(grad->in[0]);
    if (!grad->dout[0] || !wispi_grad_wants(grad, 0))
        return WISP_OK;
    attrs.in_h = (int32_t)x->shape[1];
    attrs.in_w = (int32_t)x->shape[2];
    wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_op, &attrs, &grad->dout[0], 1));
    return WISP_OK;
}

static const wispi_op pool_op = {
    .name = "avg_pool",
    .attrs_bytes = sizeof(wisp_pool_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .in_names = pool_in,
    .out_names = pool_out,
    .infer = pool_infer,
    .reference = pool_reference,
    .gradient = pool_gradient,
    .cases = pool_cases,
    .n_cases = WISPI_COUNT_OF(pool_cases),
};

static const wispi_op *const ops[] = {&pool_op, &grad_op};
const wispi_op_family wispi_op_avg_pool = {ops, WISPI_COUNT_OF(ops)};
