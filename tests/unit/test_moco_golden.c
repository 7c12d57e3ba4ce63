/* Twenty steps of the moco plugin against PyTorch (tests/golden/moco_*.safetensors, made by
 * tests/golden/make_moco_golden.py in double precision; weights, views and queue by formula): the
 * loss and its parts, queue and cursor after every step, and both encoders' tensors with their
 * running statistics, on the reference kernels and on the cpu backend. */
#include "method_training.h"

enum { K = 40, D = 16 };

#define COMMON                                                                                     \
    "use = \"moco\"\nout_dim = 16\nhidden_dim = 48\nqueue_length = 40\nkey_momentum = 0.9\n"

/* SSLight's; version 1; batch norm by parts of the batch, keys shuffled, all pairs alike. */
static const training_recipe recipes[] = {
    {"lars", COMMON "pair_weights = [0.4, 0.6]\n", WISPI_OPTIMIZER_LARS, 0, 1e-4, 5e-4, 1e-4, 0.01,
     0.1},
    {"sgd", COMMON "head_layers = 1\nlocal_views = false\ntemperature = 0.07\n",
     WISPI_OPTIMIZER_SGD, 0, 4e-6, 4e-5, 4e-6, 0.1, 1},
    {"parts", COMMON "batch_norm_groups = 2\nhead_batch_norm = true\n", WISPI_OPTIMIZER_SGD, 0,
     4e-6, 4e-5, 4e-6, 0.1, 1},
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

static const char *const scalars[] = {"loss", "loss_global", "key_cosine", "loss_local"};

static void set_queue(training *t, float start[K * D])
{
    const wispi_model_tensor *queue = wispi_model_tensor_named(t->model, "state.queue");
    ck_assert_ptr_nonnull(queue);
    ck_assert_int_eq(wisp_desc_count(queue->desc), K * D);
    formula_uniform("queue", K * D, -0.4, 0.4, start);
    TRAINING_OK(wispi_variable_write(t->device, queue->variable, start, err));
}

static int64_t cursor_of(training *t)
{
    const wispi_model_tensor *cursor = wispi_model_tensor_named(t->model, "state.queue.cursor");
    int64_t value = -1;
    ck_assert_ptr_nonnull(cursor);
    TRAINING_OK(wispi_variable_read(t->device, cursor->variable, &value, err));
    return value;
}

START_TEST(training_is_that_of_pytorch)
{
    const training_recipe *r = &recipes[_i / TRAINING_DEVICES];
    char path[128];
    float start[K * D];
    int compared = 0;
    snprintf(path, sizeof path, "tests/golden/moco_%s.safetensors", r->name);
    golden_file g = golden_open(path);
    golden_tensor want = golden_get(&g, "scalars"), queues = golden_get(&g, "queues");
    golden_tensor cursors = golden_get(&g, "cursors");
    ck_assert_int_eq(queues.count, K * D * TRAINING_STEPS);
    ck_assert_int_eq(cursors.count, TRAINING_STEPS);
    training *t = training_open_on(r, _i % TRAINING_DEVICES);
    set_queue(t, start);
    for (int64_t step = 0; step < TRAINING_STEPS; step++) {
        training_step(t, step);
        training_compare_scalars(t, scalars, strcmp(r->name, "sgd") == 0 ? 3 : 4, &want, step);
        training_compare(t, "state.queue", queues.v + K * D * step, start, K * D, step);
        ck_assert_int_eq(cursor_of(t), (int64_t)cursors.v[step]);
        compared += training_compare_networks(t, &g, step);
    }
    ck_assert_int_gt(compared, 220);
    training_close(t);
    free(want.v);
    free(queues.v);
    free(cursors.v);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moco_golden");
    TCase *tests = tcase_create("moco_golden");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, training_is_that_of_pytorch, 0, N_RECIPES * TRAINING_DEVICES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
