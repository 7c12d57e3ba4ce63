/* Schedules against the formulas of published training scripts, evaluated by numpy:
 * tests/golden/nn/schedule.txt, made by tests/golden/make_nn_golden.py. */
#include "model_fixture.h"

#include "nn/schedule.h"

static int32_t kind_of(const char *word)
{
    static const char *const words[] = {"constant", "cosine", "linear", "step"};
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(word, words[i]))
            return i;
    ck_abort_msg("unknown kind %s", word);
    return -1;
}

static void read_milestones(char *text, wisp_schedule *schedule)
{
    for (char *at = text; *at && *at != '-'; at += *at == ',')
        schedule->milestones[schedule->n_milestones++] = strtod(at, &at);
}

/* One line of the table; returns how many values it compared. */
static int check_line(FILE *file)
{
    char name[64], kind[16], per[16], marks[64];
    wisp_schedule s;
    wisp_clock clock;
    int n = 0, epochs = 0, per_epoch = 0;
    memset(&s, 0, sizeof s);
    memset(&clock, 0, sizeof clock);
    if (fscanf(file, "%63s %15s %15s %lf %lf %lf %lf %lf %63s %d %d %d", name, kind, per, &s.value,
               &s.end, &s.warmup_start, &s.warmup_epochs, &s.gamma, marks, &epochs, &per_epoch,
               &n) != 12)
        return 0;
    s.kind = kind_of(kind);
    s.per = !strcmp(per, "epoch") ? WISP_PER_EPOCH : WISP_PER_STEP;
    read_milestones(marks, &s);
    clock.epochs = epochs;
    clock.steps_per_epoch = per_epoch;
    clock.steps = (int64_t)epochs * per_epoch;
    for (int i = 0; i < n; i++) {
        long step;
        double want;
        ck_assert_int_eq(fscanf(file, "%ld %lf", &step, &want), 2);
        clock.step = step;
        clock.epoch = step / per_epoch;
        const double got = wispi_schedule_value(&s, &clock);
        ck_assert_msg(fabs(got - want) <= 1e-13 * fabs(want) + 1e-18, "%s at %ld: %.17g, not %.17g",
                      name, step, got, want);
    }
    return n;
}

START_TEST(values_are_those_of_the_published_scripts)
{
    FILE *file = fopen(WISP_SOURCE_DIR "/tests/golden/nn/schedule.txt", "r");
    char comment[256];
    int lines = 0, compared = 0;
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(comment, sizeof comment, file));
    for (int n = check_line(file); n; n = check_line(file)) {
        compared += n;
        lines++;
    }
    ck_assert(feof(file));
    fclose(file);
    ck_assert_int_eq(lines, 10);
    ck_assert_int_gt(compared, 400);
}
END_TEST

START_TEST(the_run_is_over)
{
    const wisp_schedule cosine = {.kind = WISP_SCHEDULE_COSINE, .value = 1, .end = 0.25};
    const wisp_schedule warm = {.value = 1, .warmup_start = 0.5, .warmup_epochs = 3};
    wisp_clock clock = {4, 4, 40, 40, 10};
    ck_assert_double_eq(wispi_schedule_value(&cosine, &clock), 0.25);
    clock.step = 1000;
    ck_assert_double_eq(wispi_schedule_value(&cosine, &clock), 0.25);
    clock = (wisp_clock){0, 1, 9, 10, 10}; /* a warm-up longer than the run */
    ck_assert_double_eq_tol(wispi_schedule_value(&warm, &clock), 0.5 + 0.5 * 9 / 29, 1e-15);
}
END_TEST

/* A step that does nothing but show its scalars. */
typedef struct shown {
    wisp_scalar *scalars[3];
} shown;

static void show(wisp_step *s, void *user)
{
    static const char *const names[] = {"a", "b", "c"};
    const shown *t = user;
    for (int i = 0; i < 3; i++)
        wisp_metric(s, names[i], wisp_scalar_value(s, t->scalars[i]));
}

START_TEST(steps_see_the_clock_and_overrides)
{
    fixture f;
    shown t;
    double values[WISPI_MAX_METRICS];
    const wisp_schedule line = {.kind = WISP_SCHEDULE_LINEAR, .value = 0, .end = 8};
    const wisp_schedule half = {.value = 0.5};
    fixture_open(&f, 1);
    t.scalars[0] = wisp_new_scalar(f.b, "a", &line);
    t.scalars[1] = wisp_new_scalar(f.b, "teacher_momentum", &half);
    t.scalars[2] = wisp_new_scalar(f.b, "c", &line);
    FIXTURE_OK(&f, wispi_model_finish(f.model, &f.err));
    FIXTURE_OK(&f, wispi_model_override_schedule(f.model, "c", &half, &f.err));
    ck_assert_double_eq(wispi_model_schedule(f.model, "c")->value, 0.5);
    wispi_program *program = fixture_record(&f, show, &t);
    for (int64_t step = 0; step < 8; step++) {
        fixture_run(&f, program, show, &t, step, 4, 2);
        FIXTURE_OK(&f, wispi_metrics_read(wispi_model_metrics(f.model), program, values, &f.err));
        ck_assert_double_eq(values[0], (double)step);
        ck_assert_double_eq(values[1], 0.5);
        ck_assert_double_eq(values[2], 0.5);
    }
    wispi_program_destroy(program);
    fixture_close(&f);
}
END_TEST

START_TEST(wrong_schedules_are_refused)
{
    fixture f;
    const wisp_schedule one = {.value = 1};
    wisp_schedule bad = {.kind = 7};
    fixture_open(&f, 1);
    wisp_new_scalar(f.b, "lr", &one);
    wisp_new_scalar(f.b, "temperature", &one);
    ck_assert_int_eq(wispi_model_override_schedule(f.model, "tau", &one, &f.err), WISP_E_CONFIG);
    ck_assert_pstr_eq(f.err.message, "[schedule.tau]: there is no scheduled scalar tau; known: lr, "
                                     "temperature");
    ck_assert_int_eq(wispi_model_override_schedule(f.model, "lr", &bad, &f.err), WISP_E_INVALID);
    bad = (wisp_schedule){.value = NAN};
    ck_assert_int_eq(wispi_schedule_check("x", &bad, &f.err), WISP_E_INVALID);
    bad = (wisp_schedule){.warmup_epochs = -1};
    ck_assert_int_eq(wispi_schedule_check("x", &bad, &f.err), WISP_E_INVALID);
    bad = (wisp_schedule){.n_milestones = 9};
    ck_assert_int_eq(wispi_schedule_check("x", &bad, &f.err), WISP_E_INVALID);
    bad = (wisp_schedule){.per = 2};
    ck_assert_int_eq(wispi_schedule_check("x", &bad, &f.err), WISP_E_INVALID);
    ck_assert_double_eq(wispi_model_schedule(f.model, "lr")->value, 1);
    ck_assert_ptr_null(wisp_new_scalar(f.b, "lr", &one));
    ck_assert_int_eq(wispi_model_finish(f.model, &f.err), WISP_E_INVALID);
    ck_assert_pstr_eq(f.err.message, "there are two scheduled scalars called lr: rename one");
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, values_are_those_of_the_published_scripts);
    tcase_add_test(tests, the_run_is_over);
    tcase_add_test(tests, steps_see_the_clock_and_overrides);
    tcase_add_test(tests, wrong_schedules_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
