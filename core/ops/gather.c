/* gather.c - rows by index, of a table or of every sample's tokens.
 *
 * gather_rows is gather_tokens for one sample, so both share their loops over
 * x (B,T,row), index (B,M), y (B,M,row). An index outside 0..T-1 gives NaN (0 in integer tensors)
 * and receives no gradient: nothing is read or written out of bounds, and a wrong index is seen. */
#include "ops/rule.h"

#include <math.h>

static const char *const gather_names[] = {"x", "index"};
static const char *const gather_out_names[] = {"y"};
static const char *const grad_names[] = {"dy", "index"};
static const char *const grad_out_names[] = {"dx"};

/* Judges the index against the leading `batch` dimensions of argument 0; with `own_rows`, that
 * argument has the index's own rows (dy), else any number of them (x). */
static wisp_status judge(const wispi_rule *rule, int32_t batch, int own_rows)
{
    WISP_TRY(wispi_rule_min_rank(rule, 0, batch + 1));
    WISP_TRY(wispi_rule_dtype(rule, 1, WISP_I64));
    WISP_TRY(wispi_rule_rank(rule, 1, batch + 1));
    const int64_t *x = rule->in[0]->shape, *index = rule->in[1]->shape;
    if (batch && x[0] != index[0])
        return wispi_rule_fail(rule, WISP_E_SHAPE, "batch sizes %lld and %lld differ",
                               (long long)x[0], (long long)index[0]);
    if (own_rows && x[batch] != index[batch])
        return wispi_rule_fail(rule, WISP_E_SHAPE, "row counts %lld and %lld differ",
                               (long long)x[batch], (long long)index[batch]);
    return WISP_OK;
}

static wisp_status infer_gather(const wispi_rule *rule, int32_t batch, wisp_desc *out)
{
    WISP_TRY(judge(rule, batch, 0));
    wisp_desc y = *rule->in[0];
    y.shape[batch] = rule->in[1]->shape[batch];
    WISP_TRY(wispi_rule_countable(rule, &y));
    out[0] = y;
    return WISP_OK;
}

static wisp_status infer_grad(const wispi_rule *rule, int32_t batch, const wisp_gather_attrs *t,
                              wisp_desc *out)
{
    WISP_TRY(wispi_rule_float(rule, 0));
    WISP_TRY(judge(rule, batch, 1));
    if (t->rows < 0)
        return wispi_rule_fail(rule, WISP_E_INVALID, "attrs.rows is %lld", (long long)t->rows);
    wisp_desc dx = *rule->in[0];
    dx.shape[batch] = t->rows;
    WISP_TRY(wispi_rule_countable(rule, &dx));
    out[0] = dx;
    return WISP_OK;
}

/* How an x (B,T,row) is walked; for gather_rows B is 1. */
typedef struct walk {
    int64_t B, T, M, row;
} walk;

static walk walk_of(const wisp_desc *x, const wisp_desc *index, int32_t batch)
{
    walk w = {batch ? x->shape[0] : 1, x->shape[batch], index->shape[batch], 1};
    for (int32_t d = batch + 1; d < x->rank; d++)
        w.row *= x->shape[d];
    return w;
}

static void gather(const wispi_ref *in, wispi_ref *out, int32_t batch)
{
    const walk w = walk_of(in[0].desc, in[1].desc, batch);
    const int is_float = in[0].desc->dtype == WISP_F32 || in[0].desc->dtype == WISP_BF16;
    for (int64_t b = 0; b < w.B; b++)
        for (int64_t m = 0; m < w.M; m++) {
            const double t = in[1].v[b * w.M + m];
            const int inside = t >= 0 && t < (double)w.T;
            for (int64_t r = 0; r < w.row; r++)
                out[0].v[(b * w.M + m) * w.row + r] =
                    inside     ? in[0].v[(b * w.T + (int64_t)t) * w.row + r]
                    : is_float ? NAN
                               : 0;
        }
}

