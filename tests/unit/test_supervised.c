/* Twenty steps of the supervised plugin against PyTorch (tests/golden/supervised_*.safetensors,
 * made by tests/golden/make_supervised_golden.py in double precision; weights, views and labels by
 * formula): the loss of every step, the network's tensors, and the scores in eval mode; then what
 * the method asks for, how its heads start and what fits DINO's. */
#include "method_bench.h"
#include "method_training.h"

enum { CLASSES = 10 };

static const training_recipe recipes[] = {
    {"linear", "use = \"supervised\"\n", WISPI_OPTIMIZER_SGD, 0, 1e-4, 5e-4, 5e-5, 0, 0},
    {"mlp", "use = \"supervised\"\nhead = \"mlp\"\nhidden_dim = 48\n", WISPI_OPTIMIZER_SGD, 0, 1e-4,
     5e-4, 5e-5, 0, 0},
};

typedef struct prediction {
    training *t;
    wisp_tensor *scores;
} prediction;

static void predict(wisp_step *s, void *user)
{
    prediction *p = user;
    wisp_no_grad_begin(s);
    p->scores = p->t->method->predict(p->t->self, s, wisp_view(s, &p->t->batch.plugin, 0));
    wisp_no_grad_end(s);
    wispi_step_keep(s, p->scores);
}

/* Running statistics, no gradient: the views are still those of the last step. */
static void compare_scores(training *t, const golden_file *g)
{
    prediction p = {t, NULL};
    wispi_program *program = NULL;
    golden_tensor want = golden_get(g, "scores");
    float got[TRAINING_BATCH * CLASSES];
    double largest = 0;
    ck_assert_int_eq(want.count, TRAINING_BATCH * CLASSES);
    wispi_model_set_eval(t->model, 1);
    TRAINING_OK(wispi_program_record(t->device, wispi_ops_table(), t->model, 0, predict, &p,
                                     &program, err));
    TRAINING_OK(wispi_model_refresh(t->model, err));
    TRAINING_OK(wispi_program_run(program, predict, &p, NULL, err));
    wispi_model_set_eval(t->model, 0);
    TRAINING_OK(wispi_program_read(program, p.scores, got, err));
    for (int i = 0; i < want.count; i++)
        largest = fmax(largest, fabs(want.v[i]));
    for (int i = 0; i < want.count; i++)
        ck_assert_double_eq_tol((double)got[i], want.v[i], 5e-3 * largest);
    wispi_program_destroy(program);
    free(want.v);
}

START_TEST(training_is_that_of_pytorch)
{
    static const char *const scalars[] = {"loss"};
    const training_recipe *r = &recipes[_i / TRAINING_DEVICES];
    char path[128];
    int compared = 0;
    snprintf(path, sizeof path, "tests/golden/supervised_%s.safetensors", r->name);
    golden_file g = golden_open(path);
    golden_tensor want = golden_get(&g, "scalars");
    training *t = training_open_labelled_on(r, _i % TRAINING_DEVICES, CLASSES);
    for (int64_t step = 0; step < TRAINING_STEPS; step++) {
        training_step(t, step);
        training_compare_scalars(t, scalars, 1, &want, step);
        compared += training_compare_networks(t, &g, step);
    }
    ck_assert_int_gt(compared, 100);
    compare_scores(t, &g);
    training_close(t);
    free(want.v);
    golden_close(&g);
}
END_TEST

/* --- what it asks for and how it starts --- */

static const char backbone[] = "[backbone]\nuse = \"resnet\"\nwidth = 0.0625\nstem = \"cifar\"\n";

static bench *open_method(const char *options)
{
    char toml[512];
    static const wisp_view_group one[] = {{"global", 1, 16, 16, 0}};
    snprintf(toml, sizeof toml, "%s[cpu]\nuse = \"cpu\"\n[method]\nuse = \"supervised\"\n%s",
             backbone, options);
    bench *b = open_bench(toml, one, 1);
    wispi_model_builder(b->model)->n_classes = 100;
    OK(build_bench(b, &err));
    OK(wispi_model_finish(b->model, &err));
    return b;
}

