/* Shape rules of the layers' operations: what they refuse, in words that name the operation, its
 * arguments and their shapes; what they accept at the edge; and how much work they count. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/op.h"

/* clang-format off */
#define TYPED(type, ...)                                                                           \
    &(const wisp_desc){type, (int32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),  \
                       {__VA_ARGS__}}
#define F32(...) TYPED(WISP_F32, __VA_ARGS__)
#define CONV(...) &(const wisp_conv2d_attrs){__VA_ARGS__}
/* clang-format on */
#define PLAIN .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 1
#define HUGE_SIDE ((int64_t)1 << 40)

typedef struct refusal {
    const char *op;
    const void *attrs;
    const wisp_desc *in[8];
    int32_t n_in;
    wisp_status status;
    const char *message; /* a part of it */
} refusal;

static const refusal refusals[] = {
    {"matmul",
     &(const wisp_matmul_attrs){0, 0, 1},
     {F32(128, 64), F32(32, 10)},
     2,
     WISP_E_SHAPE,
     "matmul: a is (128,64), b is (32,10): inner sizes 64 and 32 differ"},
    {"matmul",
     &(const wisp_matmul_attrs){0, 1, 1},
     {F32(2, 4, 3), F32(3, 5, 3)},
     2,
     WISP_E_SHAPE,
     "matmul: a is (2,4,3), b is (3,5,3): leading sizes 2 and 3 differ"},
    {"matmul",
     &(const wisp_matmul_attrs){1, 0, 1},
     {F32(2, 4, 3), F32(4, 5)},
     2,
     WISP_E_UNSUPPORTED,
     "permute a first"},
    {"matmul",
     &(const wisp_matmul_attrs){0, 0, 1},
     {F32(3, 4), TYPED(WISP_BF16, 4, 5)},
     2,
     WISP_E_DTYPE,
     "matmul: a is f32(3,4), b is bf16(4,5): b and a must have one data type"},
    {"matmul",
     &(const wisp_matmul_attrs){0, 0, 1},
     {F32(HUGE_SIDE, 1), F32(1, HUGE_SIDE)},
     2,
     WISP_E_SHAPE,
     "too many elements"},
    {"matmul",
     &(const wisp_matmul_attrs){0, 0, 1},
     {F32(3), F32(3, 2)},
     2,
     WISP_E_SHAPE,
     "a needs"},
    {"linear", NULL, {F32(7, 5), F32(3, 4)}, 2, WISP_E_SHAPE, "inner sizes 5 and 4 differ"},
    {"linear",
     NULL,
     {F32(7, 5), F32(3, 5), F32(5)},
     3,
     WISP_E_SHAPE,
     "linear: x is (7,5), w is (3,5), bias is (5): bias must be (3)"},
    {"linear", NULL, {F32(7, 5), NULL}, 2, WISP_E_INVALID, "w is missing"},
    {"linear", NULL, {TYPED(WISP_I64, 7, 5), F32(3, 5)}, 2, WISP_E_DTYPE, "x must be f32 or bf16"},
    {"linear", NULL, {F32(HUGE_SIDE, 1), F32(HUGE_SIDE, 1)}, 2, WISP_E_SHAPE, "too many elements"},
    {"linear_grad_weight", NULL, {F32(7, 5), F32(6, 5)}, 2, WISP_E_SHAPE, "dimensions 0 differ"},
    {"conv2d",
     CONV(PLAIN),
     {F32(2, 8, 8, 4), F32(6, 3, 3, 3)},
     2,
     WISP_E_SHAPE,
     "conv2d: x is (2,8,8,4), w is (6,3,3,3): w has 3 channels a group"},
    {"conv2d",
     CONV(PLAIN),
     {F32(2, 4, 4, 3), F32(6, 3, 5, 5)},
     2,
     WISP_E_SHAPE,
     "kernel 5x5, dilation 1x1, is larger than the map 4x4 with padding 0x0"},
    {"conv2d", CONV(.groups = 1), {F32(2, 8, 8, 3), F32(6, 3, 3, 3)}, 2, WISP_E_INVALID, "stride"},
    {"conv2d",
     CONV(PLAIN, .pad_h = -1),
     {F32(2, 8, 8, 3), F32(6, 3, 3, 3)},
     2,
     WISP_E_INVALID,
     "padding -1x0 must not be negative"},
    {"conv2d",
     CONV(.stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .groups = 2),
     {F32(2, 8, 8, 3), F32(6, 1, 3, 3)},
     2,
     WISP_E_SHAPE,
     "3 input and 6 output channels do not divide into 2 groups"},
    {"conv2d", CONV(PLAIN), {F32(2, 0, 8, 3), F32(6, 3, 3, 3)}, 2, WISP_E_SHAPE, "may be empty"},
    {"conv2d",
     CONV(PLAIN, .pad_h = INT32_MAX, .pad_w = INT32_MAX),
     {F32(1, 1, 1, 1), F32(1 << 20, 1, 1, 1)},
     2,
     WISP_E_SHAPE,
     "too many elements"},
    {"conv2d_grad_input",
     CONV(PLAIN, .in_h = 9, .in_w = 8),
     {F32(2, 6, 6, 5), F32(5, 3, 3, 3)},
     2,
     WISP_E_SHAPE,
     "dy must be (2,7,6,5)"},
    {"conv2d_grad_weight",
     CONV(PLAIN, .kernel_h = 3, .kernel_w = 3),
     {F32(2, 8, 8, 3), F32(2, 8, 8, 5)},
     2,
     WISP_E_SHAPE,
     "dy must be (2,6,6,5)"},
    {"channel_stats", NULL, {F32(0, 4)}, 1, WISP_E_SHAPE, "channel_stats: x is (0,4)"},
    {"batch_norm",
     &(const wisp_batch_norm_attrs){1e-5, 0, 0, 0},
     {F32(2, 3, 4), F32(4), F32(3)},
     3,
     WISP_E_SHAPE,
     "var is (3): var must be (4)"},
    {"batch_norm",
     &(const wisp_batch_norm_attrs){1e-5, 5, 0, 0},
     {F32(2, 3, 4), F32(4), F32(4)},
     3,
     WISP_E_INVALID,
     "count is 5"},
    {"batch_norm",
     &(const wisp_batch_norm_attrs){1e-5, 0, 7, 0},
     {F32(2, 3, 4), F32(4), F32(4)},
     3,
     WISP_E_INVALID,
     "no activation 7"},
    {"batch_norm",
     &(const wisp_batch_norm_attrs){1e-5, 0, 0, 0},
     {F32(2, 3, 4), F32(4), F32(4), NULL, NULL, F32(2, 4, 3)},
     6,
     WISP_E_SHAPE,
     "residual must be (2,3,4)"},
    {"batch_norm_grad_stats",
     &(const wisp_batch_norm_attrs){1e-5, 0, WISP_ACT_RELU, 0},
     {F32(6, 4), F32(6, 4), NULL, F32(4), F32(4)},
     5,
     WISP_E_INVALID,
     "y is missing"},
    {"running_update",
     &(const wisp_running_attrs){0.1, 1},
     {F32(4), F32(4), F32(4), F32(4)},
     4,
     WISP_E_SHAPE,
     "larger batch or map"},
    {"layer_norm",
     &(const wisp_layer_norm_attrs){1e-6, 0, 0},
     {F32(2, 5, 8), F32(5)},
     2,
     WISP_E_SHAPE,
     "layer_norm: x is (2,5,8), gamma is (5): gamma must be (8)"},
    {"layer_norm", &(const wisp_layer_norm_attrs){-1, 0, 0}, {F32(2, 5)}, 1, WISP_E_INVALID, "eps"},
    {"max_pool",
     &(const wisp_pool_attrs){2, 2, 2, 2, 2, 0, 0, 0, 0, 0},
     {F32(1, 8, 8, 3)},
     1,
     WISP_E_INVALID,
     "padding 2x0 must be between 0 and half the kernel 2x2"},
    {"max_pool",
     &(const wisp_pool_attrs){17, 17, 1, 1, 0, 0, 0, 0, 0, 0},
     {F32(1, 32, 32, 3)},
     1,
     WISP_E_UNSUPPORTED,
     "more than 256 positions"},
    {"avg_pool",
     &(const wisp_pool_attrs){7, 7, 1, 1, 0, 0, 0, 0, 0, 0},
     {F32(1, 6, 7, 3)},
     1,
     WISP_E_SHAPE,
     "avg_pool: x is (1,6,7,3): kernel 7x7 is larger than the map 6x7"},
    {"attention",
     &(const wisp_attention_attrs){1, 3, 0},
     {F32(2, 5, 8), F32(2, 6, 8), F32(2, 6, 8)},
     3,
     WISP_E_SHAPE,
     "8 channels do not divide into 3 heads"},
    {"attention",
     &(const wisp_attention_attrs){1, 2, 0},
     {F32(2, 5, 8), F32(3, 6, 8), F32(3, 6, 8)},
     3,
     WISP_E_SHAPE,
     "batches 2 and 3 differ"},
    {"attention",
     &(const wisp_attention_attrs){1, 2, 0},
     {F32(2, 5, 8), F32(2, 0, 8), F32(2, 0, 8)},
     3,
     WISP_E_SHAPE,
     "dimension 1 of k is empty"},
    {"self_attention",
     &(const wisp_attention_attrs){1, 2, 0},
     {F32(2, 5, 8)},
     1,
     WISP_E_SHAPE,
     "8 channels do not divide into queries, keys and values"},
    {"resize_bicubic",
     &(const wisp_resize_attrs){0, 0, 0, 0, 0, 4},
     {F32(1, 5, 5, 2)},
     1,
     WISP_E_SHAPE,
     "from 5x5 to 0x4"},
    {"resize_bicubic",
     &(const wisp_resize_attrs){-1, 0, 0, 0, 4, 4},
     {F32(1, 5, 5, 2)},
     1,
     WISP_E_INVALID,
     "scale is -1"},
};

