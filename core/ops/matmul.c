/* matmul.c - the product of matrices, one for each element of the leading dimensions.
 *
 *   y[b,m,n] = alpha * sum over k of a[b,m,k] * b[b,k,n]
 *
 * Either factor may be stored transposed, and b may be a single matrix for all of a. A sum over
 * nothing (K = 0) is 0, so that sizes of 0 need no special case in the gradients. */
#include "ops/index.h"
#include "ops/rule.h"
#include "ops/sample.h"

static const char *const matmul_in[] = {"a", "b"};
static const char *const matmul_out[] = {"y"};

/* y (B,M,N) = a (B,M,K) * b (B or 1,K,N) */
typedef struct product_sizes {
    int64_t batch, m, k, n;
} product_sizes;

static product_sizes sizes_of(const wisp_matmul_attrs *attrs, const wisp_desc *a,
                              const wisp_desc *b)
{
    const int64_t *sa = a->shape + a->rank - 2, *sb = b->shape + b->rank - 2;
    const product_sizes s = {wispi_leading_count(a, 2), sa[attrs->transpose_a ? 1 : 0],
                             sa[attrs->transpose_a ? 0 : 1], sb[attrs->transpose_b ? 0 : 1]};
    return s;
}

static wisp_status check_leading(const wispi_rule *rule, const wisp_matmul_attrs *attrs)
{
    const wisp_desc *a = rule->in[0], *b = rule->in[1];
    if (b->rank == 2 && a->rank > 2) {
        if (attrs->transpose_a)
            return wispi_rule_fail(rule, WISP_E_UNSUPPORTED,
                                   "one matrix b goes with a transposed a only when a is a matrix "
                                   "too; permute a first");
        return WISP_OK;
    }
    if (a->rank != b->rank)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "b needs 2 or %d dimensions", a->rank);
    for (int32_t d = 0; d < a->rank - 2; d++)
        if (a->shape[d] != b->shape[d])
            return wispi_rule_fail(rule, WISP_E_SHAPE, "leading sizes %lld and %lld differ",
                                   (long long)a->shape[d], (long long)b->shape[d]);
    return WISP_OK;
}

static wisp_status matmul_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wisp_matmul_attrs *t = attrs;
    const wispi_rule rule = {"matmul", matmul_in, in, n_in, err};
    WISP_TRY(wispi_rule_min_rank(&rule, 0, 2));
    WISP_TRY(wispi_rule_min_rank(&rule, 1, 2));
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_same_dtype(&rule, 1, 0));
    WISP_TRY(check_leading(&rule, t));
    const product_sizes s = sizes_of(t, in[0], in[1]);
    const int64_t inner = in[1]->shape[in[1]->rank - (t->transpose_b ? 1 : 2)];
    if (s.k != inner)
        return wispi_rule_fail(&rule, WISP_E_SHAPE, "inner sizes %lld and %lld differ",
                               (long long)s.k, (long long)inner);
    wisp_desc y = *in[0];
    y.shape[y.rank - 2] = s.m;
    y.shape[y.rank - 1] = s.n;
    WISP_TRY(wispi_rule_countable(&rule, &y));
    out[0] = y;
    return WISP_OK;
}

static void matmul_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)n_in;
    const wisp_matmul_attrs *t = attrs;
    const product_sizes s = sizes_of(t, in[0].desc, in[1].desc);
    const int64_t next_b = in[1].desc->rank > 2 ? s.k * s.n : 0;
    for (int64_t batch = 0; batch < s.batch; batch++) {
        const double *a = in[0].v + batch * s.m * s.k, *b = in[1].v + batch * next_b;
        double *y = out[0].v + batch * s.m * s.n;
        for (int64_t m = 0; m < s.m; m++)
            for (int64_t n = 0; n < s.n; n++) {
                double sum = 0;
                for (int64_t k = 0; k < s.k; k++)
                    sum += a[t->transpose_a ? k * s.m + m : m * s.k + k] *
                           b[t->transpose_b ? n * s.k + k : k * s.n + n];
                y[m * s.n + n] = t->alpha * sum;
            }
    }
}

static double matmul_macs(const void *attrs, const wisp_desc *const *in, const wisp_desc *out)
{
    const product_sizes s = sizes_of(attrs, in[0], in[1]);
    return (double)wisp_desc_count(&out[0]) * (double)s.k;
}

static const wispi_op matmul_op;