static void scatter(const wispi_ref *in, wispi_ref *out, int32_t batch)
{
    const walk w = walk_of(out[0].desc, in[1].desc, batch);
    for (int64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = 0;
    for (int64_t b = 0; b < w.B; b++)
        for (int64_t m = 0; m < w.M; m++) {
            const double t = in[1].v[b * w.M + m];
            if (!(t >= 0 && t < (double)w.T))
                continue;
            for (int64_t r = 0; r < w.row; r++)
                out[0].v[(b * w.T + (int64_t)t) * w.row + r] += in[0].v[(b * w.M + m) * w.row + r];
        }
}

static wisp_status rows_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                              wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"gather_rows", gather_names, in, n_in, err};
    (void)attrs;
    return infer_gather(&rule, 0, out);
}

static wisp_status rows_grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                   wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"gather_rows_grad", grad_names, in, n_in, err};
    return infer_grad(&rule, 0, attrs, out);
}

static wisp_status tokens_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"gather_tokens", gather_names, in, n_in, err};
    (void)attrs;
    return infer_gather(&rule, 1, out);
}

static wisp_status tokens_grad_infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                                     wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"gather_tokens_grad", grad_names, in, n_in, err};
    return infer_grad(&rule, 1, attrs, out);
}

static void rows_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs, (void)n_in;
    gather(in, out, 0);
}

static void rows_grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                wispi_ref *out)
{
    (void)attrs, (void)n_in;
    scatter(in, out, 0);
}

static void tokens_reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    (void)attrs, (void)n_in;
    gather(in, out, 1);
}

static void tokens_grad_reference(const void *attrs, const wispi_ref *in, int32_t n_in,
                                  wispi_ref *out)
{
    (void)attrs, (void)n_in;
    scatter(in, out, 1);
}

static const wispi_op gather_rows_grad;
static const wispi_op gather_tokens_grad;

static wisp_status rows_gradient(wispi_grad *grad)
{
    const wisp_gather_attrs attrs = {wispi_tensor_desc(grad->in[0])->shape[0]};
    wisp_tensor *in[2] = {grad->dout[0], grad->in[1]};
    wispi_grad_by(grad, 0, &gather_rows_grad, &attrs, in, 2);
    return WISP_OK;
}

static wisp_status tokens_gradient(wispi_grad *grad)
{
    const wisp_gather_attrs attrs = {wispi_tensor_desc(grad->in[0])->shape[1]};
    wisp_tensor *in[2] = {grad->dout[0], grad->in[1]};
    wispi_grad_by(grad, 0, &gather_tokens_grad, &attrs, in, 2);
    return WISP_OK;
}

#define ROWS(rows)                                                                                 \
    &(const wisp_gather_attrs)                                                                     \
    {                                                                                              \
        rows                                                                                       \
    }

static const wispi_op_case rows_cases[] = {
    {.name = "repeated",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 17}}, {WISP_I64, 1, {13}}},
     .low = {-1, 0},
     .high = {1, 5}},
    {.name = "wide",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {37, 64}}, {WISP_I64, 1, {130}}},
     .low = {-1, 0},
     .high = {1, 37}},
    {.name = "maps",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 4, {7, 2, 3, 5}}, {WISP_I64, 1, {3}}},
     .low = {-1, 0},
     .high = {1, 7}},
    {.name = "values",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 1, {131}}, {WISP_I64, 1, {67}}},
     .low = {-1, 0},
     .high = {1, 131}},
    {.name = "outside",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_I64, 2, {5, 3}}, {WISP_I64, 1, {17}}},
     .low = {1, -2},
     .high = {9, 7}},
    {.name = "labels",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_I64, 1, {5}}, {WISP_I64, 1, {7}}},
     .low = {-9, 0},
     .high = {9, 5}},
};