START_TEST(one_view_and_its_label)
{
    bench *b = open_method("");
    wisp_requirements r;
    memset(&r, 0, sizeof r);
    b->method->requirements(b->self, &r);
    ck_assert_uint_eq(r.needs, WISP_NEED_LABELS);
    ck_assert_int_eq(r.min_global, 1);
    ck_assert_int_eq(r.max_global, 1);
    ck_assert_int_eq(r.max_local, -1);
    ck_assert_ptr_eq(b->method->evaluated_network(b->self), b->method->evaluated_network(b->self));
    close_bench(b);
}
END_TEST

/* The usual first values of PyTorch's Linear are uniform in +-1/sqrt(inputs), biases too. */
START_TEST(heads_start_as_published)
{
    bench *b = open_method("");
    ck_assert_double_eq_tol(spread_of(b, "network.head.classifier.weight").deviation, 0.01, 1e-3);
    ck_assert_double_eq(spread_of(b, "network.head.classifier.bias").largest, 0);
    close_bench(b);
    b = open_method("head = \"mlp\"\nhidden_dim = 400\n");
    const spread w = spread_of(b, "network.head.mlp.6.weight");
    ck_assert_double_eq_tol(w.deviation, 1 / sqrt(3 * 400.0), 1e-3);
    ck_assert_double_le(w.largest, 1 / sqrt(400.0));
    ck_assert_double_gt(spread_of(b, "network.head.mlp.6.bias").largest, 0);
    close_bench(b);
}
END_TEST

/* Trap: the head for few labels takes two layers of DINO's. Same names below the network and same
 * shapes, batch norm and its running statistics included; the third layer differs. */
START_TEST(two_layers_of_the_head_fit_those_of_dino)
{
    static const char *const shared[] = {"mlp.0.weight", "mlp.0.bias",         "mlp.1.weight",
                                         "mlp.1.bias",   "mlp.1.running_mean", "mlp.1.running_var",
                                         "mlp.3.weight", "mlp.3.bias",         "mlp.4.weight",
                                         "mlp.4.bias",   "mlp.4.running_mean", "mlp.4.running_var"};
    char toml[512];
    snprintf(toml, sizeof toml,
             "%s[cpu]\nuse = \"cpu\"\n[method]\nuse = \"dino\"\nhidden_dim = 40\n", backbone);
    bench *few = open_method("head = \"mlp\"\nhidden_dim = 40\n");
    bench *dino = open_bench(toml, bench_views, 2);
    OK(build_bench(dino, &err));
    OK(wispi_model_finish(dino->model, &err));
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        char name[128], other[128];
        snprintf(name, sizeof name, "network.head.%s", shared[i]);
        snprintf(other, sizeof other, "student.head.%s", shared[i]);
        const wispi_model_tensor *a = wispi_model_tensor_named(few->model, name);
        const wispi_model_tensor *b = wispi_model_tensor_named(dino->model, other);
        ck_assert_msg(a && b, "%s or %s is not there", name, other);
        ck_assert_msg(memcmp(a->desc, b->desc, sizeof *a->desc) == 0, "%s has another shape", name);
    }
    ck_assert_ptr_nonnull(wispi_model_tensor_named(few->model, "network.head.mlp.6.weight"));
    ck_assert_ptr_null(wispi_model_tensor_named(few->model, "network.head.mlp.7.weight"));
    close_bench(few);
    close_bench(dino);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    ck_assert_int_ne(judge_options("[method]\nuse = \"supervised\"\nhead = \"two\"\n"), WISP_OK);
    ck_assert_int_ne(judge_options("[method]\nuse = \"supervised\"\nhidden_dim = 0\n"), WISP_OK);
    ck_assert_int_eq(judge_options("[method]\nuse = \"supervised\"\nhidden_dim = 1\n"), WISP_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervised");
    TCase *tests = tcase_create("supervised");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, training_is_that_of_pytorch, 0, 2 * TRAINING_DEVICES);
    tcase_add_test(tests, one_view_and_its_label);
    tcase_add_test(tests, heads_start_as_published);
    tcase_add_test(tests, two_layers_of_the_head_fit_those_of_dino);
    tcase_add_test(tests, wrong_options_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
