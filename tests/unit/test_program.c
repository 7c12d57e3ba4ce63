/* Recorded steps: replay, what keeps a tensor readable, what differs from the record, the first
 * value that is not finite, and memory. */
#include "model_fixture.h"

typedef struct step_user {
    wispi_variable x, w;
    wispi_variable w_grad;
    wisp_tensor *loss, *early;
    int variant; /* what the step does differently */
} step_user;

static void open_step(fixture *f, step_user *u)
{
    const wisp_desc x = wisp_desc2(WISP_F32, 4, 3), w = wisp_desc2(WISP_F32, 3, 3);
    memset(u, 0, sizeof *u);
    fixture_open(f, 1);
    FIXTURE_OK(f, wispi_variable_init(f->device, &u->x, "x", &x, NULL, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &u->w, "w", &w, NULL, &f->err));
    FIXTURE_OK(f, wispi_variable_init(f->device, &u->w_grad, "w.grad", &w, NULL, &f->err));
    u->w.grad = &u->w_grad;
}

static void close_step(fixture *f, step_user *u)
{
    wispi_variable_fini(f->device, &u->x);
    wispi_variable_fini(f->device, &u->w);
    wispi_variable_fini(f->device, &u->w_grad);
    fixture_close(f);
}

static void put(fixture *f, wispi_variable *v, double value)
{
    double values[12];
    for (int i = 0; i < 12; i++)
        values[i] = value + 0.25 * i;
    fixture_write(f, v, values, wisp_desc_count(&v->desc));
}

/* loss = mean((x w^T)^2), with `early` the first product */
static void step(wisp_step *s, void *user)
{
    step_user *u = user;
    wisp_tensor *w = wispi_step_variable(s, &u->w);
    wisp_tensor *y = wisp_linear(s, wispi_step_variable(s, &u->x), w, NULL);
    u->early = y;
    wispi_step_keep(s, y);
    if (u->variant == 1)
        y = wisp_relu(s, y);
    if (u->variant == 2)
        y = wisp_scale(s, y, 2);
    if (u->variant == 3)
        return;
    for (int i = 0; i < 6; i++)
        y = wisp_scale(s, y, 1);
    wisp_tensor *squares = u->variant == 4 ? wisp_mul(s, y, u->early) : wisp_mul(s, y, y);
    u->loss = wisp_mean(s, squares, 0, 0);
    wispi_step_keep(s, u->loss);
    wispi_step_backward(s, u->loss);
    if (u->variant == 5)
        wisp_relu(s, y);
}

static float read_loss(fixture *f, wispi_program *program, const step_user *u)
{
    float value = NAN;
    FIXTURE_OK(f, wispi_program_read(program, u->loss, &value, &f->err));
    return value;
}

/* The same in plain C. */
static double expected_loss(double x0, double w0, double early[12], double grad[9])
{
    double loss = 0;
    memset(grad, 0, 9 * sizeof *grad);
    for (int n = 0; n < 4; n++)
        for (int o = 0; o < 3; o++) {
            double y = 0;
            for (int i = 0; i < 3; i++)
                y += (x0 + 0.25 * (3 * n + i)) * (w0 + 0.25 * (3 * o + i));
            early[3 * n + o] = y;
            loss += y * y / 12;
            for (int i = 0; i < 3; i++)
                grad[3 * o + i] += 2 * y * (x0 + 0.25 * (3 * n + i)) / 12;
        }
    return loss;
}

