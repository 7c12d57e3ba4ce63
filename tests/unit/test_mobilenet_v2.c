/* MobileNetV2 against published sizes and against torchvision (its channel rounding, and values in
 * tests/golden/mobilenet_v2_*.safetensors, made by tests/golden/make_mobilenet_golden.py; weights
 * and images by formula). */
#include "backbone_bench.h"
#include "nn/module.h"

/* --- sizes --- */

START_TEST(sizes_are_the_published_ones)
{
    int64_t norm_channels, n;
    backbone_bench *b = bench_open("use = \"mobilenet_v2\"", NULL, 32, 1);
    ck_assert_int_eq(wispi_module_parameter_count(b->backbone, 1), 2223872);
    ck_assert_int_eq(bench_convolutions(b), 52);
    ck_assert_int_eq(bench_count(b, WISPI_ROLE_BUFFER, "running_mean", &norm_channels), 52);
    ck_assert_int_eq(norm_channels, 17056);
    /* torchvision's 314 entries less the classifier's 2 and the 52 counts of batches */
    ck_assert_int_eq(bench_count(b, WISPI_ROLE_PARAMETER, "", &n) +
                         bench_count(b, WISPI_ROLE_BUFFER, "", &n),
                     314 - 2 - 52);
    ck_assert_int_eq((int64_t)bench_macs(b, 224), 299494272);
    ck_assert_int_eq((int64_t)bench_macs(b, 128), 97794048);
    ck_assert_int_eq((int64_t)bench_macs(b, 96), 55009152);
    bench_close(b);
}
END_TEST

/* What torchvision's mobilenet_v2(width_mult=...) has without its classifier. The rule that no
 * count falls by more than a tenth acts at 0.1, 0.35 and 0.75; the last convolution grows at 1.3
 * and 1.4.
 */
static const struct {
    double width;
    int64_t parameters, norm_channels, dim, macs; /* at 96 px */
} widths[] = {
    {0.1, 86080, 3616, 1280, 4661568},     {0.35, 396128, 7040, 1280, 10654128},
    {0.5, 687680, 9272, 1280, 17605440},   {0.75, 1355424, 13320, 1280, 38165472},
    {1.3, 3721792, 22128, 1664, 93252960}, {1.4, 4315776, 23968, 1792, 106604784},
};

START_TEST(widths_are_rounded_as_torchvision_does)
{
    char options[64];
    int64_t norm_channels;
    snprintf(options, sizeof options, "use = \"mobilenet_v2\"\nwidth = %g", widths[_i].width);
    backbone_bench *b = bench_open(options, NULL, 32, 1);
    ck_assert_int_eq(wispi_module_parameter_count(b->backbone, 1), widths[_i].parameters);
    bench_count(b, WISPI_ROLE_BUFFER, "running_mean", &norm_channels);
    ck_assert_int_eq(norm_channels, widths[_i].norm_channels);
    ck_assert_int_eq(wispi_module_backbone_info(b->backbone)->dim, widths[_i].dim);
    ck_assert_int_eq((int64_t)bench_macs(b, 96), widths[_i].macs);
    bench_close(b);
}
END_TEST

/* The same weights on larger maps: twice as wide and high up to the first stage, then four times.
 */
START_TEST(cifar_stem_only_changes_strides)
{
    backbone_bench *b = bench_open("use = \"mobilenet_v2\"\nstem = \"cifar\"", NULL, 32, 1);
    ck_assert_int_eq(wispi_module_parameter_count(b->backbone, 1), 2223872);
    ck_assert_int_eq((int64_t)bench_macs(b, 32), 87963648);
    ck_assert_int_eq((int64_t)bench_macs(b, 16), 21990912);
    bench_close(b);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[] = {"width = 0.0", "stem = \"cifar10\"", "widht = 1.0"};
    char options[64];
    snprintf(options, sizeof options, "use = \"mobilenet_v2\"\n%s", wrong[_i]);
    bench_refuses(options, "test:3");
}
END_TEST

/* --- first values --- */

static double spread(backbone_bench *b, const char *name)
{
    int64_t n;
    double sum = 0;
    float *values = bench_values(b, name, 0, &n);
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    free(values);
    return sqrt(sum / (double)n);
}

