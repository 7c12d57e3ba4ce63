/* Twenty steps of the dino plugin against PyTorch (tests/golden/dino_*.safetensors, made by
 * tests/golden/make_dino_golden.py in double precision; weights and views by formula): the loss and
 * its parts after every step, the centre, and both networks' tensors, on the reference kernels and
 * on the cpu backend. */
#include "method_training.h"

enum { K = 96 };

#define COMMON                                                                                     \
    "use = \"dino\"\nout_dim = 96\nhidden_dim = 48\nbottleneck_dim = 128\n"                        \
    "teacher_temperature_warmup = 3\nteacher_momentum = 0.9\n"

static const training_recipe recipes[] = {
    {"lars",
     COMMON "pair_weights = [0.4, 0.6]\nstudent_temperature = 0.2\nteacher_temperature = 0.14\n"
            "teacher_temperature_start = 0.08\n",
     WISPI_OPTIMIZER_LARS, 0, 0.005, 0.02, 0.002, 0.01, 0.1},
    {"adamw", COMMON "head_batch_norm = false\ntrain_gain = true\n", WISPI_OPTIMIZER_ADAMW, 0.02,
     1e-4, 2e-3, 1e-4, 0.04, 0.4},
};

static const char *const scalars[] = {"loss", "loss_global", "loss_local", "teacher_entropy"};

START_TEST(training_is_that_of_pytorch)
{
    const training_recipe *r = &recipes[_i / TRAINING_DEVICES];
    char path[128];
    int compared = 0;
    snprintf(path, sizeof path, "tests/golden/dino_%s.safetensors", r->name);
    golden_file g = golden_open(path);
    golden_tensor want = golden_get(&g, "scalars"), centres = golden_get(&g, "centres");
    ck_assert_int_eq(centres.count, K * TRAINING_STEPS);
    training *t = training_open_on(r, _i % TRAINING_DEVICES);
    for (int64_t step = 0; step < TRAINING_STEPS; step++) {
        training_step(t, step);
        training_compare_scalars(t, scalars, 4, &want, step);
        training_compare(t, "state.centre", centres.v + K * step, NULL, K, step);
        compared += training_compare_networks(t, &g, step);
    }
    ck_assert_int_gt(compared, 240);
    training_close(t);
    free(want.v);
    free(centres.v);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dino_golden");
    TCase *tests = tcase_create("dino_golden");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, training_is_that_of_pytorch, 0, 2 * TRAINING_DEVICES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