static const wispi_op_case rows_grad_cases[] = {
    {.name = "repeated",
     .attrs = ROWS(5),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {13, 17}}, {WISP_I64, 1, {13}}},
     .low = {-1, 0},
     .high = {1, 5}},
    {.name = "maps",
     .attrs = ROWS(7),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 4, {3, 2, 3, 5}}, {WISP_I64, 1, {3}}},
     .low = {-1, 0},
     .high = {1, 7}},
    {.name = "wide",
     .attrs = ROWS(37),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {130, 64}}, {WISP_I64, 1, {130}}},
     .low = {-1, -2}, /* some lie outside */
     .high = {1, 39}},
    {.name = "all-to-one",
     .attrs = ROWS(3),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {67, 3}}, {WISP_I64, 1, {67}}},
     .low = {-1, 1},
     .high = {1, 2}},
};

static const wispi_op_case tokens_cases[] = {
    {.name = "some",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {3, 10, 17}}, {WISP_I64, 2, {3, 4}}},
     .low = {-1, 0},
     .high = {1, 10}},
    {.name = "repeated",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 3, 5}}, {WISP_I64, 2, {2, 11}}},
     .low = {-1, 0},
     .high = {1, 3}},
    {.name = "values",
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 67}}, {WISP_I64, 2, {5, 7}}},
     .low = {-1, 0},
     .high = {1, 67}},
};

static const wispi_op_case tokens_grad_cases[] = {
    {.name = "some",
     .attrs = ROWS(10),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {3, 4, 17}}, {WISP_I64, 2, {3, 4}}},
     .low = {-1, 0},
     .high = {1, 10}},
    {.name = "repeated",
     .attrs = ROWS(3),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {2, 11, 5}}, {WISP_I64, 2, {2, 11}}},
     .low = {-1, 0},
     .high = {1, 3}},
    {.name = "wide",
     .attrs = ROWS(90),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 3, {3, 50, 72}}, {WISP_I64, 2, {3, 50}}},
     .low = {-1, 0},
     .high = {1, 90}},
    {.name = "values",
     .attrs = ROWS(67),
     .n_in = 2,
     .n_out = 1,
     .in = {{WISP_F32, 2, {5, 7}}, {WISP_I64, 2, {5, 7}}},
     .low = {-1, 0},
     .high = {1, 67}},
};

static const wispi_op gather_rows = {
    .name = "gather_rows",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = gather_names,
    .out_names = gather_out_names,
    .infer = rows_infer,
    .reference = rows_reference,
    .gradient = rows_gradient,
    .cases = rows_cases,
    .n_cases = sizeof rows_cases / sizeof *rows_cases,
};

static const wispi_op gather_rows_grad = {
    .name = "gather_rows_grad",
    .attrs_bytes = sizeof(wisp_gather_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = rows_grad_infer,
    .reference = rows_grad_reference,
    .cases = rows_grad_cases,
    .n_cases = sizeof rows_grad_cases / sizeof *rows_grad_cases,
};

static const wispi_op gather_tokens = {
    .name = "gather_tokens",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = gather_names,
    .out_names = gather_out_names,
    .infer = tokens_infer,
    .reference = tokens_reference,
    .gradient = tokens_gradient,
    .cases = tokens_cases,
    .n_cases = sizeof tokens_cases / sizeof *tokens_cases,
};

static const wispi_op gather_tokens_grad = {
    .name = "gather_tokens_grad",
    .attrs_bytes = sizeof(wisp_gather_attrs),
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_names = grad_names,
    .out_names = grad_out_names,
    .infer = tokens_grad_infer,
    .reference = tokens_grad_reference,
    .cases = tokens_grad_cases,
    .n_cases = sizeof tokens_grad_cases / sizeof *tokens_grad_cases,
};

static const wispi_op *const family[] = {&gather_rows, &gather_rows_grad, &gather_tokens,
                                         &gather_tokens_grad};
const wispi_op_family wispi_op_gather = {family, sizeof family / sizeof *family};
