/* max_pool.c - the largest value under a sliding window.
 *
 *   y[n,i,j,c] = max over ky,kx of x[n, i*stride - pad + ky, j*stride - pad + kx, c]
 *
 * Padding never wins. `index` says where in the window the value was, ky * kernel_w + kx: the
 * backward pass needs nothing else. Of equal values the first wins; a NaN wins over all. */
#include <math.h>

#include "ops/index.h"
#include "ops/sample.h"
#include "ops/window.h"

static const char *const pool_in[] = {"x"};
static const char *const pool_out[] = {"y", "index"};
static const char *const grad_in[] = {"dy", "index"};
static const char *const grad_out[] = {"dx"};

/* The position must fit the byte that keeps it. */
static wisp_status check_kernel(const wispi_rule *rule, const wisp_pool_attrs *a)
{
    if ((int64_t)a->kernel_h * a->kernel_w <= 256)
        return WISP_OK;
    return wispi_rule_fail(rule, WISP_E_UNSUPPORTED, "kernel %dx%d has more than 256 positions",
                           a->kernel_h, a->kernel_w);
}

static wisp_status pool_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"max_pool", pool_in, in, n_in, err};
    wisp_desc y;
    WISP_TRY(wispi_rule_rank(&rule, 0, 4));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_window_map(&rule, attrs, in[0], &y));
    WISP_TRY(check_kernel(&rule, attrs));
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    out[1] = wispi_desc_as(&y, WISP_U8);
    return WISP_OK;
}

static wisp_status grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"max_pool_grad", grad_in, in, n_in, err};
    wisp_desc dx;
    WISP_TRY(wispi_window_grad(&rule, attrs, &dx));
    WISP_TRY(check_kernel(&rule, attrs));
    WISP_TRY(wispi_rule_dtype(&rule, 1, WISP_U8));
    WISP_TRY(wispi_rule_shape(&rule, 1, in[0]));
    out[0] = dx;
    return WISP_OK;
}

/* Offset in x of position k of the window at (n,i,j), channel c; -1 in the padding. */
static int64_t offset_under(const wisp_pool_attrs *a, const wisp_desc *x, int64_t n, int64_t i,
                            int64_t j, int64_t c, int64_t k)
{
    const int64_t row = i * a->stride_h - a->pad_h + k / a->kernel_w;
    const int64_t column = j * a->stride_w - a->pad_w + k % a->kernel_w;
    if (row < 0 || row >= x->shape[1] || column < 0 || column >= x->shape[2])
        return -1;
    return wispi_at4(x, n, row, column, c);
}

/* Position of the largest value of the window. */
static int64_t winner(const wisp_pool_attrs *a, const wispi_ref *x, int64_t n, int64_t i, int64_t j,
                      int64_t c)
{
    int64_t best = -1;
    double best_value = 0;
    for (int64_t k = 0; k < (int64_t)a->kernel_h * a->kernel_w; k++) {
        const int64_t at = offset_under(a, x->desc, n, i, j, c, k);
        if (at < 0)
            continue;
        if (best < 0 || x->v[at] > best_value || (isnan(x->v[at]) && !isnan(best_value))) {
            best = k;
            best_value = x->v[at];
        }
    }
    return best;
}

/* x (N,H,W,C) -> y, index (N,Ho,Wo,C) */
static void pool_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wisp_pool_attrs *a = attrs;
    const wisp_desc *x = in[0].desc, *y = out[0].desc;
    for (int64_t n = 0; n < y->shape[0]; n++)
        for (int64_t i = 0; i < y->shape[1]; i++)
            for (int64_t j = 0; j < y->shape[2]; j++)
                for (int64_t c = 0; c < y->shape[3]; c++) {
                    const int64_t k = winner(a, &in[0], n, i, j, c);
                    const int64_t at = wispi_at4(y, n, i, j, c);
                    out[0].v[at] = in[0].v[offset_under(a, x, n, i, j, c, k)];
                    if (out[1].v)
                        out[1].v[at] = (double)k;
                }
}

/* dy, index (N,Ho,Wo,C) -> dx (N,H,W,C) */
static void grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wisp_desc *x = out[0].desc, *y = in[0].desc;
    for (int64_t n = 0; n < y->shape[0]; n++)
        for (int64_t i = 0; i < y->shape[1]; i++)
            for (int64_t j = 0; j < y->shape[2]; j++)
                for (int64_t c = 0; c < y->shape[3]; c++) {
                    const int64_t at = wispi_at4(y, n, i, j, c);
                    const int64_t to = offset_under(attrs, x, n, i, j, c, (int64_t)in[1].v[at]);
                    if (to >= 0)
                        out[0].v[to] += in[0].v[at];
                }
}

/* --- cases --- */

