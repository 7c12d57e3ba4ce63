/* Twenty steps of the swav plugin against PyTorch (tests/golden/swav_*.safetensors, made by
 * tests/golden/make_swav_golden.py in double precision; weights and views by formula): the loss and
 * its parts after every step, the queues, and the network's tensors, on the reference kernels and
 * on the cpu backend; through the end of the prototypes' freeze and the queue's start, and through
 * the step in the middle of an epoch from which on the queue is used. */
#include "method_training.h"

enum { K = 24, D = 32, QUEUE = 24, QUEUE_START = 1 };

#define COMMON "use = \"swav\"\nprototypes = 24\nhidden_dim = 48\nout_dim = 32\n"

static const training_recipe recipes[] = {
    {"queue", COMMON "queue_length = 30\nqueue_start = 1\npair_weights = [0.4, 0.6]\n",
     WISPI_OPTIMIZER_ADAMW, 0.02, 1e-4, 2e-3, 1e-4, 0.04, 0.4},
    {"plain",
     COMMON "queue_length = 7\nhead_batch_norm = false\nfreeze_prototypes_epochs = 2\n"
            "epsilon = 0.1\ntemperature = 0.2\n",
     WISPI_OPTIMIZER_LARS, 0, 0.005, 0.05, 0.005, 0.01, 0.1},
};
static const int64_t freeze_epochs[] = {1, 2};

static const char *const scalars[] = {"loss", "loss_global", "loss_local", "code_entropy"};

/* --- prototypes --- */

static const char prototypes[] = "network.head.prototypes.weight";

/* The first values of the prototypes, made as long as they are from the first step on. */
static void first_prototypes(float first[K * D])
{
    const wisp_desc desc = wisp_desc2(WISP_F32, K, D);
    formula_parameter("head.prototypes.weight", &desc, first);
    for (int k = 0; k < K; k++) {
        double square = 0;
        for (int i = 0; i < D; i++)
            square += (double)first[k * D + i] * (double)first[k * D + i];
        for (int i = 0; i < D; i++)
            first[k * D + i] = (float)((double)first[k * D + i] / sqrt(square));
    }
}

static double largest_of(training *t, const char *name)
{
    float *values = training_values(t, name, K * D);
    double largest = 0;
    for (int i = 0; i < K * D; i++)
        largest = fmax(largest, fabs((double)values[i]));
    free(values);
    return largest;
}

/* No gradient, rather than one of zero: neither decay nor momentum touches them. */
static void check_freeze(training *t, const training_recipe *r, int64_t step, int64_t frozen)
{
    char moment[128];
    float first[K * D], *now = training_values(t, prototypes, K * D);
    double worst = 0;
    first_prototypes(first);
    for (int i = 0; i < K * D; i++)
        worst = fmax(worst, fabs((double)now[i] - (double)first[i]));
    snprintf(moment, sizeof moment, "optimizer.%s.%s",
             r->optimizer == WISPI_OPTIMIZER_LARS ? "momentum" : "first_moment", prototypes);
    if (step / TRAINING_STEPS_PER_EPOCH < frozen) {
        ck_assert_double_le(worst, 1e-6);
        ck_assert_double_eq(largest_of(t, moment), 0);
    } else {
        ck_assert_double_gt(worst, 1e-5);
        ck_assert_double_gt(largest_of(t, moment), 0);
    }
    free(now);
}

/* How far they went from length 1 on, besides what is asked of every tensor. */
static void compare_prototypes(training *t, const golden_file *g, int64_t step)
{
    char key[96];
    float first[K * D];
    snprintf(key, sizeof key, "%lld.%s", (long long)step + 1, prototypes);
    golden_tensor want = golden_get(g, key);
    if (want.desc.dtype) {
        ck_assert_int_eq(want.count, K * D);
        first_prototypes(first);
        training_compare(t, prototypes, want.v, first, K * D, step);
    }
    free(want.v);
}

/* --- queues --- */

