/* The ResNets against published sizes and against torchvision (tests/golden/resnet*.safetensors,
 * made by tests/golden/make_resnet_golden.py; weights and images by formula). */
#include "backbone_bench.h"

/* --- sizes --- */

static const struct {
    int depth, convolutions;
    int64_t parameters, norm_channels;
    int entries; /* of torchvision's state, classifier and one count for each batch norm included */
    double mmacs[3]; /* at 224, 128, 96 px */
} published[] = {
    {18, 20, 11176512, 4800, 122, {1813.6, 592.2, 333.1}},
    {34, 36, 21284672, 8512, 218, {3663.2, 1196.2, 672.8}},
    {50, 53, 23508032, 26560, 320, {4087.1, 1334.6, 750.7}},
};

START_TEST(sizes_are_the_published_ones)
{
    static const int32_t sizes[3] = {224, 128, 96};
    char options[64];
    int64_t channels, n;
    snprintf(options, sizeof options, "use = \"resnet\"\ndepth = %d", published[_i].depth);
    backbone_bench *b = bench_open(options, NULL, 32, 1);
    const int norms = bench_count(b, WISPI_ROLE_BUFFER, "running_mean", &channels);
    ck_assert_int_eq(bench_count(b, WISPI_ROLE_PARAMETER, "", &n) +
                         bench_count(b, WISPI_ROLE_BUFFER, "", &n),
                     published[_i].entries - 2 - norms);
    ck_assert_int_eq(channels, published[_i].norm_channels);
    ck_assert_int_eq(bench_convolutions(b), published[_i].convolutions);
    ck_assert_int_eq(wispi_module_parameter_count(b->backbone, 1), published[_i].parameters);
    for (int i = 0; i < 3; i++) {
        const double mmacs = bench_macs(b, sizes[i]) / 1e6;
        ck_assert_msg(fabs(mmacs - published[_i].mmacs[i]) < 0.06, "resnet%d at %d px: %.2f MMACs",
                      published[_i].depth, sizes[i], mmacs);
    }
    bench_close(b);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[][2] = {{"depth = 20", "depth"},
                                           {"width = 0.0", "test:3"},
                                           {"stem = \"cifar10\"", "test:3"},
                                           {"depht = 18", "test:3"}};
    char options[64];
    snprintf(options, sizeof options, "use = \"resnet\"\n%s", wrong[_i][0]);
    bench_refuses(options, wrong[_i][1]);
}
END_TEST

START_TEST(zero_init_last_starts_blocks_as_the_identity)
{
    static const struct {
        const char *name;
        float value;
    } gains[] = {{"layer1.0.bn1.weight", 1},
                 {"layer1.0.bn2.weight", 0},
                 {"layer2.0.downsample.1.weight", 1}};
    backbone_bench *b =
        bench_open("use = \"resnet\"\nwidth = 0.125\nzero_init_last = true", NULL, 32, 1);
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        int64_t n;
        float *values = bench_values(b, gains[i].name, 0, &n);
        for (int64_t k = 0; k < n; k++)
            ck_assert_msg(values[k] == gains[i].value, "%s is %g", gains[i].name,
                          (double)values[k]);
        free(values);
    }
    bench_close(b);
}
END_TEST

/* --- values --- */

static const struct {
    int depth;
    const char *backend, *last_norm;
} compared[] = {
    {18, NULL, "layer4.1.bn2.running_var"},
    {18, "cpu", "layer4.1.bn2.running_var"},
    {34, "cpu", "layer4.2.bn2.running_var"},
    {50, "cpu", "layer4.2.bn3.running_var"},
};

START_TEST(values_are_those_of_torchvision)
{
    /* In train mode 53 batch norms in a row spread rounding: PyTorch's own single precision is 7e-5
     * away from its double precision in ResNet50. */
    const double tolerance = compared[_i].depth == 50 ? 4e-4 : 1e-4;
    char path[128], options[64];
    snprintf(path, sizeof path, "tests/golden/resnet%d.safetensors", compared[_i].depth);
    snprintf(options, sizeof options, "use = \"resnet\"\ndepth = %d", compared[_i].depth);
    golden_file g = golden_open(path);
    backbone_bench *b = bench_open(options, compared[_i].backend, 64, 8);
    bench_set_values(b);
    bench_compare_outputs(b, &g, "eval", 1e-4);
    bench_compare_outputs(b, &g, "train", tolerance);
    ck_assert_int_eq(b->n_stages, 4);
    bench_compare_values(b, &g, "after", "bn1.running_mean", 0, tolerance);
    bench_compare_values(b, &g, "after", "layer2.0.downsample.1.running_var", 0, tolerance);
    bench_compare_values(b, &g, "after", compared[_i].last_norm, 0, tolerance);
    bench_close(b);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resnet");
    TCase *tests = tcase_create("resnet");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, sizes_are_the_published_ones, 0, 3);
    tcase_add_loop_test(tests, wrong_options_are_refused, 0, 4);
    tcase_add_test(tests, zero_init_last_starts_blocks_as_the_identity);
    tcase_add_loop_test(tests, values_are_those_of_torchvision, 0,
                        (int)(sizeof compared / sizeof *compared));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
