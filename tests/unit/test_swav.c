/* What the swav plugin builds and refuses: published sizes and names, first values, the length of
 * the queue; and single steps: the loss when all outputs are alike, the first loss, prototypes of
 * any length, bf16. */
#include "method_trial.h"

/* --- sizes and names --- */

static const char published[] = "[backbone]\nuse = \"mobilenet_v2\"\n[method]\nuse = \"swav\"\n";

/* SSLight's check value, less its joint probe of 1000 classes. */
START_TEST(the_network_has_its_published_size)
{
    bench *b = open_bench(published, bench_views, 2);
    OK(build_bench(b, &err));
    OK(wispi_model_finish(b->model, &err));
    const wisp_module *network = wispi_model_network(b->model, "network");
    ck_assert_int_eq(wispi_module_parameter_count(network, 1), 9668456 - 1281000);
    ck_assert_int_eq(wispi_module_parameter_count(network, 0), 9668456 - 1281000);
    ck_assert_int_eq(wispi_model_network_count(b->model), 1);
    ck_assert_str_eq(wispi_module_path(b->method->evaluated_network(b->self)), "network.backbone");
    close_bench(b);
}
END_TEST

static int64_t count_of(const bench *b, const char *name)
{
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    return t ? wisp_desc_count(t->desc) : 0;
}

/* Nothing besides: no bias of the prototypes, no momentum or other schedule. */
START_TEST(the_head_has_its_published_names)
{
    static const struct {
        const char *name;
        int64_t count;
    } head[] = {{"mlp.0.weight", 4096 * 1280}, {"mlp.0.bias", 4096},
                {"mlp.1.weight", 4096},        {"mlp.1.bias", 4096},
                {"mlp.1.running_mean", 4096},  {"mlp.1.running_var", 4096},
                {"mlp.3.weight", 128 * 4096},  {"mlp.3.bias", 128}};
    const int32_t n_head = (int32_t)(sizeof head / sizeof *head);
    int32_t found = 0;
    bench *b = open_bench(published, bench_views, 2);
    OK(build_bench(b, &err));
    OK(wispi_model_finish(b->model, &err));
    for (int32_t i = 0; i < n_head; i++) {
        char name[96];
        snprintf(name, sizeof name, "network.head.projection.%s", head[i].name);
        ck_assert_int_eq(count_of(b, name), head[i].count);
    }
    ck_assert_int_eq(count_of(b, "network.head.prototypes.weight"), 3000 * 128);
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++)
        found += strncmp(wispi_model_tensor_at(b->model, i)->name, "network.head.", 13) == 0;
    ck_assert_int_eq(found, n_head + 1);
    ck_assert_int_eq(wispi_model_scalar_count(b->model), 0);
    close_bench(b);
}
END_TEST

/* --- first values --- */

#define SMALL                                                                                      \
    "[backbone]\nuse = \"resnet\"\ndepth = 10\nwidth = 0.25\nstem = \"cifar\"\n"                   \
    "zero_init_last = true\n[method]\nuse = \"swav\"\nhidden_dim = 512\n"

/* As the host does it: a probe comes after the method. */
static bench *with_probe(const char *toml)
{
    const wisp_linear_desc classifier = {.in = 128, .out = 1000, .bias = 1};
    bench *b = open_bench(toml, bench_views, 2);
    OK(build_bench(b, &err));
    wisp_build *build = wispi_model_builder(b->model);
    wisp_linear_layer(build, wisp_network(build, "probe0"), "classifier", &classifier);
    OK(wispi_model_finish(b->model, &err));
    return b;
}

static void check_normal(bench *b, const char *name, double deviation)
{
    const spread s = spread_of(b, name);
    ck_assert_double_eq_tol(s.mean, 0, 0.03 * deviation);
    ck_assert_double_eq_tol(s.deviation, deviation, 0.03 * deviation);
    ck_assert_double_gt(s.largest, 3 * deviation); /* a normal, and not cut short */
}

