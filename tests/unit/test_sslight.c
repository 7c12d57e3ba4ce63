/* test_sslight.c - what the sampler derives, against published sizes, ranges and statistics. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sampler_fixture.h"

#define SSLIGHT "use = \"sslight\"\n"

/* Side of the local views, and what the sampler says of itself. */
static int32_t local_size(const char *toml, char *line, size_t bytes)
{
    sampler_under_test s;
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    wisp_error err = {0};
    int32_t n = 0;
    open_sampler(&s, toml);
    ck_assert_int_eq(s.vtable->groups(s.fixture.instance.self, groups, &n, &err), WISP_OK);
    s.vtable->describe(s.fixture.instance.self, line, bytes);
    plugin_fixture_close(&s.fixture);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(groups[1].width, groups[1].height);
    return groups[1].width;
}

/* --- sizes --- */

/* Ranges of the three published recipes: the ratio by area is 1 at the exact size, and the rounded
 * size is the published one but for ViT's baseline, whose 96 px the idea would not choose. */
static const struct {
    const char *ranges, *exact, *ratio;
    int32_t rounded;
} derived[] = {
    {"", "exactly 122.9 px", "pixel scale 0.92 by area, 0.92 by length", 128},
    {"global = { scale = [0.14, 1.0] }\nlocal = { scale = [0.05, 0.14] }\n", "exactly 104.4 px",
     "pixel scale 1.18 by area, 1.04 by length", 96},
    {"global = { scale = [0.25, 1.0] }\nlocal = { scale = [0.05, 0.25] }\n", "exactly 117.9 px",
     "pixel scale 0.85 by area", 128},
};

START_TEST(sizes_are_derived_from_ranges)
{
    char toml[300], line[300];
    snprintf(toml, sizeof toml, SSLIGHT "%s", derived[_i].ranges);
    ck_assert_int_eq(local_size(toml, line, sizeof line), derived[_i].rounded);
    ck_assert_msg(strstr(line, derived[_i].exact) != NULL, "%s", line);
    ck_assert_msg(strstr(line, derived[_i].ratio) != NULL, "%s", line);
    snprintf(toml, sizeof toml, SSLIGHT "size_multiple = 1\n%s", derived[_i].ranges);
    ck_assert_int_eq(local_size(toml, line, sizeof line),
                     (int)nearbyint(strtod(derived[_i].exact + strlen("exactly "), NULL)));
}
END_TEST

/* Published: which ratio SSLight's ranges have at which size. Halfway, in factors, between two
 * ratios the choice changes. */
START_TEST(sizes_follow_the_target)
{
    static const struct {
        double target;
        int32_t size;
    } table[] = {{1.64, 96}, {1.20, 112}, {0.92, 128}, {0.73, 144}, {0.59, 160},
                 {1.41, 96}, {1.40, 112}, {0.66, 144}, {0.65, 160}};
    char toml[200], line[300];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        snprintf(toml, sizeof toml, SSLIGHT "size_multiple = 16\ntarget = %g\n", table[i].target);
        ck_assert_msg(local_size(toml, line, sizeof line) == table[i].size, "%g: %s",
                      table[i].target, line);
    }
    /* By length 0.92 belongs to 128 px, and the ratio goes with 1 / size. */
    ck_assert_int_eq(local_size(SSLIGHT "measure = \"length\"\ntarget = 0.923\nsize_multiple = 1",
                                line, sizeof line),
                     128);
    ck_assert_int_eq(local_size(SSLIGHT "measure = \"length\"\ntarget = 1.846\nsize_multiple = 1",
                                line, sizeof line),
                     64);
    /* No multiple below, none above. */
    ck_assert_int_eq(local_size(SSLIGHT "target = 100", line, sizeof line), 32);
    ck_assert_int_eq(local_size(SSLIGHT "size_multiple = 4096", line, sizeof line), 4096);
    ck_assert_int_eq(
        local_size(SSLIGHT "size_multiple = 2500\ntarget = 0.000944", line, sizeof line), 2500);
}
END_TEST

/* --- ranges --- */

static double upper_end(const char *toml)
{
    char line[300];
    double low = 0, high = 0;
    ck_assert_int_eq(local_size(toml, line, sizeof line), 128);
    const char *text = strstr(line, "local.scale = [");
    ck_assert_msg(text && sscanf(text, "local.scale = [%lf, %lf]", &low, &high) == 2, "%s", line);
    ck_assert_double_eq(low, 0.05);
    return high;
}

/* Mean over both ranges by the midpoint rule: no closed form in it. */
static double midpoint_ratio(double high, int by_length)
{
    enum { CELLS = 400 };
    double sum = 0;
    for (int i = 0; i < CELLS; i++)
        for (int j = 0; j < CELLS; j++) {
            double global = 0.3 + 0.7 * (i + 0.5) / CELLS;
            double local = 0.05 + (high - 0.05) * (j + 0.5) / CELLS;
            double ratio = local / global * (224.0 / 128) * (224.0 / 128);
            sum += by_length ? sqrt(ratio) : ratio;
        }
    return sum / CELLS / CELLS;
}