static const char zeros[256];

static wisp_status judge(const wispi_op *op, const void *attrs, const wisp_desc *const *in,
                         int32_t n_in, wisp_desc *out, wisp_error *err)
{
    ck_assert_uint_le(op->attrs_bytes, sizeof zeros);
    return op->infer(attrs ? attrs : zeros, in, n_in, out, err);
}

START_TEST(a_misfit_is_refused_by_name)
{
    const refusal *r = &refusals[_i];
    const wispi_op *op = wispi_op_find(r->op);
    wisp_desc out[WISPI_MAX_OUT], before[WISPI_MAX_OUT];
    wisp_error err = {0};
    ck_assert_ptr_nonnull(op);
    memset(out, 0x5a, sizeof out);
    memcpy(before, out, sizeof out);
    ck_assert_int_eq(judge(op, r->attrs, r->in, r->n_in, out, &err), r->status);
    ck_assert_msg(strstr(err.message, r->message) != NULL, "\"%s\" lacks \"%s\"", err.message,
                  r->message);
    ck_assert_msg(!strncmp(err.message, r->op, strlen(r->op)), "%s", err.message);
    ck_assert_msg(!memcmp(out, before, sizeof out), "%s wrote a result and failed", r->op);
    /* The caller may not care why. */
    ck_assert_int_eq(judge(op, r->attrs, r->in, r->n_in, out, NULL), r->status);
}
END_TEST