static wisp_tensor *product(wispi_grad *grad, wisp_tensor *a, int32_t transpose_a, wisp_tensor *b,
                            int32_t transpose_b, wisp_tensor *target)
{
    const wisp_matmul_attrs *forward = grad->attrs;
    const wisp_matmul_attrs attrs = {transpose_a, transpose_b, forward->alpha};
    wisp_tensor *in[] = {a, b};
    wisp_tensor *out[WISPI_MAX_OUT] = {target};
    wispi_apply(grad->step, &matmul_op, &attrs, in, 2, out);
    return out[0];
}

/* All leading dimensions as rows: (...,M,K) -> (...*M,K). */
static wisp_tensor *as_rows(wisp_step *step, wisp_tensor *x)
{
    const wisp_desc *d = wispi_tensor_desc(x);
    const wisp_desc flat = wisp_desc2(d->dtype, wispi_leading_count(d, 1), wispi_last(d));
    return wispi_reshape(step, x, &flat);
}

/* With A and B the factors as they are multiplied: dA = alpha * dy * B^T, dB = alpha * A^T * dy,
 * each turned back into the order in which the factor is stored. */
static wisp_status matmul_gradient(wispi_grad *grad)
{
    const wisp_matmul_attrs *t = grad->attrs;
    wisp_tensor *a = grad->in[0], *b = grad->in[1], *dy = grad->dout[0];
    if (!dy)
        return WISP_OK;
    if (wispi_grad_wants(grad, 0)) {
        wisp_tensor *target = wispi_grad_target(grad, 0);
        wispi_grad_give(grad, 0,
                        t->transpose_a ? product(grad, b, t->transpose_b, dy, 1, target)
                                       : product(grad, dy, 0, b, !t->transpose_b, target));
    }
    if (wispi_grad_wants(grad, 1)) {
        wisp_tensor *target = wispi_grad_target(grad, 1);
        if (wispi_tensor_desc(b)->rank < wispi_tensor_desc(a)->rank) {
            a = as_rows(grad->step, a);
            dy = as_rows(grad->step, dy);
        }
        wispi_grad_give(grad, 1,
                        t->transpose_b ? product(grad, dy, 1, a, t->transpose_a, target)
                                       : product(grad, a, !t->transpose_a, dy, 0, target));
    }
    return WISP_OK;
}

#define MATMUL(a, b, alpha)                                                                        \
    &(const wisp_matmul_attrs)                                                                     \
    {                                                                                              \
        a, b, alpha                                                                                \
    }

static const wispi_op_case cases[] = {
    {.name = "odd",
     .attrs = MATMUL(0, 0, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(7, 13), WISPI_F32_OF(13, 5)},
     WISPI_UNIT_VALUES},
    {.name = "transposed_a",
     .attrs = MATMUL(1, 0, 0.5),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 5, 7), WISPI_F32_OF(3, 5, 2)},
     WISPI_UNIT_VALUES},
    {.name = "transposed_b",
     .attrs = MATMUL(0, 1, -2),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 3, 4, 17), WISPI_F32_OF(2, 3, 19, 17)},
     WISPI_UNIT_VALUES},
    {.name = "both_transposed",
     .attrs = MATMUL(1, 1, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(2, 6, 3), WISPI_F32_OF(2, 5, 6)},
     WISPI_UNIT_VALUES},
    {.name = "one_b",
     .attrs = MATMUL(0, 0, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 2, 5), WISPI_F32_OF(5, 11)},
     WISPI_UNIT_VALUES},
    {.name = "one_b_transposed",
     .attrs = MATMUL(0, 1, 3),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(3, 2, 5), WISPI_F32_OF(7, 5)},
     WISPI_UNIT_VALUES},
    {.name = "one_value",
     .attrs = MATMUL(0, 0, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(1, 1, 1), WISPI_F32_OF(1, 1, 1)},
     WISPI_UNIT_VALUES},
    {.name = "empty_rows",
     .attrs = MATMUL(0, 0, 1),
     .n_in = 2,
     .n_out = 1,
     .in = {WISPI_F32_OF(0, 4), WISPI_F32_OF(4, 3)},
     WISPI_UNIT_VALUES},
};

static const wispi_op matmul_op = {
    .name = "matmul",
    .attrs_bytes = sizeof(wisp_matmul_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = matmul_in,
    .out_names = matmul_out,
    .infer = matmul_infer,
    .reference = matmul_reference,
    .gradient = matmul_gradient,
    .macs = matmul_macs,
    .cases = cases,
    .n_cases = WISPI_COUNT_OF(cases),
};

static const wispi_op *const ops[] = {&matmul_op};
const wispi_op_family wispi_op_matmul = {ops, WISPI_COUNT_OF(ops)};