START_TEST(a_program_runs_again_with_new_values)
{
    fixture f;
    step_user u;
    open_step(&f, &u);
    wispi_program *program = fixture_record(&f, step, &u);
    for (int round = 0; round < 3; round++) {
        double early[12], grad[9], got_grad[9];
        float kept[12], raw_grad[9];
        put(&f, &u.x, 0.5 * round - 1);
        put(&f, &u.w, -0.75 * round);
        FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
        const double loss = expected_loss(0.5 * round - 1, -0.75 * round, early, grad);
        ck_assert_double_eq_tol(read_loss(&f, program, &u), loss, 1e-5 * loss);
        FIXTURE_OK(&f, wispi_program_read(program, u.early, kept, &f.err));
        for (int i = 0; i < 12; i++)
            ck_assert_double_eq_tol(kept[i], early[i], 1e-5);
        FIXTURE_OK(&f, wispi_variable_read(f.device, &u.w_grad, raw_grad, &f.err));
        wispi_widen(got_grad, raw_grad, WISP_F32, 9);
        fixture_near("gradient", got_grad, grad, 9, 1e-6);
    }
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

START_TEST(a_steady_step_allocates_nothing)
{
    fixture f;
    step_user u;
    open_step(&f, &u);
    put(&f, &u.x, 1);
    put(&f, &u.w, 1);
    wispi_program *program = fixture_record(&f, step, &u);
    FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    const int64_t blocks = wispi_live_blocks();
    const size_t bytes = wispi_device_bytes(f.device);
    for (int i = 0; i < 5; i++)
        FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    ck_assert_int_eq(wispi_live_blocks(), blocks);
    ck_assert_uint_eq(wispi_device_bytes(f.device), bytes);
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

static const char *diverge(int variant)
{
    static wisp_error err;
    fixture f;
    step_user u;
    open_step(&f, &u);
    put(&f, &u.x, 1);
    put(&f, &u.w, 1);
    wispi_program *program = fixture_record(&f, step, &u);
    FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    u.variant = variant;
    ck_assert_int_eq(wispi_program_run(program, step, &u, NULL, &err), WISP_E_STATE);
    u.variant = 0; /* the record is still good */
    FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    wispi_program_destroy(program);
    close_step(&f, &u);
    return err.message;
}

START_TEST(what_differs_from_the_record_is_named)
{
    const char *message = diverge(1); /* another kind of unary */
    ck_assert_ptr_nonnull(strstr(message,
                                 "call 3 of the step was unary when it was recorded and is "
                                 "unary now (or has other arguments)"));
    diverge(2); /* another attribute */
    message = diverge(3);
    ck_assert_ptr_nonnull(strstr(message, "was unary when it was recorded and is the end of the "
                                          "step now"));
    message = diverge(4); /* another argument */
    ck_assert_ptr_nonnull(strstr(message, "was binary when it was recorded and is binary now"));
    message = diverge(5); /* one call more */
    ck_assert_ptr_nonnull(strstr(message, "was the end of the step when it was recorded and is "
                                          "unary now"));
}
END_TEST

START_TEST(planned_memory_is_smaller)
{
    fixture f;
    step_user u;
    wispi_program_facts facts;
    open_step(&f, &u);
    wispi_program *program = fixture_record(&f, step, &u);
    wispi_program_facts_of(program, &facts);
    ck_assert_int_gt(facts.step_bytes, 0);
    ck_assert_int_lt(facts.step_bytes, facts.unplanned_bytes);
    ck_assert_int_gt(facts.n_calls, 10);
    ck_assert_double_eq(facts.forward_macs, 4 * 3 * 3);
    ck_assert_double_eq(facts.total_macs, 2 * 4 * 3 * 3); /* x is data: no gradient to it */
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

static void logarithms(wisp_step *s, void *user)
{
    step_user *u = user;
    wisp_tensor *x = wispi_step_variable(s, &u->x);
    wisp_tensor *y = wisp_unary(s, wisp_affine(s, x, 2, 0), WISP_UNARY_LOG);
    u->loss = wisp_mean(s, wisp_unary(s, y, WISP_UNARY_EXP), 0, 0);
}

START_TEST(the_first_value_that_is_not_finite_is_named)
{
    fixture f;
    step_user u;
    const wispi_run_options check = {.check_finite = 1};
    open_step(&f, &u);
    wispi_program *program = fixture_record(&f, logarithms, &u);
    put(&f, &u.x, 0.5);
    FIXTURE_OK(&f, wispi_program_run(program, logarithms, &u, &check, &f.err));
    put(&f, &u.x, -0.5); /* three values at or below 0 */
    ck_assert_int_eq(wispi_program_run(program, logarithms, &u, &check, &f.err), WISP_E_NONFINITE);
    ck_assert_pstr_eq(f.err.message,
                      "unary (call 2) is the first op whose result is not finite: 3 values of y "
                      "(4,3); its inputs were x in [-1, 4.5]");
    FIXTURE_OK(&f, wispi_program_run(program, logarithms, &u, NULL, &f.err));
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

static void large(wisp_step *s, void *user)
{
    const wisp_desc desc = wisp_desc1(WISP_F32, 100000);
    (void)user;
    wisp_sum(s, wisp_full(s, &desc, 1), 0, 0);
}

START_TEST(reading_too_early_or_too_late_is_an_error)
{
    fixture f;
    step_user u;
    float value;
    open_step(&f, &u);
    put(&f, &u.x, 1);
    put(&f, &u.w, 1);
    wispi_program *program = fixture_record(&f, step, &u);
    ck_assert_int_eq(wispi_program_read(program, u.loss, &value, &f.err), WISP_E_STATE);
    FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    read_loss(&f, program, &u);
    wispi_program *other = fixture_record(&f, large, NULL);
    FIXTURE_OK(&f, wispi_program_run(other, large, NULL, NULL, &f.err));
    ck_assert_int_eq(wispi_program_read(program, u.loss, &value, &f.err), WISP_E_STATE);
    FIXTURE_OK(&f, wispi_program_run(program, step, &u, NULL, &f.err));
    read_loss(&f, program, &u);
    wispi_program_destroy(other);
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

START_TEST(shapes_alone_can_be_recorded)
{
    fixture f;
    step_user u;
    wispi_program *program = NULL;
    wispi_program_facts facts;
    open_step(&f, &u);
    FIXTURE_OK(&f, wispi_program_record(f.device, wispi_ops_table(), f.model,
                                        WISPI_RECORD_SHAPES_ONLY, step, &u, &program, &f.err));
    wispi_program_facts_of(program, &facts);
    ck_assert_double_eq(facts.forward_macs, 4 * 3 * 3);
    ck_assert_int_eq(wispi_program_run(program, step, &u, NULL, &f.err), WISP_E_STATE);
    wispi_program_destroy(program);
    close_step(&f, &u);
}
END_TEST

/* --- errors stick --- */

static void wrong_shapes(wisp_step *s, void *user)
{
    step_user *u = user;
    const wisp_desc seven = wisp_desc2(WISP_F32, 4, 7);
    wisp_tensor *bad = wisp_add(s, wispi_step_variable(s, &u->x), wisp_full(s, &seven, 1));
    ck_assert_ptr_null(bad);
    bad = wisp_mean(s, wisp_relu(s, bad), 0, 0);
    ck_assert_ptr_null(bad);
    ck_assert_ptr_null(wisp_reshape(s, bad, &seven));
    wispi_step_backward(s, bad);
}

static void two_dimensional_loss(wisp_step *s, void *user)
{
    step_user *u = user;
    wispi_step_backward(s, wispi_step_variable(s, &u->w));
}

static void loss_of_data(wisp_step *s, void *user)
{
    step_user *u = user;
    wispi_step_backward(s, wisp_mean(s, wispi_step_variable(s, &u->x), 0, 0));
}

START_TEST(the_first_error_sticks)
{
    fixture f;
    step_user u;
    open_step(&f, &u);
    ck_assert_pstr_eq(fixture_refused(&f, wrong_shapes, &u),
                      "binary: a is (4,3), b is (4,7): sizes 3 and 7 do not broadcast against each "
                      "other");
    ck_assert_ptr_nonnull(strstr(fixture_refused(&f, two_dimensional_loss, &u), "0-d f32"));
    ck_assert_pstr_eq(fixture_refused(&f, loss_of_data, &u),
                      "the loss does not depend on any trainable parameter");
    close_step(&f, &u);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    fixture f;
    step_user u;
    open_step(&f, &u);
    put(&f, &u.x, 1);
    put(&f, &u.w, 1);
    int failures = 0, done = 0;
    for (int64_t nth = 1; !done; nth++) {
        wispi_program *program = NULL;
        const int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status = wispi_program_record(f.device, wispi_ops_table(), f.model, 0, step, &u,
                                                  &program, &f.err);
        if (status == WISP_OK)
            status = wispi_program_run(program, step, &u, NULL, &f.err);
        wispi_fail_allocation(-1);
        done = status == WISP_OK;
        failures += !done;
        ck_assert_msg(done || status == WISP_E_NOMEM, "allocation %lld: %s", (long long)nth,
                      f.err.message);
        wispi_program_destroy(program);
        ck_assert_int_le(blocks, wispi_live_blocks());
    }
    ck_assert_int_gt(failures, 20);
    close_step(&f, &u);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("program");
    TCase *tests = tcase_create("program");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_program_runs_again_with_new_values);
    tcase_add_test(tests, a_steady_step_allocates_nothing);
    tcase_add_test(tests, what_differs_from_the_record_is_named);
    tcase_add_test(tests, planned_memory_is_smaller);
    tcase_add_test(tests, the_first_value_that_is_not_finite_is_named);
    tcase_add_test(tests, reading_too_early_or_too_late_is_an_error);
    tcase_add_test(tests, shapes_alone_can_be_recorded);
    tcase_add_test(tests, the_first_error_sticks);
    tcase_add_test(tests, every_allocation_may_fail);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
