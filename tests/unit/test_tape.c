/* The tape on small graphs: values and gradients derived by hand, sharing, scopes, aliases, and
 * what a failed step says. The numbers of `mlp` are PyTorch's (float64). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/double_engine.h"

static wispi_arena *arena;
static wispi_double_engine engine;
static wisp_step *step;

static void setup(void)
{
    arena = wispi_arena_create(1 << 16);
    ck_assert_ptr_nonnull(arena);
    wispi_double_begin(&engine, NULL, arena);
    step = &engine.step.plugin;
}

static void teardown(void)
{
    wispi_double_end(&engine);
    wispi_arena_destroy(arena);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

/* --- words for graphs --- */

static wisp_tensor *given(wisp_desc desc, const double *values, int wants_grad)
{
    wisp_tensor *made = wispi_double_tensor(&engine, &desc, values, wants_grad);
    ck_assert_ptr_nonnull(made);
    return made;
}

static wisp_tensor *call(const char *name, const void *attrs, wisp_tensor *a, wisp_tensor *b,
                         wisp_tensor *c)
{
    const wispi_op *op = wispi_op_find(name);
    ck_assert_msg(op != NULL, "no op %s", name);
    wisp_tensor *in[3] = {a, b, c};
    return wispi_apply1(step, op, attrs, in, c ? 3 : b ? 2 : 1);
}

static wisp_tensor *binary(int32_t kind, wisp_tensor *a, wisp_tensor *b)
{
    return call("binary", &(wisp_binary_attrs){kind, 0}, a, b, NULL);
}

static wisp_tensor *unary(int32_t kind, wisp_tensor *x)
{
    return call("unary", &(wisp_unary_attrs){.kind = kind}, x, NULL, NULL);
}

static wisp_tensor *sum(wisp_tensor *x)
{
    uint32_t axes = x ? (1u << wispi_tensor_desc(x)->rank) - 1 : 0;
    return call("reduce", &(wisp_reduce_attrs){.kind = WISP_REDUCE_SUM, .axes = axes}, x, NULL,
                NULL);
}

static wisp_tensor *reshape(wisp_tensor *x, wisp_desc desc)
{
    return wispi_reshape(step, x, &desc);
}

static void expect(const wisp_tensor *got, const double *want, int64_t n)
{
    ck_assert_msg(engine.step.status == WISP_OK, "%s", engine.step.error.message);
    ck_assert_ptr_nonnull(got);
    ck_assert_int_eq(wisp_desc_count(&got->desc), n);
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs(got->values[i] - want[i]) <= 1e-12 * fmax(1, fabs(want[i])),
                      "[%lld] is %.17g, not %.17g", (long long)i, got->values[i], want[i]);
}

static void expect_grad(wisp_tensor *x, const double *want, int64_t n)
{
    expect(wispi_tensor_grad(&engine.step, x), want, n);
}

static void expect_failure(wisp_status code, const char *piece)
{
    ck_assert_msg(engine.step.status == code, "status %s, not %s: %s",
                  wisp_status_name(engine.step.status), wisp_status_name(code),
                  engine.step.error.message);
    ck_assert_msg(strstr(engine.step.error.message, piece) != NULL, "\"%s\" is not in \"%s\"",
                  piece, engine.step.error.message);
}

/* --- a small network: sum(relu(x W^T + b)^2), parameters as variables --- */

static const double x_values[] = {0.5, -1.25, 2, 1.5, 0.25, -0.75};
static const double w_values[] = {1, -0.5, 0.25, -1.5, 0.75, 2, 0.125, 1, -1, 0.5, 0.5, 0.5};
static const double b_values[] = {0.1, -0.2, 0.3, 0.4};

/* clang-format off */
static const double mlp_loss = 13.16921875;
static const double mlp_dx[] = {-1.862499999999999, 2.46875, 10.3375, 3.846875, 2.5875, -1.43125};
static const double mlp_dw[] = {5.5875, -3.66875, 4.96875, 2.1125, -5.28125, 8.449999999999999, 4.4625, 0.74375, -2.23125, 3.725, -2.1125, 2.75};
static const double mlp_db[] = {6.025, 4.225, 2.975, 3.85};
/* clang-format on */