START_TEST(the_whole_run_starts_as_published)
{
    bench *b = with_probe(SMALL);
    check_normal(b, "network.head.projection.mlp.0.weight", 0.01);
    check_normal(b, "network.head.projection.mlp.3.weight", 0.01);
    check_normal(b, "network.head.prototypes.weight", 0.01);
    check_normal(b, "probe0.classifier.weight", 0.01);
    check_normal(b, "network.backbone.layer4.0.conv2.weight", sqrt(2.0 / (128 * 9)));
    ck_assert_double_eq(spread_of(b, "network.head.projection.mlp.0.bias").largest, 0);
    ck_assert_double_eq(spread_of(b, "network.head.projection.mlp.3.bias").largest, 0);
    ck_assert_double_eq(spread_of(b, "probe0.classifier.bias").largest, 0);
    const spread gamma = spread_of(b, "network.backbone.layer2.0.bn2.weight");
    ck_assert_double_eq(gamma.mean, 1); /* the backbone was told to start at 0 */
    ck_assert_double_eq(gamma.deviation, 0);
    ck_assert_double_eq(spread_of(b, "network.backbone.layer2.0.bn2.bias").largest, 0);
    close_bench(b);
}
END_TEST

START_TEST(a_run_may_start_as_its_plugins_do)
{
    bench *b = with_probe(SMALL "override_init = false\n");
    check_normal(b, "network.head.prototypes.weight", 0.01);
    ck_assert_double_eq(spread_of(b, "network.backbone.layer2.0.bn2.weight").largest, 0);
    const spread probe = spread_of(b, "probe0.classifier.weight");
    ck_assert_double_eq_tol(probe.largest, 1 / sqrt(128), 1e-4);
    ck_assert_double_gt(spread_of(b, "probe0.classifier.bias").largest, 0.05);
    close_bench(b);
}
END_TEST

/* --- the queue's length --- */

static const struct {
    const char *option;
    int64_t images;
    int32_t ranks;
    int64_t rows;
} lengths[] = {{"", 1024, 1, 3072}, {"", 128, 8, 3072}, {"", 256, 1, 3840},
               {"", 3840, 1, 3840}, {"", 3841, 1, 0},   {"queue_length = 0\n", 256, 1, 0},
               {"", 4, 1000, 0}};

/* One for each target view, made with the network and saved with it, of zeros. */
START_TEST(a_queue_holds_whole_batches)
{
    static const wisp_view_group views[] = {{"global", 2, 2, 2, 0}, {"local", 1, 1, 1, 0}};
    const bench_batch batch = {views, 2, WISP_F32, lengths[_i].images};
    char toml[512];
    int32_t states = 0;
    snprintf(toml, sizeof toml, "%s%s", SMALL, lengths[_i].option);
    bench *b = open_bench_on(toml, &batch);
    wispi_model_builder(b->model)->world_size = lengths[_i].ranks;
    OK(build_bench(b, &err));
    OK(wispi_model_finish(b->model, &err));
    ck_assert_int_eq(count_of(b, "state.queue.0"), lengths[_i].rows * 128);
    ck_assert_int_eq(count_of(b, "state.queue.1"), lengths[_i].rows * 128);
    for (int32_t i = 0; i < wispi_model_tensor_count(b->model); i++)
        states += wispi_model_tensor_at(b->model, i)->role == WISPI_ROLE_STATE;
    ck_assert_int_eq(states, lengths[_i].rows ? 4 : 0); /* rows and cursor */
    if (lengths[_i].rows)
        ck_assert_double_eq(spread_of(b, "state.queue.1").largest, 0);
    close_bench(b);
}
END_TEST

/* --- one step --- */

/* Multiplies row r of a weight by factor(r). */
static void scale_rows(bench *b, const char *name, int64_t rows, double (*factor)(int64_t row))
{
    int64_t n;
    float *values = read_tensor(b, name, &n);
    for (int64_t i = 0; i < n; i++)
        values[i] *= (float)factor(i / (n / rows));
    const wispi_model_tensor *t = wispi_model_tensor_named(b->model, name);
    OK(wispi_variable_write(b->device, t->variable, values, &err));
    free(values);
}

static double nothing(int64_t row)
{
    (void)row;
    return 0;
}

static double uneven(int64_t row)
{
    return ldexp(1, (int)(row % 7) - 3);
}

/* ln 3000, whatever the pairs weigh, and codes as even as they can be. */
START_TEST(all_outputs_alike_lose_ln_of_the_prototypes)
{
    double entropy = 0;
    bench *b = open_trial(SMALL "pair_weights = [0.4, 0.6]\n", WISP_F32);
    scale_rows(b, "network.head.projection.mlp.3.weight", 128, nothing);
    ck_assert_double_eq_tol(loss_of(b, 0, "code_entropy", &entropy), 8.006368, 1e-5); /* ln 3000 */
    ck_assert_double_eq_tol(entropy, 8.006368, 1e-5);
    close_bench(b);
}
END_TEST