/* Shapes whose result is known by heart. */
static void expect_shape(const char *name, const void *attrs, const wisp_desc *const *in,
                         int32_t n_in, const wisp_desc *want)
{
    wisp_desc out[WISPI_MAX_OUT];
    wisp_error err = {0};
    const wispi_op *op = wispi_op_find(name);
    ck_assert_ptr_nonnull(op);
    ck_assert_msg(judge(op, attrs, in, n_in, out, &err) == WISP_OK, "%s", err.message);
    ck_assert_mem_eq(&out[0], want, sizeof *want);
}

START_TEST(results_have_the_known_shapes)
{
    const wisp_desc *stem[] = {F32(2, 224, 224, 3), F32(64, 3, 7, 7)};
    expect_shape("conv2d",
                 CONV(.stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3, .dilation_h = 1,
                      .dilation_w = 1, .groups = 1),
                 stem, 2, F32(2, 112, 112, 64));
    const wisp_desc *map[] = {TYPED(WISP_BF16, 2, 112, 112, 64)};
    expect_shape("max_pool", &(const wisp_pool_attrs){3, 3, 2, 2, 1, 1, 0, 0, 0, 0}, map, 1,
                 TYPED(WISP_BF16, 2, 56, 56, 64));
    const wisp_desc *qkv[] = {F32(2, 197, 576)};
    expect_shape("self_attention", &(const wisp_attention_attrs){0.125, 3, 0}, qkv, 1,
                 F32(2, 197, 192));
    const wisp_desc *none[] = {F32(0, 8, 8, 3), F32(4, 3, 3, 3)};
    expect_shape("conv2d", CONV(PLAIN), none, 2, F32(0, 6, 6, 4));
}
END_TEST

/* Multiply-adds of layers of ResNet18 at 224 pixels, by hand. */
START_TEST(work_is_counted)
{
    const wispi_op *conv = wispi_op_find("conv2d"), *linear = wispi_op_find("linear");
    wisp_desc out[WISPI_MAX_OUT];
    const wisp_desc *stem[] = {F32(1, 224, 224, 3), F32(64, 3, 7, 7)};
    const void *attrs = CONV(.stride_h = 2, .stride_w = 2, .pad_h = 3, .pad_w = 3, .dilation_h = 1,
                             .dilation_w = 1, .groups = 1);
    ck_assert_int_eq(judge(conv, attrs, stem, 2, out, NULL), WISP_OK);
    ck_assert_double_eq(conv->macs(attrs, stem, out), 118013952.0);
    const wisp_desc *depthwise[] = {F32(1, 14, 14, 96), F32(96, 1, 3, 3)};
    attrs = CONV(.stride_h = 1, .stride_w = 1, .pad_h = 1, .pad_w = 1, .dilation_h = 1,
                 .dilation_w = 1, .groups = 96);
    ck_assert_int_eq(judge(conv, attrs, depthwise, 2, out, NULL), WISP_OK);
    ck_assert_double_eq(conv->macs(attrs, depthwise, out), 14.0 * 14 * 96 * 9);
    const wisp_desc *head[] = {F32(4, 512), F32(1000, 512), F32(1000)};
    ck_assert_int_eq(judge(linear, NULL, head, 3, out, NULL), WISP_OK);
    ck_assert_double_eq(linear->macs(zeros, head, out), 4 * 512000.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("op_rules");
    TCase *group = tcase_create("rules");
    tcase_add_loop_test(group, a_misfit_is_refused_by_name, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(group, results_have_the_known_shapes);
    tcase_add_test(group, work_is_counted);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