START_TEST(mlp)
{
    double w[12], b[4], dw[12], db[4];
    memcpy(w, w_values, sizeof w);
    memcpy(b, b_values, sizeof b);
    for (int i = 0; i < 12; i++)
        dw[i] = NAN; /* left over from the step before */
    for (int i = 0; i < 4; i++)
        db[i] = NAN;
    wispi_variable w_slot = {.desc = wisp_desc2(WISP_F32, 4, 3), .data = dw};
    wispi_variable b_slot = {.desc = wisp_desc1(WISP_F32, 4), .data = db};
    wispi_variable weight = {.desc = w_slot.desc, .data = w, .grad = &w_slot};
    wispi_variable bias = {.desc = b_slot.desc, .data = b, .grad = &b_slot};

    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), x_values, 1);
    wisp_tensor *wt = wispi_step_variable(step, &weight), *bt = wispi_step_variable(step, &bias);
    ck_assert_ptr_eq(wt, wispi_step_variable(step, &weight));
    wisp_tensor *h = call("linear", &(wisp_linear_attrs){0, 0}, x, wt, bt);
    wisp_tensor *y = sum(unary(WISP_UNARY_SQUARE, unary(WISP_UNARY_RELU, h)));
    expect(y, &mlp_loss, 1);
    wispi_step_backward(step, y);
    expect_grad(x, mlp_dx, 6);
    expect_grad(wt, mlp_dw, 12);
    expect_grad(bt, mlp_db, 4);
    ck_assert_ptr_eq(wispi_tensor_grad(&engine.step, wt)->values, dw);
}
END_TEST

/* --- sharing --- */

/* y = sum(x + x * x + 3 x): a tensor used by three branches; dy/dx = 4 + 2 x. */
START_TEST(three_uses_are_summed)
{
    const double v[] = {1, -2, 0.5}, g[] = {6, 0, 5}, loss = 1 + 4 + 0.25 + 4 * (1 - 2 + 0.5);
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 3), v, 1);
    wisp_tensor *three =
        call("unary", &(wisp_unary_attrs){3, 0, WISP_UNARY_AFFINE, 0}, x, NULL, NULL);
    wisp_tensor *y = sum(
        binary(WISP_BINARY_ADD, binary(WISP_BINARY_ADD, x, binary(WISP_BINARY_MUL, x, x)), three));
    expect(y, &loss, 1);
    wispi_step_backward(step, y);
    expect_grad(x, g, 3);
}
END_TEST

/* A residual chain h <- h + h^2, three times: each sum hands one gradient to two places, so a sum
 * made in place in the wrong tensor would show. d/dh of one stage is 1 + 2 h. */
START_TEST(residual_adds_keep_their_gradients_apart)
{
    const double v[] = {0.5, -0.25};
    double g[2], total = 0, h[2];
    for (int i = 0; i < 2; i++) {
        h[i] = v[i];
        g[i] = 1;
        for (int k = 0; k < 3; k++) {
            g[i] *= 1 + 2 * h[i];
            h[i] += h[i] * h[i];
        }
        total += h[i];
    }
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 2), v, 1), *t = x;
    for (int k = 0; k < 3; k++)
        t = binary(WISP_BINARY_ADD, t, unary(WISP_UNARY_SQUARE, t));
    wisp_tensor *y = sum(t);
    expect(y, &total, 1);
    wispi_step_backward(step, y);
    expect_grad(x, g, 2);
}
END_TEST

/* y = sum(a + a) with a = x * x: the same gradient arrives twice through one call. */
START_TEST(one_call_may_use_a_tensor_twice)
{
    const double v[] = {3, -1}, g[] = {12, -4};
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 2), v, 1);
    wisp_tensor *a = unary(WISP_UNARY_SQUARE, x);
    wispi_step_backward(step, sum(binary(WISP_BINARY_ADD, a, a)));
    expect_grad(x, g, 2);
}
END_TEST