#define POOL(kernel, stride, pad, in_h, in_w)                                                      \
    &(const wisp_pool_attrs)                                                                       \
    {                                                                                              \
        kernel, kernel, stride, stride, pad, pad, in_h, in_w, 0, 0                                 \
    }

static const wispi_op_case pool_cases[] = {
    {.name = "stem",
     .attrs = POOL(3, 2, 1, 0, 0),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 9, 8, 17)},
     WISPI_UNIT_VALUES},
    {.name = "tiles",
     .attrs = POOL(2, 2, 0, 0, 0),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(3, 7, 5, 3)},
     WISPI_UNIT_VALUES},
    {.name = "all_negative", /* padding must not win */
     .attrs = POOL(3, 1, 1, 0, 0),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 4, 4, 5)},
     .low = {-3},
     .high = {-1}},
    {.name = "unequal_sides",
     .attrs = &(const wisp_pool_attrs){2, 3, 1, 2, 1, 0, 0, 0, 0, 0},
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(2, 5, 7, 4)},
     WISPI_UNIT_VALUES},
    {.name = "large",
     .attrs = POOL(3, 2, 1, 0, 0),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(4, 36, 35, 64)},
     .skip_grad = 1,
     WISPI_UNIT_VALUES},
    {.name = "one_pixel",
     .attrs = POOL(1, 1, 0, 0, 0),
     .n_in = 1,
     .n_out = 2,
     .in = {WISPI_F32_OF(1, 1, 1, 1)},
     WISPI_UNIT_VALUES},
};

/* A drawn index may point into the padding, which the forward kernel never does: moves it to the
 * next position that lies in the map. */
static void arrange_index(const void *attrs, const wispi_ref *in, int32_t n_in)
{
    (void)n_in;
    const wisp_pool_attrs *a = attrs;
    const int64_t positions = (int64_t)a->kernel_h * a->kernel_w;
    const wisp_desc *y = in[0].desc;
    const wisp_desc x = wisp_desc4(WISP_F32, y->shape[0], a->in_h, a->in_w, y->shape[3]);
    for (int64_t n = 0; n < y->shape[0]; n++)
        for (int64_t i = 0; i < y->shape[1]; i++)
            for (int64_t j = 0; j < y->shape[2]; j++)
                for (int64_t c = 0; c < y->shape[3]; c++) {
                    double *index = &in[1].v[wispi_at4(y, n, i, j, c)];
                    while (offset_under(a, &x, n, i, j, c, (int64_t)*index) < 0)
                        *index = (double)(((int64_t)*index + 1) % positions);
                }
}

static const wispi_op_case grad_cases[] = {
    {.name = "stem",
     .attrs = POOL(3, 2, 1, 9, 8),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 5, 4, 17), WISPI_OF(WISP_U8, 2, 5, 4, 17)},
     .low = {-1, 0},
     .high = {1, 9},
     .arrange = arrange_index,
     .arranged = 1u << 1},
    {.name = "tiles",
     .attrs = POOL(2, 2, 0, 7, 5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 3, 2, 3), WISPI_OF(WISP_U8, 3, 3, 2, 3)},
     .low = {-1, 0},
     .high = {1, 4},
     .arrange = arrange_index,
     .arranged = 1u << 1},
    {.name = "large",
     .attrs = POOL(3, 2, 1, 36, 35),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(4, 18, 18, 64), WISPI_OF(WISP_U8, 4, 18, 18, 64)},
     .low = {-1, 0},
     .high = {1, 9},
     .arrange = arrange_index,
     .arranged = 1u << 1},
    {.name = "unequal_sides",
     .attrs = &(const wisp_pool_attrs){2, 3, 1, 2, 1, 0, 5, 7, 0, 0},
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 6, 3, 4), WISPI_OF(WISP_U8, 2, 6, 3, 4)},
     .low = {-1, 0},
     .high = {1, 6},
     .arrange = arrange_index,
     .arranged = 1u << 1},
};

static const wispi_op grad_op = {
    .name = "max_pool_grad",
    .attrs_bytes = sizeof(wisp_pool_attrs),
    .min_in = 2,
    .max_in = 2,
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
    wisp_tensor *in[] = {grad->dout[0], grad->out[1]};
    wispi_grad_give(grad, 0, wispi_apply1(grad->step, &grad_op, &attrs, in, 2));
    return WISP_OK;
}

static const wispi_op pool_op = {
    .name = "max_pool",
    .attrs_bytes = sizeof(wisp_pool_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .in_names = pool_in,
    .out_names = pool_out,
    .infer = pool_infer,
    .reference = pool_reference,
    .gradient = pool_gradient,
    .cases = pool_cases,
    .n_cases = WISPI_COUNT_OF(pool_cases),
};

static const wispi_op *const ops[] = {&pool_op, &grad_op};
const wispi_op_family wispi_op_max_pool = {ops, WISPI_COUNT_OF(ops)};
