/* test_first_view.c - which view a probe beside DINO or SwAV learns from: the first global one, the
 * first that the evaluated network sees. Beside MoCo it is the second: tests/unit/test_moco.c. */
#include "method_training.h"

#define STILL WISPI_OPTIMIZER_SGD, 0, 0, 0, 0, 0, 0

static const training_recipe recipes[] = {
    {"dino", "use = \"dino\"\nout_dim = 32\nhidden_dim = 32\nbottleneck_dim = 16\n", STILL},
    {"swav", "use = \"swav\"\nprototypes = 24\nhidden_dim = 32\nout_dim = 16\nqueue_length = 0\n",
     STILL},
};

enum { B = TRAINING_BATCH, DIM = 32, PIXELS = 16 * 16 * 3 };

/* Other pixels for one global view, or for none. */
static void set_pixels(training *t, int other)
{
    float *values = malloc(2 * B * PIXELS * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (int v = 0; v < 2; v++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%d", v == other ? "other" : "usual", v);
        formula_uniform(name, B * PIXELS, -2, 2, values + v * B * PIXELS);
    }
    TRAINING_OK(wispi_variable_write(t->device, &t->batch.views[0], values, err));
    free(values);
}

START_TEST(probes_see_the_first_global_view)
{
    const wisp_clock clock = {0, 1, 0, 1, 1};
    float seen[3][2 * B * DIM]; /* both global views; a probe gets the first B rows */
    training_glance g = {training_open(&recipes[_i], NULL), NULL};
    wispi_program *program = NULL;
    training_set_views(g.t, 0);
    if (g.t->method->epoch_begin)
        TRAINING_OK(g.t->method->epoch_begin(g.t->self, &clock, err));
    TRAINING_OK(wispi_program_record(g.t->device, wispi_ops_table(), g.t->model, 0,
                                     training_glance_calls, &g, &program, err));
    TRAINING_OK(wispi_model_refresh(g.t->model, err));
    TRAINING_OK(wispi_model_set_clock(g.t->model, &clock, err));
    for (int i = 0; i < 3; i++) { /* as it is, then another second view, then another first one */
        set_pixels(g.t, i == 0 ? -1 : 2 - i);
        TRAINING_OK(wispi_program_run(program, training_glance_calls, &g, NULL, err));
        ck_assert_int_eq(wisp_desc_count(wispi_tensor_desc(g.pooled)), 2 * B * DIM);
        TRAINING_OK(wispi_program_read(program, g.pooled, seen[i], err));
    }
    /* Batch norm sees both views at once, so the second one moves the first one's embedding a
     * little; of the rows that a probe gets, the first view's own pixels decide. */
    double second = 0, first = 0;
    for (int i = 0; i < B * DIM; i++) {
        second += fabs((double)seen[1][i] - (double)seen[0][i]);
        first += fabs((double)seen[2][i] - (double)seen[0][i]);
    }
    ck_assert_msg(first > 2 * second, "other first views move it by %g, other second ones by %g",
                  first, second);
    wispi_program_destroy(program);
    training_close(g.t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("first_view");
    TCase *tests = tcase_create("first_view");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, probes_see_the_first_global_view, 0,
                        sizeof recipes / sizeof *recipes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