/* A parameter used at two call sites: the second contribution is added to its slot. */
START_TEST(shared_parameters_accumulate)
{
    double w[] = {2, -3}, dw[] = {NAN, NAN};
    const double a[] = {1, 2}, b[] = {10, 20}, want[] = {11, 22};
    wispi_variable slot = {.desc = wisp_desc1(WISP_F32, 2), .data = dw};
    wispi_variable weight = {.desc = slot.desc, .data = w, .grad = &slot};
    wisp_tensor *wt = wispi_step_variable(step, &weight);
    wisp_tensor *ta = given(slot.desc, a, 0), *tb = given(slot.desc, b, 0);
    wisp_tensor *y = sum(
        binary(WISP_BINARY_ADD, binary(WISP_BINARY_MUL, ta, wt), binary(WISP_BINARY_MUL, wt, tb)));
    wispi_step_backward(step, y);
    expect_grad(wt, want, 2);
    ck_assert_double_eq(dw[0], 11);
    ck_assert_double_eq(w[0], 2);
}
END_TEST

/* A broadcast bias as a parameter: its gradient comes in another shape of the same count. */
START_TEST(gradients_take_the_shape_of_their_parameter)
{
    double b[] = {1, 2, 3}, db[] = {NAN, NAN, NAN};
    const double v[] = {1, 2, 3, 4, 5, 6}, want[] = {2, 2, 2};
    wispi_variable slot = {.desc = wisp_desc1(WISP_F32, 3), .data = db};
    wispi_variable bias = {.desc = slot.desc, .data = b, .grad = &slot};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 0);
    wisp_tensor *bt = wispi_step_variable(step, &bias);
    wispi_step_backward(step, sum(binary(WISP_BINARY_ADD, x, bt)));
    expect_grad(bt, want, 3);
}
END_TEST

/* --- scopes --- */

START_TEST(stop_gradient_stops)
{
    const double v[] = {2, 5}, g[] = {2, 5};
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 2), v, 1);
    wisp_tensor *y = sum(binary(WISP_BINARY_MUL, x, wispi_stop_gradient(step, x)));
    wispi_step_backward(step, y);
    expect_grad(x, g, 2);
}
END_TEST

START_TEST(no_grad_scope_records_nothing)
{
    const double v[] = {2, 5}, g[] = {1, 1};
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 2), v, 1);
    engine.step.no_grad++;
    wisp_tensor *outside = sum(unary(WISP_UNARY_SQUARE, x));
    wisp_tensor *flat = reshape(x, wisp_desc2(WISP_F32, 2, 1));
    engine.step.no_grad--;
    ck_assert_int_eq(engine.step.n_tape, 0);
    ck_assert(!outside->wants_grad && !flat->wants_grad);
    wispi_step_backward(step, binary(WISP_BINARY_ADD, sum(x), outside));
    expect_grad(x, g, 2);
}
END_TEST

START_TEST(loss_without_parameters_is_refused)
{
    const double v[] = {2, 5};
    wisp_tensor *x = given(wisp_desc1(WISP_F32, 2), v, 1);
    wispi_step_backward(step, sum(wispi_stop_gradient(step, x)));
    expect_failure(WISP_E_INVALID, "does not depend on any trainable parameter");
}
END_TEST

START_TEST(loss_must_be_a_scalar)
{
    const double v[] = {2, 5};
    wispi_step_backward(step, given(wisp_desc1(WISP_F32, 2), v, 1));
    expect_failure(WISP_E_SHAPE, "f32 (2)");
}
END_TEST

START_TEST(absent_loss_is_refused)
{
    wispi_step_backward(step, NULL);
    expect_failure(WISP_E_SHAPE, "absent");
}
END_TEST

/* --- aliases --- */

/* (2,3) read as (3,2), then weighted: the gradient comes back in the shape of x. */
START_TEST(reshape_shares_values_and_gradient)
{
    const double v[] = {1, 2, 3, 4, 5, 6}, w[] = {1, -1, 2, -2, 3, -3};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 1);
    wisp_tensor *r = reshape(x, wisp_desc2(WISP_F32, 3, 2));
    ck_assert_ptr_eq(r->values, x->values);
    wisp_tensor *weights = given(wisp_desc2(WISP_F32, 3, 2), w, 0);
    wispi_step_backward(step, sum(binary(WISP_BINARY_MUL, r, weights)));
    expect_grad(x, w, 6);
    ck_assert_int_eq(wispi_tensor_grad(&engine.step, x)->desc.shape[1], 3);
}
END_TEST