START_TEST(the_first_loss_is_that_of_a_fresh_network)
{
    double entropy = 0;
    bench *b = open_trial(SMALL, WISP_F32);
    const double loss = loss_of(b, 0, "code_entropy", &entropy);
    ck_assert_msg(loss > 7 && loss < 8.4, "the first loss is %.4f", loss);
    ck_assert_double_lt(entropy, 8.0063);
    close_bench(b);
}
END_TEST

START_TEST(prototypes_have_length_one_before_they_are_used)
{
    static const char name[] = "network.head.prototypes.weight";
    int64_t n;
    bench *a = open_trial(SMALL, WISP_F32), *b = open_trial(SMALL, WISP_F32);
    scale_rows(b, name, 3000, uneven);
    ck_assert_double_eq_tol(loss_of(a, 0, NULL, NULL), loss_of(b, 0, NULL, NULL), 1e-6);
    float *rows = read_tensor(b, name, &n);
    for (int64_t k = 0; k < 3000; k++) {
        double square = 0;
        for (int64_t i = 0; i < 128; i++)
            square += (double)rows[k * 128 + i] * (double)rows[k * 128 + i];
        ck_assert_double_eq_tol(square, 1, 1e-5);
    }
    free(rows);
    close_bench(a);
    close_bench(b);
}
END_TEST

/* Scores stay in f32 beside activations in bf16: their exponentials make the codes. */
START_TEST(codes_do_not_suffer_from_bf16)
{
    double entropy[2] = {0, 0}, loss[2];
    for (int i = 0; i < 2; i++) {
        bench *b = open_trial(SMALL "queue_length = 8\n", i ? WISP_BF16 : WISP_F32);
        for (int64_t step = 0; step < 3; step++) /* fills the queue, and uses it */
            loss[i] = loss_of(b, 15, "code_entropy", &entropy[i]);
        close_bench(b);
    }
    ck_assert_double_eq_tol(loss[1], loss[0], 0.01 * loss[0]);
    ck_assert_double_eq_tol(entropy[1], entropy[0], 0.01 * entropy[0]);
}
END_TEST

/* --- refusals --- */

START_TEST(a_weight_for_missing_views_is_refused)
{
    static const char *const tables[] = {SMALL "pair_weights = [0.4, 0.6]\n",
                                         SMALL "pair_weights = [1.0, 0.0]\n"};
    wisp_error err = {0};
    bench *b = open_bench(tables[_i], bench_views, 1);
    ck_assert_int_eq(build_bench(b, &err), _i ? WISP_OK : WISP_E_CONFIG);
    ck_assert(_i || strstr(err.message, "pair_weights") != NULL);
    close_bench(b);
}
END_TEST

/* exp(1 / 0.01) would be no number in single precision. */
START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[] = {
        "pair_weights = [0.4]\n", "pair_weights = [0.0, 0.0]\n", "pair_weights = [0.2, 0.2, 0.6]\n",
        "epsilon = 0.01\n",       "temperature = 0.0\n",         "prototypes = 1\n",
        "queue_length = -1\n",    "sinkhorn_iterations = 0\n"};
    char toml[512];
    snprintf(toml, sizeof toml, "%s%s", SMALL, wrong[_i]);
    ck_assert_int_eq(judge_options(toml), WISP_E_CONFIG);
}
END_TEST

START_TEST(two_global_views_are_needed)
{
    wisp_requirements r = {.struct_size = sizeof r};
    bench *b = open_bench(SMALL, bench_views, 2);
    b->method->requirements(b->self, &r);
    ck_assert_int_eq(r.min_global, 2);
    ck_assert_int_eq(r.max_local, 0); /* any number */
    close_bench(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("swav");
    TCase *tests = tcase_create("swav");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_network_has_its_published_size);
    tcase_add_test(tests, the_head_has_its_published_names);
    tcase_add_test(tests, the_whole_run_starts_as_published);
    tcase_add_test(tests, a_run_may_start_as_its_plugins_do);
    tcase_add_loop_test(tests, a_queue_holds_whole_batches, 0, sizeof lengths / sizeof *lengths);
    tcase_add_test(tests, all_outputs_alike_lose_ln_of_the_prototypes);
    tcase_add_test(tests, the_first_loss_is_that_of_a_fresh_network);
    tcase_add_test(tests, prototypes_have_length_one_before_they_are_used);
    tcase_add_test(tests, codes_do_not_suffer_from_bf16);
    tcase_add_loop_test(tests, a_weight_for_missing_views_is_refused, 0, 2);
    tcase_add_loop_test(tests, wrong_options_are_refused, 0, 8);
    tcase_add_test(tests, two_global_views_are_needed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