/* PyTorch's queue has the newest batch in front, a ring's lies before its cursor. Rows have length
 * 1: no value may be off by a thousandth of what it is on average. */
static void compare_queue(training *t, const golden_tensor *want, int view, int64_t step)
{
    char name[32];
    snprintf(name, sizeof name, "state.queue.%d", view);
    float *ring = training_values(t, name, QUEUE * D);
    const int64_t pushes = step + 1 - QUEUE_START * TRAINING_STEPS_PER_EPOCH;
    double worst = 0;
    for (int64_t row = 0; row < QUEUE; row++) {
        const int64_t age = row / TRAINING_BATCH, place = row % TRAINING_BATCH;
        const int64_t batches = QUEUE / TRAINING_BATCH;
        const int64_t at = (pushes + batches - 1 - age) % batches * TRAINING_BATCH + place;
        for (int i = 0; i < D; i++)
            worst =
                fmax(worst, fabs((double)ring[at * D + i] - want->v[(view * QUEUE + row) * D + i]));
    }
    ck_assert_msg(worst <= 1e-4, "after step %lld %s is off by %.3g", (long long)step + 1, name,
                  worst);
    free(ring);
}

static int compare_queues(training *t, const golden_file *g, int64_t step)
{
    char key[32];
    snprintf(key, sizeof key, "queue.%lld", (long long)step + 1);
    golden_tensor want = golden_get(g, key);
    if (want.desc.dtype) {
        ck_assert_int_eq(want.count, 2 * QUEUE * D);
        compare_queue(t, &want, 0, step);
        compare_queue(t, &want, 1, step);
    }
    free(want.v);
    return want.desc.dtype != 0;
}

/* Not even filled before its epoch; the row of 7 makes none. */
static void check_start(training *t, int has_queue, int64_t step)
{
    ck_assert_int_eq(wispi_model_tensor_named(t->model, "state.queue.0") != NULL, has_queue);
    if (!has_queue || step >= QUEUE_START * TRAINING_STEPS_PER_EPOCH)
        return;
    ck_assert_double_eq(largest_of(t, "state.queue.0"), 0);
    ck_assert_double_eq(largest_of(t, "state.queue.1"), 0);
    ck_assert(isnan(training_metric(t, "queue_used")));
}

static void compare_use(training *t, const golden_tensor *used, int64_t step)
{
    const double ours = training_metric(t, "queue_used");
    ck_assert_int_eq(used->count, TRAINING_STEPS);
    ck_assert_double_eq(isnan(ours) ? 0 : ours, used->v[step]);
}

START_TEST(training_is_that_of_pytorch)
{
    const training_recipe *r = &recipes[_i / TRAINING_DEVICES];
    const int has_queue = strcmp(r->name, "queue") == 0;
    char path[128];
    int compared = 0, queues = 0;
    snprintf(path, sizeof path, "tests/golden/swav_%s.safetensors", r->name);
    golden_file g = golden_open(path);
    golden_tensor want = golden_get(&g, "scalars"), used = golden_get(&g, "used");
    training *t = training_open_on(r, _i % TRAINING_DEVICES);
    for (int64_t step = 0; step < TRAINING_STEPS; step++) {
        training_step(t, step);
        training_compare_scalars(t, scalars, 4, &want, step);
        compare_use(t, &used, step);
        check_start(t, has_queue, step);
        check_freeze(t, r, step, freeze_epochs[_i / TRAINING_DEVICES]);
        compare_prototypes(t, &g, step);
        compared += training_compare_networks(t, &g, step);
        queues += compare_queues(t, &g, step);
    }
    ck_assert_int_gt(compared, 110);
    ck_assert_int_eq(queues, has_queue ? 4 : 0);
    training_close(t);
    free(want.v);
    free(used.v);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("swav_golden");
    TCase *tests = tcase_create("swav_golden");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, training_is_that_of_pytorch, 0, 2 * TRAINING_DEVICES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