/* Rows 1..2 of three, weighted by 10; and all of x by 1. */
START_TEST(leading_slice_gradient_lands_on_its_rows)
{
    const double v[] = {1, 2, 3, 4, 5, 6}, g[] = {1, 1, 11, 11, 11, 11}, part = 18;
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 3, 2), v, 1);
    wisp_tensor *s = wispi_leading_slice(step, x, 1, 2);
    wisp_tensor *p = sum(s);
    expect(p, &part, 1);
    wisp_tensor *ten =
        call("unary", &(wisp_unary_attrs){10, 0, WISP_UNARY_AFFINE, 0}, p, NULL, NULL);
    wispi_step_backward(step, binary(WISP_BINARY_ADD, ten, sum(x)));
    expect_grad(x, g, 6);
}
END_TEST

/* A slice of a reshape of a slice. */
START_TEST(aliases_of_aliases)
{
    const double v[] = {1, 2, 3, 4, 5, 6, 7, 8}, g[] = {0, 0, 0, 0, 0, 2 * 6, 0, 0};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 4, 2), v, 1);
    wisp_tensor *low = wispi_leading_slice(step, x, 1, 2); /* 3 4 5 6 */
    wisp_tensor *flat = reshape(low, wisp_desc1(WISP_F32, 4));
    wisp_tensor *last = wispi_leading_slice(step, flat, 2, 2); /* 5 6 */
    wisp_tensor *six = wispi_leading_slice(step, last, 1, 1);
    const double value = 6;
    expect(six, &value, 1);
    wispi_step_backward(step, sum(unary(WISP_UNARY_SQUARE, six)));
    expect_grad(x, g, 8);
}
END_TEST

/* A slice of a parameter: the gradient reaches the slot, zero outside. */
START_TEST(slice_of_a_parameter)
{
    double w[] = {1, 2, 3, 4}, dw[] = {NAN, NAN, NAN, NAN};
    const double g[] = {0, 0, 6, 8};
    wispi_variable slot = {.desc = wisp_desc2(WISP_F32, 2, 2), .data = dw};
    wispi_variable weight = {.desc = slot.desc, .data = w, .grad = &slot};
    wisp_tensor *wt = wispi_step_variable(step, &weight);
    wispi_step_backward(step, sum(unary(WISP_UNARY_SQUARE, wispi_leading_slice(step, wt, 1, 1))));
    expect_grad(wt, g, 4);
}
END_TEST

START_TEST(reshape_must_keep_the_count)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 0);
    ck_assert_ptr_null(reshape(x, wisp_desc2(WISP_F32, 4, 2)));
    expect_failure(WISP_E_SHAPE, "reshape: f32 (2,3) does not fill f32 (4,2)");
}
END_TEST

START_TEST(slice_must_be_inside)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 0);
    ck_assert_ptr_null(wispi_leading_slice(step, x, 1, 2));
    expect_failure(WISP_E_SHAPE, "rows [1, 3) are not in x (2,3)");
}
END_TEST

/* --- errors --- */

START_TEST(first_error_sticks)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *a = given(wisp_desc2(WISP_F32, 2, 3), v, 1);
    wisp_tensor *b = given(wisp_desc1(WISP_F32, 2), v, 1);
    wisp_tensor *bad = binary(WISP_BINARY_ADD, a, b);
    ck_assert_ptr_null(bad);
    expect_failure(WISP_E_SHAPE, "(2,3)");
    expect_failure(WISP_E_SHAPE, "(2)");
    expect_failure(WISP_E_SHAPE, "binary");
    char first[1400];
    snprintf(first, sizeof first, "%s", engine.step.error.message);
    ck_assert_ptr_null(sum(bad));
    ck_assert_ptr_null(reshape(bad, wisp_desc1(WISP_F32, 6)));
    ck_assert_ptr_null(wispi_leading_slice(step, bad, 0, 1));
    ck_assert_ptr_null(wispi_stop_gradient(step, bad));
    ck_assert_ptr_null(unary(WISP_UNARY_RELU, a));
    wispi_step_backward(step, bad);
    ck_assert_str_eq(engine.step.error.message, first);
}
END_TEST

