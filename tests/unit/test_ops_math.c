/* What the operations of elementwise maths, losses, data movement and optimisers refuse, and what
 * their reference kernels do at the edges. Their values are judged by test_ops_golden.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/op.h"

/* --- refusals --- */

typedef struct refusal {
    const char *op;
    const void *attrs;
    int32_t n_in;
    wisp_desc in[9];
    wisp_status status;
    const char *message; /* the whole of it */
} refusal;

#define F(...)                                                                                     \
    {                                                                                              \
        WISP_F32, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define B(...)                                                                                     \
    {                                                                                              \
        WISP_BF16, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define I(...)                                                                                     \
    {                                                                                              \
        WISP_I64, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define F0                                                                                         \
    {                                                                                              \
        WISP_F32, 0,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define I0                                                                                         \
    {                                                                                              \
        WISP_I64, 0,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define HUGE_SIZE ((int64_t)1 << 40)

static const wisp_unary_attrs no_kind = {0, 0, 0, 0}, bad_clamp = {2, 1, WISP_UNARY_CLAMP, 0};
static const wisp_unary_attrs relu = {0, 0, WISP_UNARY_RELU, 0};
static const wisp_binary_attrs plus = {WISP_BINARY_ADD, 0}, no_binary = {7, 0};
static const wisp_reduce_attrs no_axes = {WISP_REDUCE_SUM, 0, 0, 0},
                               third = {WISP_REDUCE_SUM, 4, 0, 0};
static const wisp_reduce_attrs mean_rows = {WISP_REDUCE_MEAN, 1, 0, 0};
static const wisp_reduce_attrs max_rows = {WISP_REDUCE_MAX, 1, 0, 0};
static const wisp_broadcast_attrs to_35 = {1, {3, 5}, 2, 0}, no_scale = {0, {3, 5}, 2, 0};
static const wisp_broadcast_attrs to_huge = {1, {HUGE_SIZE, HUGE_SIZE}, 2, 0};
static const wisp_broadcast_attrs to_rank_7 = {1, {3, 5}, 7, 0}, to_minus = {1, {3, -5}, 2, 0};
static const wisp_cast_attrs to_nothing = {9, 0};
static const wisp_fill_attrs huge_fill = {{WISP_F32, 2, {HUGE_SIZE, HUGE_SIZE}}, 0};
static const wisp_fill_attrs minus_fill = {{WISP_F32, 1, {-1}}, 0};
static const wisp_softmax_attrs plain_softmax = {1, 0, 0}, zero_softmax = {0, 0, 0};
static const wisp_cross_entropy_attrs plain_ce = {1};
static const wisp_pair_cross_entropy_attrs pairs_42 = {10, 4, 2}, pairs_00 = {10, 0, 0};
static const wisp_l2_normalize_attrs eps = {1e-12}, no_eps = {0};
static const wisp_axis_attrs axis_0 = {0, 0, 0, 0}, axis_2 = {0, 0, 2, 0}, from_3 = {3, 3, 0, 0};
static const wisp_axis_attrs minus_start = {-1, 2, 0, 0};
static const wisp_permute_attrs twice = {{1, 1}}, outside = {{0, 2}};
static const wisp_gather_attrs minus_rows = {-1}, huge_rows = {INT64_MAX};
static const wisp_drop_path_attrs always = {1, 0};
static const wisp_uniform_attrs negative = {-1, 0}, some = {3, 0};
static const wisp_top_k_attrs top_6 = {6}, top_0 = {0};
static const wisp_sgd_attrs nesterov_lars = {0.9, 0.001, 1, 0}, no_trust = {0.9, 0, 0, 0};
static const wisp_sgd_attrs momentum_1 = {1, 0, 0, 0}, empty_nesterov = {0, 0, 1, 0};
static const wisp_sgd_attrs plain_sgd = {0.9, 0, 0, 0};
static const wisp_adamw_attrs adam = {0.9, 0.999, 1e-8}, no_adam_eps = {0.9, 0.999, 0};
static const wisp_clip_attrs no_limit = {0, 0, 0};

static const refusal refusals[] = {
    {"unary",
     &no_kind,
     1,
     {F(3)},
     WISP_E_INVALID,
     "unary: x is (3): attrs.kind 0 is not a WISP_UNARY_ value"},
    {"unary", &bad_clamp, 1, {F(3)}, WISP_E_INVALID, "unary: x is (3): cannot clamp into [2, 1]"},
    {"unary", &relu, 1, {I(3)}, WISP_E_DTYPE, "unary: x is i64(3): x must be f32 or bf16"},
    {"unary", &relu, 1, {{0, 0, {0}}}, WISP_E_INVALID, "unary: x is missing"},
    {"unary_grad",
     &relu,
     3,
     {F(3, 4), F(3, 4), F(4, 3)},
     WISP_E_SHAPE,
     "unary_grad: dy is (3,4), x is (3,4), y is (4,3): y must be (3,4)"},
    {"binary",
     &plus,
     2,
     {F(3, 4), F(3)},
     WISP_E_SHAPE,
     "binary: a is (3,4), b is (3): sizes 4 and 3 do not broadcast against each other"},
    {"binary",
     &plus,
     2,
     {B(3), F(3)},
     WISP_E_DTYPE,
     "binary: a is bf16(3), b is f32(3): b and a must have one data type"},
    {"binary",
     &no_binary,
     2,
     {F(3), F(3)},
     WISP_E_INVALID,
     "binary: a is (3), b is (3): attrs.kind 7 is not a WISP_BINARY_ value"},
    {"binary",
     &plus,
     2,
     {F(HUGE_SIZE, 1), F(1, HUGE_SIZE)},
     WISP_E_SHAPE,
     "binary: a is (1099511627776,1), b is (1,1099511627776): the result has too many elements"},
    {"reduce",
     &no_axes,
     1,
     {F(3, 4)},
     WISP_E_INVALID,
     "reduce: x is (3,4): attrs.axes 0x0 must name some of the 2 dimensions"},
    {"reduce",
     &third,
     1,
     {F(3, 4)},
     WISP_E_INVALID,
     "reduce: x is (3,4): attrs.axes 0x4 must name some of the 2 dimensions"},
    {"reduce",
     &mean_rows,
     1,
     {F(0, 4)},
     WISP_E_SHAPE,
     "reduce: x is (0,4): no mean or maximum over no elements"},
    {"reduce_max_grad",
     &max_rows,
     2,
     {F(3), F(3, 4)},
     WISP_E_SHAPE,
     "reduce_max_grad: dy is (3), x is (3,4): dy must be (4)"},
    {"broadcast",
     &to_35,
     1,
     {F(4)},
     WISP_E_SHAPE,
     "broadcast: x is (4): x does not broadcast to (3,5)"},
    {"broadcast",
     &to_35,
     1,
     {F(1, 1, 5)},
     WISP_E_SHAPE,
     "broadcast: x is (1,1,5): x does not broadcast to (3,5)"},
    {"broadcast",
     &no_scale,
     1,
     {F(5)},
     WISP_E_INVALID,
     "broadcast: x is (5): attrs.scale must be finite and not 0, not 0"},
    {"broadcast",
     &to_huge,
     1,
     {F(1)},
     WISP_E_SHAPE,
     "broadcast: x is (1): the result has too many elements"},
    {"broadcast",
     &to_rank_7,
     1,
     {F(1)},
     WISP_E_SHAPE,
     "broadcast: x is (1): the result would have 7 dimensions, over 6"},
    {"broadcast",
     &to_minus,
     1,
     {F(1)},
     WISP_E_SHAPE,
     "broadcast: x is (1): the result would have a negative size"},
    {"cast",
     &to_nothing,
     1,
     {F(1)},
     WISP_E_INVALID,
     "cast: x is (1): attrs.dtype 9 is not a data type"},
    {"fill", &huge_fill, 0, {{0, 0, {0}}}, WISP_E_SHAPE, "fill: the result has too many elements"},
    {"fill",
     &minus_fill,
     0,
     {{0, 0, {0}}},
     WISP_E_SHAPE,
     "fill: the result would have a negative size"},
    {"accumulate",
     NULL,
     2,
     {B(3), F(3)},
     WISP_E_DTYPE,
     "accumulate: x is bf16(3), y is f32(3): x and y must have one data type"},
    {"accumulate",
     NULL,
     2,
     {F(4), F(3)},
     WISP_E_SHAPE,
     "accumulate: x is (4), y is (3): x must be (3)"},
    {"softmax",
     &zero_softmax,
     1,
     {F(3, 4)},
     WISP_E_INVALID,
     "softmax: x is (3,4): attrs.scale must be finite and not 0, not 0"},
    {"softmax",
     &plain_softmax,
     1,
     {F(3, 0)},
     WISP_E_SHAPE,
     "softmax: x is (3,0): dimension 1 of x is empty"},
    {"softmax",
     &plain_softmax,
     2,
     {F(3, 4), F(1, 4)},
     WISP_E_SHAPE,
     "softmax: x is (3,4), shift is (1,4): shift must be (4)"},
    {"softmax",
     &plain_softmax,
     3,
     {F(3, 4), {0, 0, {0}}, F(1)},
     WISP_E_SHAPE,
     "softmax: x is (3,4), scale is (1): scale must be ()"},
    {"cross_entropy",
     &plain_ce,
     2,
     {F(3, 4), I(4)},
     WISP_E_SHAPE,
     "cross_entropy: logits is (3,4), labels is (4): labels must be (3)"},
    {"cross_entropy",
     &plain_ce,
     2,
     {F(3, 4), F(3)},
     WISP_E_DTYPE,
     "cross_entropy: logits is f32(3,4), labels is f32(3): labels must be i64"},
    {"cross_entropy",
     &plain_ce,
     2,
     {F(0, 4), I(0)},
     WISP_E_SHAPE,
     "cross_entropy: logits is (0,4), labels is (0): dimension 0 of logits is empty"},
    {"pair_cross_entropy",
     &pairs_42,
     3,
     {F(10, 4), F(4, 4), F(2, 4)},
     WISP_E_SHAPE,
     "pair_cross_entropy: logits is (10,4), targets is (4,4), weights is (2,4): 10 rows are not a "
     "multiple of 4 views"},
    {"pair_cross_entropy",
     &pairs_42,
     3,
     {F(12, 4), F(4, 4), F(2, 4)},
     WISP_E_SHAPE,
     "pair_cross_entropy: logits is (12,4), targets is (4,4), weights is (2,4): 4 views have 3 "
     "rows "
     "each, 2 targets have 4 rows together"},
    {"pair_cross_entropy",
     &pairs_42,
     3,
     {F(12, 4), F(6, 5), F(2, 4)},
     WISP_E_SHAPE,
     "pair_cross_entropy: logits is (12,4), targets is (6,5), weights is (2,4): row sizes 4 and 5 "
     "differ"},
    {"pair_cross_entropy",
     &pairs_42,
     3,
     {F(12, 4), F(6, 4), F(4, 2)},
     WISP_E_SHAPE,
     "pair_cross_entropy: logits is (12,4), targets is (6,4), weights is (4,2): weights must be "
     "(2,4)"},
    {"pair_cross_entropy",
     &pairs_42,
     3,
     {F(12, 4), B(6, 4), F(2, 4)},
     WISP_E_DTYPE,
     "pair_cross_entropy: logits is f32(12,4), targets is bf16(6,4), weights is f32(2,4): targets "
     "and logits must have one data type"},
    {"pair_cross_entropy",
     &pairs_00,
     3,
     {F(12, 4), F(6, 4), F(2, 4)},
     WISP_E_INVALID,
     "pair_cross_entropy: logits is (12,4), targets is (6,4), weights is (2,4): 0 views against 0 "
     "targets"},
    {"l2_normalize",
     &eps,
     1,
     {F0},
     WISP_E_SHAPE,
     "l2_normalize: x is (): x needs 1 dimensions or more, not 0"},
    {"l2_normalize",
     &no_eps,
     1,
     {F(3)},
     WISP_E_INVALID,
     "l2_normalize: x is (3): attrs.eps must be above 0, not 0"},
    {"weight_norm",
     NULL,
     2,
     {F(3, 4), F(3)},
     WISP_E_SHAPE,
     "weight_norm: v is (3,4), g is (3): g must be (3,1)"},
    {"weight_norm",
     NULL,
     2,
     {B(3, 4), F(3, 1)},
     WISP_E_DTYPE,
     "weight_norm: v is bf16(3,4), g is f32(3,1): v must be f32"},
    {"concat",
     &axis_2,
     2,
     {F(3, 4), F(3, 4)},
     WISP_E_INVALID,
     "concat: x0 is (3,4), x1 is (3,4): axis 2 is not in 0..1"},
    {"concat",
     &axis_0,
     2,
     {F(3, 4), F(3, 5)},
     WISP_E_SHAPE,
     "concat: x0 is (3,4), x1 is (3,5): x1 and x0 may differ along axis 0 alone"},
    {"concat",
     &axis_0,
     2,
     {F(3, 4), F(3)},
     WISP_E_SHAPE,
     "concat: x0 is (3,4), x1 is (3): x1 and x0 may differ along axis 0 alone"},
    {"concat",
     &axis_0,
     2,
     {F(3), I(3)},
     WISP_E_DTYPE,
     "concat: x0 is f32(3), x1 is i64(3): x1 and x0 must have one data type"},
    {"concat",
     &axis_0,
     2,
     {F(INT64_MAX), F(2)},
     WISP_E_SHAPE,
     "concat: x0 is (9223372036854775807), x1 is (2): the result has too many elements"},
    {"slice",
     &from_3,
     1,
     {F(5, 2)},
     WISP_E_SHAPE,
     "slice: x is (5,2): 3 elements from 3 on are not among 5"},
    {"slice",
     &minus_start,
     1,
     {F(5)},
     WISP_E_SHAPE,
     "slice: x is (5): 2 elements from -1 on are not among 5"},
    {"slice_grad",
     &from_3,
     1,
     {F(2)},
     WISP_E_SHAPE,
     "slice_grad: dy is (2): 2 elements from 3 on are not among 3"},
    {"permute",
     &twice,
     1,
     {F(3, 4)},
     WISP_E_INVALID,
     "permute: x is (3,4): attrs.order must name each of 0..1 once; entry 1 is 1"},
    {"permute",
     &outside,
     1,
     {F(3, 4)},
     WISP_E_INVALID,
     "permute: x is (3,4): attrs.order must name each of 0..1 once; entry 1 is 2"},
    {"gather_rows",
     NULL,
     2,
     {F(3, 4), F(2)},
     WISP_E_DTYPE,
     "gather_rows: x is f32(3,4), index is f32(2): index must be i64"},
    {"gather_rows_grad",
     &minus_rows,
     2,
     {F(2, 4), I(2)},
     WISP_E_INVALID,
     "gather_rows_grad: dy is (2,4), index is (2): attrs.rows is -1"},
    {"gather_rows_grad",
     &huge_rows,
     2,
     {F(2, 4), I(2)},
     WISP_E_SHAPE,
     "gather_rows_grad: dy is (2,4), index is (2): the result has too many elements"},
    {"gather_rows_grad",
     &huge_rows,
     2,
     {F(3, 4), I(2)},
     WISP_E_SHAPE,
     "gather_rows_grad: dy is (3,4), index is (2): row counts 3 and 2 differ"},
    {"gather_tokens",
     NULL,
     2,
     {F(3, 4, 5), I(2, 2)},
     WISP_E_SHAPE,
     "gather_tokens: x is (3,4,5), index is (2,2): batch sizes 3 and 2 differ"},
    {"gather_tokens",
     NULL,
     2,
     {F(3), I(3, 2)},
     WISP_E_SHAPE,
     "gather_tokens: x is (3), index is (3,2): x needs 2 dimensions or more, not 1"},
    {"drop_path",
     &always,
     2,
     {F(3), {WISP_I32, 1, {2}}},
     WISP_E_INVALID,
     "drop_path: x is (3), key is (2): attrs.p must be in [0, 1), not 1"},
    {"uniform",
     &negative,
     1,
     {{WISP_I32, 1, {2}}},
     WISP_E_SHAPE,
     "uniform: key is (2): the result would have a negative size"},
    {"uniform", &some, 1, {F(2)}, WISP_E_DTYPE, "uniform: key is f32(2): key must be i32"},
    {"lerp",
     NULL,
     3,
     {F(3), F(4), F0},
     WISP_E_SHAPE,
     "lerp: buffer is (3), x is (4), m is (): x must be (3)"},
    {"lerp",
     NULL,
     3,
     {F(3), F(3), F(1)},
     WISP_E_SHAPE,
     "lerp: buffer is (3), x is (3), m is (1): m must be ()"},
    {"ring_write",
     NULL,
     3,
     {F(3, 2), I0, F(4, 2)},
     WISP_E_SHAPE,
     "ring_write: ring is (3,2), cursor is (), rows is (4,2): 4 rows do not fit into a ring of 3"},
    {"ring_write",
     NULL,
     3,
     {F(3, 2), I0, F(2, 3)},
     WISP_E_SHAPE,
     "ring_write: ring is (3,2), cursor is (), rows is (2,3): rows must be (2,2)"},
    {"ring_write",
     NULL,
     3,
     {I(3), I0, F(2)},
     WISP_E_DTYPE,
     "ring_write: ring is i64(3), cursor is i64(), rows is f32(2): ring must be f32 or bf16"},
    {"top_k",
     &top_6,
     1,
     {F(3, 5)},
     WISP_E_INVALID,
     "top_k: x is (3,5): attrs.k must be in 1..5, not 6"},
    {"top_k",
     &top_0,
     1,
     {F(3, 5)},
     WISP_E_INVALID,
     "top_k: x is (3,5): attrs.k must be in 1..5, not 0"},
    {"segment_norms",
     NULL,
     2,
     {F(9), I(2, 3)},
     WISP_E_SHAPE,
     "segment_norms: x is (9), segments is (2,3): segments must have 4 columns"},
    {"clip_segments",
     &no_limit,
     3,
     {F(9), I(2, 4), F(2)},
     WISP_E_INVALID,
     "clip_segments: grad is (9), segments is (2,4), norms is (2): attrs.limit must be above 0, "
     "not 0"},
    {"sgd_update",
     &plain_sgd,
     7,
     {F(9), F(9), F(8), I(2, 4), F(2, 2), F0, F0},
     WISP_E_SHAPE,
     "sgd_update: p is (9), grad is (9), momentum is (8), segments is (2,4), rules is (2,2), lr is "
     "(), wd is (): momentum must be (9)"},
    {"sgd_update",
     &momentum_1,
     7,
     {F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0},
     WISP_E_INVALID,
     "sgd_update: p is (9), grad is (9), momentum is (9), segments is (2,4), rules is (2,2), lr is "
     "(), wd is (): attrs.momentum must be in [0, 1), not 1"},
    {"sgd_update",
     &empty_nesterov,
     7,
     {F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0},
     WISP_E_INVALID,
     "sgd_update: p is (9), grad is (9), momentum is (9), segments is (2,4), rules is (2,2), lr is "
     "(), wd is (): nesterov needs a momentum above 0"},
    {"lars_update",
     &nesterov_lars,
     7,
     {F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0},
     WISP_E_INVALID,
     "lars_update: p is (9), grad is (9), momentum is (9), segments is (2,4), rules is (2,2), lr "
     "is "
     "(), wd is (): lars has no nesterov form"},
    {"lars_update",
     &no_trust,
     7,
     {F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0},
     WISP_E_INVALID,
     "lars_update: p is (9), grad is (9), momentum is (9), segments is (2,4), rules is (2,2), lr "
     "is "
     "(), wd is (): attrs.trust must be above 0, not 0"},
    {"adamw_update",
     &adam,
     9,
     {F(9), F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0, I(3)},
     WISP_E_SHAPE,
     "adamw_update: p is (9), grad is (9), m is (9), v is (9), segments is (2,4), rules is (2,2), "
     "lr is (), wd is (), step is (3): step must be (2)"},
    {"adamw_update",
     &no_adam_eps,
     9,
     {F(9), F(9), F(9), F(9), I(2, 4), F(2, 2), F0, F0, I0},
     WISP_E_INVALID,
     "adamw_update: p is (9), grad is (9), m is (9), v is (9), segments is (2,4), rules is (2,2), "
     "lr is (), wd is (), step is (): attrs.eps must be above 0, not 0"},
    {"ema_update",
     NULL,
     4,
     {F(9), F(9), I(2, 4), F(2)},
     WISP_E_SHAPE,
     "ema_update: target is (9), source is (9), segments is (2,4), m is (2): m must be ()"},
};

static const uint8_t no_attrs[256];

START_TEST(refuses_with_reasons)
{
    const refusal *r = &refusals[_i];
    const wispi_op *op = wispi_op_find(r->op);
    const wisp_desc *in[9];
    wisp_desc out[WISPI_MAX_OUT], untouched[WISPI_MAX_OUT];
    wisp_error err = {0};
    ck_assert_ptr_nonnull(op);
    for (int32_t i = 0; i < r->n_in; i++)
        in[i] = r->in[i].dtype ? &r->in[i] : NULL;
    memset(out, 0x5a, sizeof out);
    memset(untouched, 0x5a, sizeof untouched);
    ck_assert_int_eq(op->infer(r->attrs ? r->attrs : no_attrs, in, r->n_in, out, &err), r->status);
    ck_assert_int_eq(err.code, r->status);
    ck_assert_str_eq(err.message, r->message);
    ck_assert_mem_eq(out, untouched, sizeof out);
}
END_TEST

/* Every case of every operation must be acceptable, and an absent argument must not crash. */
START_TEST(survives_absent_arguments)
{
    const wispi_op_family *family = wispi_op_families[_i];
    for (int32_t k = 0; k < family->n_ops; k++) {
        const wispi_op *op = family->ops[k];
        for (int32_t c = 0; c < op->n_cases; c++) {
            const wispi_op_case *sample = &op->cases[c];
            for (int32_t absent = -1; absent < sample->n_in; absent++) {
                const wisp_desc *in[WISPI_MAX_IN] = {NULL};
                wisp_desc out[WISPI_MAX_OUT] = {{0}};
                wisp_error err = {0};
                for (int32_t i = 0; i < sample->n_in; i++)
                    in[i] = sample->in[i].dtype && i != absent ? &sample->in[i] : NULL;
                const wisp_status status = op->infer(sample->attrs ? sample->attrs : no_attrs, in,
                                                     sample->n_in, out, &err);
                if (absent < 0)
                    ck_assert_msg(status == WISP_OK, "%s/%s: %s", op->name, sample->name,
                                  err.message);
                else if (status != WISP_OK)
                    ck_assert_str_ne(err.message, "");
            }
        }
    }
}
END_TEST

/* --- edges of the reference kernels --- */

enum { MAX_ARGS = 9 };

typedef struct call {
    const wispi_op *op;
    wisp_desc in_desc[MAX_ARGS], out_desc[WISPI_MAX_OUT];
    wispi_ref in[MAX_ARGS], out[WISPI_MAX_OUT];
    int32_t n_in;
} call;

/* Heap copies of exactly the right size, so that sanitizers see every step outside. */
static double *exactly(const double *values, int64_t count)
{
    double *copy = malloc((size_t)count * sizeof *copy + (count == 0));
    ck_assert_ptr_nonnull(copy);
    if (values && count)
        memcpy(copy, values, (size_t)count * sizeof *copy);
    for (int64_t i = 0; !values && i < count; i++)
        copy[i] = 0;
    return copy;
}

static void give(call *c, int32_t i, wisp_desc desc, const double *values)
{
    c->in_desc[i] = desc;
    const int64_t count = wisp_desc_count(&desc);
    c->in[i] = (wispi_ref){&c->in_desc[i], count, exactly(values, count)};
    if (i >= c->n_in)
        c->n_in = i + 1;
}

/* `from[i]` is the input that output i starts from, -1 for zeros. */
static void carry_out(call *c, const char *op, const void *attrs, const int32_t *from)
{
    const wisp_desc *in[MAX_ARGS];
    wisp_error err = {0};
    c->op = wispi_op_find(op);
    ck_assert_ptr_nonnull(c->op);
    for (int32_t i = 0; i < c->n_in; i++)
        in[i] = &c->in_desc[i];
    const wisp_status status = c->op->infer(attrs, in, c->n_in, c->out_desc, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
    for (int32_t i = 0; i < c->op->n_out; i++) {
        const int64_t count = wisp_desc_count(&c->out_desc[i]);
        const double *start = from && from[i] >= 0 ? c->in[from[i]].v : NULL;
        c->out[i] = (wispi_ref){&c->out_desc[i], count, exactly(start, count)};
    }
    c->op->reference(attrs, c->in, c->n_in, c->out);
}

static void finish(call *c)
{
    for (int32_t i = 0; i < c->n_in; i++)
        free(c->in[i].v);
    for (int32_t i = 0; i < c->op->n_out; i++)
        free(c->out[i].v);
}

START_TEST(wrong_labels_give_nan)
{
    const double logits[] = {1, 2, 3, 4, 5, 6}, labels[] = {1, 3}, dloss = 1, lse[] = {3.4, 6.4};
    call c = {0}, g = {0};
    give(&c, 0, wisp_desc2(WISP_F32, 2, 3), logits);
    give(&c, 1, wisp_desc1(WISP_I64, 2), labels);
    carry_out(&c, "cross_entropy", &plain_ce, NULL);
    ck_assert(isnan(c.out[0].v[0]));
    finish(&c);
    give(&g, 0, wisp_desc0(WISP_F32), &dloss);
    give(&g, 1, wisp_desc2(WISP_F32, 2, 3), logits);
    give(&g, 2, wisp_desc1(WISP_I64, 2), labels);
    give(&g, 3, wisp_desc1(WISP_F32, 2), lse);
    carry_out(&g, "cross_entropy_grad", &plain_ce, NULL);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(isnan(g.out[0].v[i]) != 0, i >= 3);
    finish(&g);
}
END_TEST

START_TEST(wrong_indices_are_seen)
{
    const double x[] = {1, 2, 3}, index[] = {2, -1, 3}, dy[] = {5, 7, 9};
    const wisp_gather_attrs rows = {3};
    for (int is_float = 0; is_float < 2; is_float++) {
        call c = {0};
        give(&c, 0, wisp_desc1(is_float ? WISP_F32 : WISP_I64, 3), x);
        give(&c, 1, wisp_desc1(WISP_I64, 3), index);
        carry_out(&c, "gather_rows", no_attrs, NULL);
        ck_assert_double_eq(c.out[0].v[0], 3);
        for (int i = 1; i < 3; i++)
            ck_assert(is_float ? isnan(c.out[0].v[i]) : c.out[0].v[i] == 0);
        finish(&c);
    }
    call g = {0};
    give(&g, 0, wisp_desc1(WISP_F32, 3), dy);
    give(&g, 1, wisp_desc1(WISP_I64, 3), index);
    carry_out(&g, "gather_rows_grad", &rows, NULL);
    const double want[] = {0, 0, 5};
    ck_assert_mem_eq(g.out[0].v, want, sizeof want);
    finish(&g);
}
END_TEST

START_TEST(any_cursor_stays_inside_the_ring)
{
    const double ring[] = {0, 0, 0, 0, 0}, rows[] = {1, 2};
    const double cursors[] = {0, 4, 5, -1, -12, 9223372036854774784.0, -9223372036854775808.0};
    const int32_t from[] = {0, 1};
    for (size_t k = 0; k < sizeof cursors / sizeof *cursors; k++) {
        call c = {0};
        const int64_t exact = (int64_t)cursors[k];
        const int64_t at = (exact % 5 + 5) % 5;
        give(&c, 0, wisp_desc1(WISP_F32, 5), ring);
        give(&c, 1, wisp_desc0(WISP_I64), &cursors[k]);
        give(&c, 2, wisp_desc1(WISP_F32, 2), rows);
        carry_out(&c, "ring_write", no_attrs, from);
        ck_assert_double_eq(c.out[0].v[at], 1);
        ck_assert_double_eq(c.out[0].v[(at + 1) % 5], 2);
        ck_assert_double_eq(c.out[1].v[0], (double)((at + 2) % 5));
        finish(&c);
    }
}
END_TEST

START_TEST(damaged_segments_are_left_alone)
{
    const double p[] = {1, 2, 3, 4}, scalar = 0.5, rules[] = {1, 1, 1, 1, 1, 1, 1, 1};
    const double segments[] = {
        2,
        3,
        WISP_SEGMENT_ACTIVE,
        0,
        -1,
        2,
        WISP_SEGMENT_ACTIVE,
        0,
        0,
        1,
        WISP_SEGMENT_ACTIVE,
        100,
        1,
        9223372036854774784.0,
        WISP_SEGMENT_ACTIVE,
        0,
    };
    const int32_t sgd_from[] = {0, 2}, ema_from[] = {0};
    call c = {0}, e = {0};
    for (int32_t i = 0; i < 3; i++)
        give(&c, i, wisp_desc1(WISP_F32, 4), p);
    give(&c, 3, wisp_desc2(WISP_I64, 4, 4), segments);
    give(&c, 4, wisp_desc2(WISP_F32, 4, 2), rules);
    give(&c, 5, wisp_desc0(WISP_F32), &scalar);
    give(&c, 6, wisp_desc0(WISP_F32), &scalar);
    carry_out(&c, "sgd_update", &plain_sgd, sgd_from);
    ck_assert_double_ne(c.out[0].v[0], 1); /* the one row that is in order */
    ck_assert_mem_eq(c.out[0].v + 1, p + 1, 3 * sizeof *p);
    ck_assert_mem_eq(c.out[1].v + 1, p + 1, 3 * sizeof *p);
    finish(&c);
    give(&e, 0, wisp_desc1(WISP_F32, 4), p);
    give(&e, 1, wisp_desc1(WISP_F32, 4), p);
    give(&e, 2, wisp_desc2(WISP_I64, 4, 4), segments);
    give(&e, 3, wisp_desc0(WISP_F32), &scalar);
    carry_out(&e, "ema_update", no_attrs, ema_from);
    ck_assert_mem_eq(e.out[0].v, p, sizeof p);
    finish(&e);
}
END_TEST

/* The share that is dropped, that a stream is another draw, and that a sample's draw does not
 * depend on how many others there are. */
START_TEST(drop_path_draws_by_sample_and_stream)
{
    enum { N = 4000 };
    const double key[] = {123456789, -987654321};
    const wisp_drop_path_attrs a = {0.3, 1}, b = {0.3, 2};
    call few = {0}, many = {0}, other = {0};
    give(&few, 0, wisp_desc1(WISP_F32, 10), NULL);
    give(&many, 0, wisp_desc1(WISP_F32, N), NULL);
    give(&other, 0, wisp_desc1(WISP_F32, N), NULL);
    give(&few, 1, wisp_desc1(WISP_I32, 2), key);
    give(&many, 1, wisp_desc1(WISP_I32, 2), key);
    give(&other, 1, wisp_desc1(WISP_I32, 2), key);
    carry_out(&few, "drop_path", &a, NULL);
    carry_out(&many, "drop_path", &a, NULL);
    carry_out(&other, "drop_path", &b, NULL);
    int dropped = 0, equal = 0;
    for (int n = 0; n < N; n++) {
        const double keep = many.out[1].v[n];
        ck_assert(keep == 0 || keep == 1 / 0.7);
        dropped += keep == 0;
        equal += keep == other.out[1].v[n];
    }
    ck_assert_mem_eq(few.out[1].v, many.out[1].v, 10 * sizeof(double));
    /* 5 standard deviations around N * 0.3 and N * (0.3^2 + 0.7^2). */
    ck_assert_int_ge(dropped, 1200 - 145);
    ck_assert_int_le(dropped, 1200 + 145);
    ck_assert_int_ge(equal, 2320 - 157);
    ck_assert_int_le(equal, 2320 + 157);
    finish(&few);
    finish(&many);
    finish(&other);
}
END_TEST

/* Evenly in [0, 1), element by element the same however many there are, another draw for another
 * stream. */
START_TEST(uniform_draws_by_element_and_stream)
{
    enum { N = 10000 };
    const double key[] = {123456789, -987654321};
    const wisp_uniform_attrs a = {N, 1}, b = {N, 2}, c = {10, 1};
    call many = {0}, other = {0}, few = {0};
    give(&many, 0, wisp_desc1(WISP_I32, 2), key);
    give(&other, 0, wisp_desc1(WISP_I32, 2), key);
    give(&few, 0, wisp_desc1(WISP_I32, 2), key);
    carry_out(&many, "uniform", &a, NULL);
    carry_out(&other, "uniform", &b, NULL);
    carry_out(&few, "uniform", &c, NULL);
    int tenth[10] = {0};
    double product = 0;
    for (int n = 0; n < N; n++) {
        const double v = many.out[0].v[n];
        ck_assert(v >= 0 && v < 1);
        tenth[(int)(10 * v)]++;
        product += (v - 0.5) * (other.out[0].v[n] - 0.5) * 12;
    }
    for (int i = 0; i < 10; i++) /* 5 standard deviations around N / 10 */
        ck_assert_msg(tenth[i] >= 850 && tenth[i] <= 1150, "%d of %d", tenth[i], N);
    ck_assert_double_le(fabs(product), 5 * sqrt(N));
    ck_assert_mem_eq(few.out[0].v, many.out[0].v, 10 * sizeof(double));
    finish(&many);
    finish(&other);
    finish(&few);
}
END_TEST

START_TEST(nan_is_not_hidden)
{
    const double x[] = {1, NAN, -2}, zero[] = {0, 0, 0};
    const wisp_unary_attrs kinds[] = {
        {0, 0, WISP_UNARY_RELU, 0}, {0, 0, WISP_UNARY_RELU6, 0}, {-1, 1, WISP_UNARY_CLAMP, 0}};
    for (int k = 0; k < 3; k++) {
        call c = {0};
        give(&c, 0, wisp_desc1(WISP_F32, 3), x);
        carry_out(&c, "unary", &kinds[k], NULL);
        ck_assert(isnan(c.out[0].v[1]) && !isnan(c.out[0].v[0]));
        finish(&c);
    }
    for (int32_t kind = WISP_BINARY_MAX; kind <= WISP_BINARY_MIN; kind++)
        for (int first = 0; first < 2; first++) {
            const wisp_binary_attrs attrs = {kind, 0};
            call c = {0};
            give(&c, 0, wisp_desc1(WISP_F32, 3), first ? x : zero);
            give(&c, 1, wisp_desc1(WISP_F32, 3), first ? zero : x);
            carry_out(&c, "binary", &attrs, NULL);
            ck_assert(isnan(c.out[0].v[1]) && !isnan(c.out[0].v[2]));
            finish(&c);
        }
    call c = {0};
    give(&c, 0, wisp_desc1(WISP_F32, 3), x);
    carry_out(&c, "reduce", &max_rows, NULL);
    ck_assert(isnan(c.out[0].v[0]));
    finish(&c);
}
END_TEST

START_TEST(casts_stay_within_the_type)
{
    const double x[] = {-1, -0.9, 254.9, 300, NAN, INFINITY, -INFINITY};
    const double u8[] = {0, 0, 254, 255, 0, 255, 0};
    const double i32[] = {-1, 0, 254, 300, 0, 2147483647, -2147483648.0};
    const struct {
        int32_t dtype;
        const double *want;
    } rows[] = {{WISP_U8, u8}, {WISP_I32, i32}};
    for (int k = 0; k < 2; k++) {
        const wisp_cast_attrs attrs = {rows[k].dtype, 0};
        call c = {0};
        give(&c, 0, wisp_desc1(WISP_F32, 7), x);
        carry_out(&c, "cast", &attrs, NULL);
        for (int i = 0; i < 7; i++)
            ck_assert_double_eq(c.out[0].v[i], rows[k].want[i]);
        finish(&c);
    }
    const wisp_cast_attrs wide = {WISP_I64, 0};
    call c = {0};
    give(&c, 0, wisp_desc1(WISP_F32, 7), x);
    carry_out(&c, "cast", &wide, NULL);
    ck_assert_int_gt((int64_t)c.out[0].v[5], (int64_t)1 << 62);
    ck_assert_int_lt((int64_t)c.out[0].v[6], -((int64_t)1 << 62));
    finish(&c);
}
END_TEST

START_TEST(fill_fills)
{
    const wisp_fill_attrs attrs = {{WISP_F32, 2, {3, 2}}, -1.5};
    call c = {0};
    carry_out(&c, "fill", &attrs, NULL);
    ck_assert_int_eq(c.out[0].count, 6);
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq(c.out[0].v[i], -1.5);
    finish(&c);
}
END_TEST

int main(void)
{
    int n_families = 0;
    while (wispi_op_families[n_families])
        n_families++;
    Suite *suite = suite_create("ops_math");
    TCase *rules = tcase_create("shape rules");
    tcase_add_loop_test(rules, refuses_with_reasons, 0, sizeof refusals / sizeof *refusals);
    tcase_add_loop_test(rules, survives_absent_arguments, 0, n_families);
    suite_add_tcase(suite, rules);
    TCase *edges = tcase_create("edges");
    tcase_add_test(edges, wrong_labels_give_nan);
    tcase_add_test(edges, wrong_indices_are_seen);
    tcase_add_test(edges, any_cursor_stays_inside_the_ring);
    tcase_add_test(edges, damaged_segments_are_left_alone);
    tcase_add_test(edges, drop_path_draws_by_sample_and_stream);
    tcase_add_test(edges, uniform_draws_by_element_and_stream);
    tcase_add_test(edges, nan_is_not_hidden);
    tcase_add_test(edges, casts_stay_within_the_type);
    tcase_add_test(edges, fill_fills);
    suite_add_tcase(suite, edges);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