/* Kaiming's fan-out counts all output channels, those of depthwise convolutions too. */
START_TEST(weights_start_by_fan_out)
{
    static const struct {
        const char *name;
        double fan_out;
    } drawn[] = {{"features.4.conv.2.weight", 32},
                 {"features.17.conv.1.0.weight", 960 * 9},
                 {"features.18.0.weight", 1280}};
    int64_t n;
    backbone_bench *b = bench_open("use = \"mobilenet_v2\"", NULL, 32, 1);
    for (size_t i = 0; i < WISP_COUNT(drawn); i++) {
        const double ratio = spread(b, drawn[i].name) / sqrt(2 / drawn[i].fan_out);
        ck_assert_msg(fabs(ratio - 1) < 0.04, "%s: %.3f times the spread", drawn[i].name, ratio);
    }
    ck_assert(spread(b, "features.18.1.weight") == 1 && spread(b, "features.18.1.bias") == 0);
    float *gains = bench_values(b, "features.17.conv.3.weight", 0, &n);
    ck_assert(n == 320 && gains[0] == 1 && gains[319] == 1);
    free(gains);
    bench_close(b);
}
END_TEST

/* What the optimizer's rules for depthwise weights act on. */
START_TEST(depthwise_weights_are_known_as_such)
{
    int n = 0;
    backbone_bench *b = bench_open("use = \"mobilenet_v2\"", NULL, 32, 1);
    for (const wispi_slot *slot = b->net->network->parameters.first; slot; slot = slot->next) {
        const wisp_desc *desc = &slot->variable.desc;
        const int depthwise = desc->rank == 4 && desc->shape[1] == 1;
        ck_assert_int_eq((slot->flags & WISP_PARAM_DEPTHWISE) != 0, depthwise);
        n += depthwise;
    }
    ck_assert_int_eq(n, 17);
    bench_close(b);
}
END_TEST

/* --- values --- */

static const struct {
    const char *stem, *options, *backend;
    int32_t size;
} compared[] = {
    {"imagenet", "", NULL, 64},
    {"imagenet", "", "cpu", 64},
    {"cifar", "width = 0.5\nstem = \"cifar\"", NULL, 32},
    {"cifar", "width = 0.5\nstem = \"cifar\"", "cpu", 32},
};

static backbone_bench *open_compared(int i, golden_file *g)
{
    char options[96], path[128];
    snprintf(path, sizeof path, "tests/golden/mobilenet_v2_%s.safetensors", compared[i].stem);
    snprintf(options, sizeof options, "use = \"mobilenet_v2\"\n%s", compared[i].options);
    *g = golden_open(path);
    backbone_bench *b = bench_open(options, compared[i].backend, compared[i].size, 8);
    bench_set_values(b);
    return b;
}

START_TEST(values_are_those_of_torchvision)
{
    static const char *const running[] = {
        "features.0.1.running_mean", "features.3.conv.1.1.running_var",
        "features.17.conv.3.running_mean", "features.18.1.running_var"};
    golden_file g = {0};
    backbone_bench *b = open_compared(_i, &g);
    bench_compare_outputs(b, &g, "eval", 1e-4);
    bench_compare_outputs(b, &g, "train", 1e-4);
    ck_assert_int_eq(b->n_stages, 8);
    for (size_t i = 0; i < WISP_COUNT(running); i++)
        bench_compare_values(b, &g, "after", running[i], 0, 1e-4);
    bench_close(b);
    golden_close(&g);
}
END_TEST

/* Activations that rounding moves over a border of ReLU6 decide the tolerance: PyTorch's single
 * precision is 3e-3 away from its double precision. */
START_TEST(gradients_are_those_of_torchvision)
{
    static const char *const names[] = {
        "features.0.0.weight",        "features.0.1.bias",           "features.1.conv.0.0.weight",
        "features.2.conv.0.0.weight", "features.2.conv.1.0.weight",  "features.3.conv.2.weight",
        "features.3.conv.3.weight",   "features.17.conv.1.0.weight", "features.18.1.weight"};
    golden_file g = {0};
    backbone_bench *b = open_compared(_i, &g);
    wispi_program_destroy(bench_run(b, 1, 1));
    for (size_t i = 0; i < WISP_COUNT(names); i++)
        bench_compare_values(b, &g, "grad", names[i], 1, 1e-2);
    bench_close(b);
    golden_close(&g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mobilenet_v2");
    TCase *tests = tcase_create("mobilenet_v2");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, sizes_are_the_published_ones);
    tcase_add_loop_test(tests, widths_are_rounded_as_torchvision_does, 0,
                        (int)(sizeof widths / sizeof *widths));
    tcase_add_test(tests, cifar_stem_only_changes_strides);
    tcase_add_loop_test(tests, wrong_options_are_refused, 0, 3);
    tcase_add_test(tests, weights_start_by_fan_out);
    tcase_add_test(tests, depthwise_weights_are_known_as_such);
    tcase_add_loop_test(tests, values_are_those_of_torchvision, 0,
                        (int)(sizeof compared / sizeof *compared));
    tcase_add_loop_test(tests, gradients_are_those_of_torchvision, 0,
                        (int)(sizeof compared / sizeof *compared));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