START_TEST(missing_argument_is_named)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 0);
    wisp_tensor *in[2] = {x, NULL};
    ck_assert_ptr_null(
        wispi_apply1(step, wispi_op_find("linear"), &(wisp_linear_attrs){0, 0}, in, 2));
    expect_failure(WISP_E_INVALID, "w is missing");
}
END_TEST

START_TEST(too_few_arguments_are_refused)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *in[1] = {given(wisp_desc2(WISP_F32, 2, 3), v, 0)};
    ck_assert_ptr_null(
        wispi_apply1(step, wispi_op_find("linear"), &(wisp_linear_attrs){0, 0}, in, 1));
    expect_failure(WISP_E_INVALID, "linear");
}
END_TEST

START_TEST(destination_must_fit)
{
    const double v[] = {1, 2, 3, 4, 5, 6};
    wisp_tensor *x = given(wisp_desc2(WISP_F32, 2, 3), v, 0);
    wisp_tensor *in[1] = {x}, *out[WISPI_MAX_OUT] = {given(wisp_desc1(WISP_F32, 6), NULL, 0)};
    wispi_apply(step, wispi_op_find("copy"), NULL, in, 1, out);
    ck_assert_ptr_null(out[0]);
    expect_failure(WISP_E_SHAPE, "copy: the destination for y is f32 (6)");
}
END_TEST

/* A long step under the failure of its nth allocation: it either gets by, and is right, or says
 * that memory is short. Returns the number of allocations it asked for. */
static int64_t starved_step(int64_t nth)
{
    const double v[] = {1, -2, 3}, g[] = {1, 0, 1};
    wisp_desc desc = wisp_desc1(WISP_F32, 3);
    teardown();
    setup();
    const int64_t before = wispi_allocation_count();
    wispi_fail_allocation(nth);
    wisp_tensor *x = wispi_double_tensor(&engine, &desc, v, 1), *y = x;
    for (int i = 0; i < 400; i++)
        y = unary(WISP_UNARY_RELU, y);
    wispi_step_backward(step, sum(y));
    wispi_fail_allocation(-1);
    if (engine.step.status == WISP_OK)
        expect_grad(x, g, 3);
    else
        expect_failure(WISP_E_NOMEM, "memory");
    return wispi_allocation_count() - before;
}

START_TEST(lack_of_memory_fails_the_step)
{
    int64_t n_failed = 0, nth = 1;
    for (; nth <= starved_step(nth); nth++)
        n_failed += engine.step.status != WISP_OK;
    ck_assert_int_gt(nth, 4);
    ck_assert_int_ge(n_failed, 2); /* the tape is made and grows once */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tape");
    TCase *c = tcase_create("tape");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, mlp);
    tcase_add_test(c, three_uses_are_summed);
    tcase_add_test(c, residual_adds_keep_their_gradients_apart);
    tcase_add_test(c, one_call_may_use_a_tensor_twice);
    tcase_add_test(c, shared_parameters_accumulate);
    tcase_add_test(c, gradients_take_the_shape_of_their_parameter);
    tcase_add_test(c, stop_gradient_stops);
    tcase_add_test(c, no_grad_scope_records_nothing);
    tcase_add_test(c, loss_without_parameters_is_refused);
    tcase_add_test(c, loss_must_be_a_scalar);
    tcase_add_test(c, absent_loss_is_refused);
    tcase_add_test(c, reshape_shares_values_and_gradient);
    tcase_add_test(c, leading_slice_gradient_lands_on_its_rows);
    tcase_add_test(c, aliases_of_aliases);
    tcase_add_test(c, slice_of_a_parameter);
    tcase_add_test(c, reshape_must_keep_the_count);
    tcase_add_test(c, slice_must_be_inside);
    tcase_add_test(c, first_error_sticks);
    tcase_add_test(c, missing_argument_is_named);
    tcase_add_test(c, too_few_arguments_are_refused);
    tcase_add_test(c, destination_must_fit);
    tcase_add_test(c, lack_of_memory_fails_the_step);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
