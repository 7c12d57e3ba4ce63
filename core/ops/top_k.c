/* top_k.c - the k largest of each row, largest first; of equal ones the lower index first.
 *
 * The gradient goes back to where the values came from, which is what gather_tokens_grad does. */
#include "ops/rule.h"

extern const wispi_op_family wispi_op_gather;

static const char *const in_names[] = {"x"};
static const char *const out_names[] = {"values", "index"};

static wisp_status infer(const void *attrs, const wisp_desc *const *in, int32_t n_in,
                         wisp_desc *out, wisp_error *err)
{
    const wispi_rule rule = {"top_k", in_names, in, n_in, err};
    const wisp_top_k_attrs *t = attrs;
    WISP_TRY(wispi_rule_float(&rule, 0));
    WISP_TRY(wispi_rule_rank(&rule, 0, 2));
    if (t->k < 1 || t->k > in[0]->shape[1])
        return wispi_rule_fail(&rule, WISP_E_INVALID, "attrs.k must be in 1..%lld, not %lld",
                               (long long)in[0]->shape[1], (long long)t->k);
    out[0] = wisp_desc2(in[0]->dtype, in[0]->shape[0], t->k);
    out[1] = wisp_desc2(WISP_I64, in[0]->shape[0], t->k);
    return WISP_OK;
}

/* Every element is put behind those that are not smaller; the list never grows beyond k. */
static void top_of_row(const double *x, int64_t M, int64_t k, double *values, double *index)
{
    int64_t n = 0;
    for (int64_t m = 0; m < M; m++) {
        int64_t at = n;
        while (at > 0 && values[at - 1] < x[m])
            at--;
        if (at == k)
            continue;
        n += n < k;
        for (int64_t i = n - 1; i > at; i--) {
            values[i] = values[i - 1];
            index[i] = index[i - 1];
        }
        values[at] = x[m];
        index[at] = (double)m;
    }
}

static void reference(const void *attrs, const wispi_ref *in, int32_t n_in, wispi_ref *out)
{
    const wisp_top_k_attrs *t = attrs;
    const int64_t N = in[0].desc->shape[0], M = in[0].desc->shape[1];
    (void)n_in;
    for (int64_t n = 0; n < N; n++)
        top_of_row(in[0].v + n * M, M, t->k, out[0].v + n * t->k, out[1].v + n * t->k);
}

static wisp_status gradient(wispi_grad *grad)
{
    const wisp_gather_attrs attrs = {wispi_tensor_desc(grad->in[0])->shape[1]};
    const wispi_op *gather_tokens_grad = wispi_op_gather.ops[3];
    wisp_tensor *in[2] = {grad->dout[0], grad->out[1]};
    wispi_grad_by(grad, 0, gather_tokens_grad, &attrs, in, 2);
    return WISP_OK;
}

#define TOP_CASE(text, k, n, m, x_low, x_high)                                                     \
    {                                                                                              \
        .name = text, .attrs = &(const wisp_top_k_attrs){k}, .n_in = 1, .n_out = 2,                \
        .in = {{WISP_F32, 2, {n, m}}}, .low = {x_low}, .high = {                                   \
            x_high                                                                                 \
        }                                                                                          \
    }

static const double three_values[] = {1, 2, 2, 0, 1, 2, 0, 1, 2, 1, 0, 0, 0, 0};

static const wispi_op_case cases[] = {
    TOP_CASE("odd", 5, 3, 67, -1, 1),
    TOP_CASE("first", 1, 7, 131, -1, 1),
    TOP_CASE("all", 13, 2, 13, -1, 1),
    TOP_CASE("neighbours", 21, 2, 1025, -1, 1),
    {.name = "long", /* the same values again and again, as bf16 */
     .attrs = &(const wisp_top_k_attrs){200},
     .n_in = 1,
     .n_out = 2,
     .in = {{WISP_F32, 2, {3, 20000}}},
     .low = {-1},
     .high = {1},
     .skip_grad = 1},
    {.name = "many",
     .attrs = &(const wisp_top_k_attrs){300},
     .n_in = 1,
     .n_out = 2,
     .in = {{WISP_F32, 2, {2, 9001}}},
     .low = {-1},
     .high = {1},
     .skip_grad = 1},
    {.name = "ties",
     .attrs = &(const wisp_top_k_attrs){5},
     .n_in = 1,
     .n_out = 2,
     .in = {{WISP_F32, 2, {2, 7}}},
     .skip_grad = 1,
     .values = {three_values}},
};

static const wispi_op top_k = {
    .name = "top_k",
    .attrs_bytes = sizeof(wisp_top_k_attrs),
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .in_names = in_names,
    .out_names = out_names,
    .infer = infer,
    .reference = reference,
    .gradient = gradient,
    .cases = cases,
    .n_cases = sizeof cases / sizeof *cases,
};

static const wispi_op *const family[] = {&top_k};
const wispi_op_family wispi_op_top_k = {family, sizeof family / sizeof *family};