/* The published ratio, 0.92 by either measure, belongs to SSLight's own range. */
START_TEST(ranges_are_derived_from_sizes)
{
    static const double targets[] = {0.6, 0.92, 1.0, 1.5};
    char toml[300];
    for (int by_length = 0; by_length < 2; by_length++)
        for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
            snprintf(toml, sizeof toml,
                     SSLIGHT
                     "local = { size = 128, scale = [0.05] }\ntarget = %g\nmeasure = \"%s\"",
                     targets[i], by_length ? "length" : "area");
            double high = upper_end(toml);
            ck_assert_double_eq_tol(midpoint_ratio(high, by_length), targets[i], 0.004);
            if (targets[i] == 0.92)
                ck_assert_double_eq_tol(high, 0.3, 0.0035); /* 0.92 is rounded */
        }
}
END_TEST

/* --- plans --- */

static const scale_figures settings[] = {
    {"SSLight by its idea", SSLIGHT, 0.548, 1.07, 1.00, 0.995, 0.96, 3},
    {"the same for transformers", SSLIGHT "local = { count = 10 }", 0.548, 1.07, 1.00, 0.995, 0.96,
     3},
    {"the range derived",
     SSLIGHT "target = 0.9218\nlocal = { count = 1, size = 128, scale = [0.05] }", 0.548, 1.07,
     1.00, 0.995, 0.96, 3},
};

START_TEST(scales_equal_the_published_figures)
{
    check_scales(&settings[_i]);
}
END_TEST

/* With its defaults it is the published recipe, to the last draw. */
START_TEST(defaults_are_the_published_recipe)
{
    sampler_under_test derived_views, written;
    static wisp_view_plan a, b;
    open_sampler(&derived_views, SSLIGHT);
    open_sampler(&written, "use = \"multicrop\"\nglobal = { scale = [0.3, 1.0] }\n"
                           "local = { size = 128, scale = [0.05, 0.3] }");
    for (uint64_t n = 0; n < 1000; n++) {
        draw_plan(&derived_views, 500, 375, n, &a);
        draw_plan(&written, 500, 375, n, &b);
        ck_assert_int_eq(a.n_views, 8);
        ck_assert_int_eq(b.n_views, 8);
        ck_assert_mem_eq(a.views, b.views, 8 * sizeof a.views[0]);
    }
    plugin_fixture_close(&derived_views.fixture);
    plugin_fixture_close(&written.fixture);
}
END_TEST

/* --- refusals --- */

START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[][2] = {
        {"local = { count = 0 }", "take the sampler multicrop"},
        {"global = { count = 0 }", "take the sampler multicrop"},
        {"local = { scale = [0.05] }", "both open"},
        {"local = { size = 96 }", "nothing to derive"},
        {"local = { size = 96, scale = [0.05, 0.3] }", "nothing to derive"},
        {"local = { scale = [0.3, 0.05] }", "must not be above"},
        {"local = { size = 32, scale = [0.5] }", "local crops of up to"},
        {"local = { size = 512, scale = [0.05] }", "local crops of up to"},
        {"measure = \"length\"\nlocal = { size = 32, scale = [0.5] }", "local crops of up to"},
        {"target = 0.0", "target"},
        {"target = 1e-9", "needs local views of"},
        {"target = 1e-300", "needs local views of"},
        {"local = { size = -1 }", "size"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        char toml[256];
        const int64_t blocks = wispi_live_blocks();
        snprintf(toml, sizeof toml, SSLIGHT "%s", wrong[i][0]);
        ck_assert_msg(plugin_fixture_try(&fixture, "sampler", toml, &err) == WISP_E_CONFIG, "%s",
                      wrong[i][0]);
        ck_assert_msg(strstr(err.message, wrong[i][1]) != NULL, "%s", err.message);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
    }
}
END_TEST

/* Every allocation on the way to a sampler fails once. */
START_TEST(it_survives_any_failing_allocation)
{
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        int64_t blocks = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status = plugin_fixture_try(&fixture, "sampler", SSLIGHT, &err);
        wispi_fail_allocation(-1);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || err.message[0], "allocation %lld", (long long)nth);
        if (status == WISP_OK)
            plugin_fixture_close(&fixture);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 5000);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sslight");
    TCase *tests = tcase_create("sslight");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, sizes_are_derived_from_ranges, 0,
                        (int)(sizeof derived / sizeof derived[0]));
    tcase_add_test(tests, sizes_follow_the_target);
    tcase_add_test(tests, ranges_are_derived_from_sizes);
    tcase_add_loop_test(tests, scales_equal_the_published_figures, 0,
                        (int)(sizeof settings / sizeof settings[0]));
    tcase_add_test(tests, defaults_are_the_published_recipe);
    tcase_add_test(tests, wrong_options_are_refused);
    tcase_add_test(tests, it_survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
