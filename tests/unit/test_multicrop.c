/* test_multicrop.c - the statistics of 100,000 plans against figures simulated elsewhere, and what
 * makes a sampler a pure function. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampler_fixture.h"

enum { KINDS = 8 };

/* --- crop scale and pixel scale --- */

#define SETTING(globals, locals, size)                                                             \
    "use = \"multicrop\"\nglobal = { count = 1, size = 224, scale = " globals " }\n"               \
    "local = { count = 1, size = " size ", scale = " locals " }\n"

/* The recipes as an experiment writes them. */
static const scale_figures settings[] = {
    {"CNN baseline", "use = \"multicrop\"", 0.463, 1.40, 1.13, 1.29, 1.09, 2},
    {"ViT baseline",
     "use = \"multicrop\"\nglobal = { scale = [0.25, 1.0] }\n"
     "local = { count = 10, scale = [0.05, 0.25] }",
     0.522, 1.76, 1.28, 1.63, 1.23, 2},
    {"CNN SSLight",
     "use = \"multicrop\"\nglobal = { scale = [0.3, 1.0] }\n"
     "local = { size = 128, scale = [0.05, 0.3] }",
     0.548, 1.07, 1.00, 0.995, 0.96, 3},
    {"ViT SSLight",
     "use = \"multicrop\"\nglobal = { scale = [0.3, 1.0] }\n"
     "local = { count = 10, size = 128, scale = [0.05, 0.3] }",
     0.548, 1.07, 1.00, 0.995, 0.96, 3},
};

START_TEST(scales_equal_the_published_figures)
{
    check_scales(&settings[_i]);
}
END_TEST

/* --- boxes --- */

/* Boxes lie inside, have the asked-for area and aspect but for rounding, and reach every corner. */
static void check_boxes(int32_t width, int32_t height)
{
    sampler_under_test s;
    wisp_view_plan plan;
    int touches[4] = {0};
    open_sampler(&s, SETTING("[0.3, 1.0]", "[0.05, 0.3]", "128"));
    for (uint64_t n = 0; n < 20000; n++) {
        draw_plan(&s, width, height, n, &plan);
        for (int v = 0; v < 2; v++) {
            const wisp_box *b = &plan.views[v].box;
            touches[0] += b->x == 0;
            touches[1] += b->y == 0;
            touches[2] += b->x + b->w == width;
            touches[3] += b->y + b->h == height;
            double aspect = (double)b->w / b->h, share = view_area(&plan.views[v]) / width / height;
            int inside = b->x >= 0 && b->y >= 0 && b->w >= 1 && b->h >= 1 && b->x + b->w <= width &&
                         b->y + b->h <= height;
            if (!inside || aspect <= 0.75 * 0.95 || aspect >= 1.3334 * 1.05 ||
                share <= (v ? 0.048 : 0.29) || share >= (v ? 0.31 : 1.0001))
                ck_abort_msg("view %d: the box (%d, %d, %d, %d)", v, b->x, b->y, b->w, b->h);
        }
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_gt(touches[i], 0);
    plugin_fixture_close(&s.fixture);
}

START_TEST(boxes_keep_their_ranges)
{
    check_boxes(500, 375);
    check_boxes(64, 80);
}
END_TEST

/* No crop of 90 % fits into a strip: the centred crop at the bound of the aspect is left. A picture
 * of one pixel is that pixel. */
START_TEST(impossible_crops_fall_back_to_the_centre)
{
    sampler_under_test s;
    wisp_view_plan plan;
    open_sampler(&s, SETTING("[0.9, 1.0]", "[0.05, 0.3]", "32"));
    draw_plan(&s, 400, 100, 1, &plan);
    const wisp_box wide = {133, 0, 133, 100}, tall = {0, 133, 100, 133}, one = {0, 0, 1, 1};
    ck_assert_mem_eq(&plan.views[0].box, &wide, sizeof wide);
    draw_plan(&s, 100, 400, 1, &plan);
    ck_assert_mem_eq(&plan.views[0].box, &tall, sizeof tall);
    draw_plan(&s, 1, 1, 1, &plan);
    ck_assert_mem_eq(&plan.views[0].box, &one, sizeof one);
    ck_assert_mem_eq(&plan.views[1].box, &one, sizeof one);
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* --- the photometric chain --- */

/* What SwAV's recipe changes: stronger colours, blur alike everywhere, no solarization. */
#define SWAV_CHAIN                                                                                 \
    "global = { blur = [0.5], solarize = [0.0] }\nlocal = { blur = [0.5] }\n"                      \
    "brightness = 0.8\ncontrast = 0.8\nsaturation = 0.8\nhue = 0.2\n"

static const wisp_pixel_op *find_op(const wisp_view_spec *view, int32_t kind)
{
    for (int32_t i = 0; i < view->n_ops; i++)
        if (view->ops[i].kind == kind)
            return &view->ops[i];
    return NULL;
}

/* Five deviations of a share counted in PLANS trials. */
static void check_share(const char *what, int view, int64_t hits, double probability)
{
    double allowed = 5 * sqrt(probability * (1 - probability) * PLANS);
    ck_assert_msg(fabs((double)hits - probability * PLANS) <= allowed,
                  "%s of view %d: %lld of %d, expected %g", what, view, (long long)hits, PLANS,
                  probability);
}

typedef struct chain_counts {
    int64_t flips, ops[KINDS], orders[4][4]; /* orders[kind][place within the jitter] */
} chain_counts;

/* Jitter's four come first and together, then gray, blur, solarize: kinds rise from there on. */
static void count_chain(const wisp_view_spec *view, chain_counts *counts)
{
    int32_t n_jitter = find_op(view, WISP_PIXEL_BRIGHTNESS) ? 4 : 0;
    counts->flips += view->flip;
    for (int32_t i = 0; i < view->n_ops; i++) {
        int32_t kind = view->ops[i].kind;
        counts->ops[kind]++;
        if ((i < n_jitter) != (kind <= WISP_PIXEL_HUE) ||
            (i > n_jitter && kind <= view->ops[i - 1].kind))
            ck_abort_msg("operation %d stands in place %d", kind, i);
        if (i < n_jitter)
            counts->orders[kind - 1][i]++;
    }
}

/* Published probabilities; the local views share the last one. */
typedef struct recipe {
    const char *toml;
    int32_t n_local, local_size;
    double blur[3], solarize[3];
} recipe;

static const recipe recipes[] = {
    {"use = \"multicrop\"", 6, 96, {1.0, 0.1, 0.5}, {0.0, 0.2, 0.0}},
    {"use = \"multicrop\"\nglobal = { scale = [0.3, 1.0] }\n"
     "local = { count = 10, size = 128, scale = [0.05, 0.3] }",
     10,
     128,
     {1.0, 0.1, 0.5},
     {0.0, 0.2, 0.0}},
    {"use = \"multicrop\"\n" SWAV_CHAIN, 6, 96, {0.5, 0.5, 0.5}, {0.0, 0.0, 0.0}},
};

static void check_chain(const recipe *r, int view, const chain_counts *counts)
{
    const int place_of = view < 2 ? view : 2;
    check_share("flip", view, counts->flips, 0.5);
    for (int kind = WISP_PIXEL_BRIGHTNESS; kind <= WISP_PIXEL_HUE; kind++) {
        check_share("jitter", view, counts->ops[kind], 0.8);
        for (int place = 0; place < 4; place++)
            check_share("order", view, counts->orders[kind - 1][place], 0.2);
    }
    check_share("gray", view, counts->ops[WISP_PIXEL_GRAY], 0.2);
    check_share("blur", view, counts->ops[WISP_PIXEL_BLUR], r->blur[place_of]);
    check_share("solarize", view, counts->ops[WISP_PIXEL_SOLARIZE], r->solarize[place_of]);
}

START_TEST(probabilities_are_the_recipe_s)
{
    const recipe *r = &recipes[_i];
    sampler_under_test s;
    wisp_view_plan plan;
    static chain_counts counts[12];
    memset(counts, 0, sizeof counts);
    open_sampler(&s, r->toml);
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 500, 375, n, &plan);
        if (plan.n_views != 2 + r->n_local)
            ck_abort_msg("%d views", plan.n_views);
        for (int v = 0; v < plan.n_views; v++) {
            const wisp_view_spec *view = &plan.views[v];
            const int32_t side = v < 2 ? 224 : r->local_size;
            if (view->group != (v >= 2) || view->out_w != side || view->out_h != side ||
                view->filter != WISP_FILTER_BICUBIC)
                ck_abort_msg("view %d: group %d, %d x %d px, filter %d", v, view->group,
                             view->out_w, view->out_h, view->filter);
            count_chain(view, &counts[v]);
        }
    }
    for (int v = 0; v < 2 + r->n_local; v++)
        check_chain(r, v, &counts[v]);
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* Each of the 24 orders of jitter is as likely as the others. */
START_TEST(all_orders_of_jitter_are_equal)
{
    sampler_under_test s;
    wisp_view_plan plan;
    int64_t counts[256] = {0}, orders = 0;
    open_sampler(&s, "use = \"multicrop\"\njitter = 1.0\nglobal = { count = 1 }\n"
                     "local = { count = 0 }");
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 64, 64, n, &plan);
        int code = 0;
        for (int i = 0; i < 4; i++)
            code = code * 4 + plan.views[0].ops[i].kind - 1;
        counts[code]++;
    }
    for (int code = 0; code < 256; code++) {
        if (counts[code] == 0)
            continue;
        orders++;
        check_share("one order", code, counts[code], 1.0 / 24);
    }
    ck_assert_int_eq(orders, 24);
    plugin_fixture_close(&s.fixture);
}
END_TEST

typedef struct range {
    double low, high, sum, squares;
    int64_t n;
} range;

static void widen(range *r, double value)
{
    r->low = r->n == 0 || value < r->low ? value : r->low;
    r->high = r->n == 0 || value > r->high ? value : r->high;
    r->sum += value;
    r->squares += value * value;
    r->n++;
}

/* Uniform over [low, high): ends nearly reached, mean and variance within five deviations or so. */
static void check_range(const char *what, const range *r, double low, double high)
{
    double width = high - low, mean = r->sum / (double)r->n;
    double variance = r->squares / (double)r->n - mean * mean;
    ck_assert_msg(r->low >= low && r->low < low + 0.001 * width, "%s from %g", what, r->low);
    ck_assert_msg(r->high <= high && r->high > high - 0.001 * width, "%s to %g", what, r->high);
    ck_assert_msg(fabs(mean - (low + high) / 2) < 0.006 * width, "%s has mean %g", what, mean);
    ck_assert_msg(fabs(variance - width * width / 12) < 0.02 * width * width / 12,
                  "%s has variance %g", what, variance);
}

static const struct {
    const char *toml;
    double bounds[KINDS][2];
} strengths[] = {
    {"use = \"multicrop\"",
     {{0, 0}, {0.6, 1.4}, {0.6, 1.4}, {0.8, 1.2}, {-0.1, 0.1}, {0, 0}, {0.1, 2.0}, {0, 0}}},
    {"use = \"multicrop\"\n" SWAV_CHAIN,
     {{0, 0}, {0.2, 1.8}, {0.2, 1.8}, {0.2, 1.8}, {-0.2, 0.2}, {0, 0}, {0.1, 2.0}, {0, 0}}},
};

START_TEST(parameters_are_uniform_in_their_ranges)
{
    static const int kinds[] = {WISP_PIXEL_BRIGHTNESS, WISP_PIXEL_CONTRAST, WISP_PIXEL_SATURATION,
                                WISP_PIXEL_HUE, WISP_PIXEL_BLUR};
    sampler_under_test s;
    wisp_view_plan plan;
    range ranges[KINDS];
    memset(ranges, 0, sizeof ranges);
    open_sampler(&s, strengths[_i].toml);
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 500, 375, n, &plan);
        for (int32_t i = 0; i < plan.views[0].n_ops; i++)
            widen(&ranges[plan.views[0].ops[i].kind], plan.views[0].ops[i].p[0]);
        const wisp_pixel_op *solarize = find_op(&plan.views[1], WISP_PIXEL_SOLARIZE);
        if (solarize && solarize->p[0] != 128.0)
            ck_abort_msg("solarized from %g on", solarize->p[0]);
    }
    for (int i = 0; i < 5; i++)
        check_range("parameter", &ranges[kinds[i]], strengths[_i].bounds[kinds[i]][0],
                    strengths[_i].bounds[kinds[i]][1]);
    plugin_fixture_close(&s.fixture);
}
END_TEST

START_TEST(options_reach_the_chain)
{
    sampler_under_test s;
    wisp_view_plan plan;
    open_sampler(&s, "use = \"multicrop\"\nbrightness = 0.0\nhue = 0.5\njitter = 1.0\ngray = 0.0\n"
                     "flip = 1.0\nblur_sigma = [3.0, 3.0]\nsolarize_threshold = 7\n"
                     "global = { count = 1, size = 8, blur = [1.0], solarize = [1.0] }\n"
                     "local = { count = 2, size = 4, blur = [0.0, 1.0] }");
    for (uint64_t n = 0; n < 200; n++) {
        draw_plan(&s, 20, 20, n, &plan);
        const wisp_view_spec *view = &plan.views[0];
        ck_assert_int_eq(plan.n_views, 3);
        ck_assert_int_eq(view->n_ops, 5);
        ck_assert_int_eq(view->flip, 1);
        ck_assert_ptr_null(find_op(view, WISP_PIXEL_BRIGHTNESS));
        ck_assert_double_eq(find_op(view, WISP_PIXEL_BLUR)->p[0], 3.0);
        ck_assert_double_eq(find_op(view, WISP_PIXEL_SOLARIZE)->p[0], 7.0);
        ck_assert_ptr_null(find_op(&plan.views[1], WISP_PIXEL_BLUR));
        ck_assert_ptr_nonnull(find_op(&plan.views[2], WISP_PIXEL_BLUR));
    }
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* The kind of blur changes nothing else in the plan. */
START_TEST(blurs_may_be_gaussian)
{
    sampler_under_test box, gaussian;
    wisp_view_plan want, got;
    open_sampler(&box, "use = \"multicrop\"\nblur_kind = \"box\"");
    open_sampler(&gaussian, "use = \"multicrop\"\nblur_kind = \"gaussian\"");
    for (uint64_t n = 0; n < 200; n++) {
        draw_plan(&box, 50, 40, n, &want);
        draw_plan(&gaussian, 50, 40, n, &got);
        for (int32_t v = 0; v < want.n_views; v++)
            for (int32_t i = 0; i < want.views[v].n_ops; i++)
                if (want.views[v].ops[i].kind == WISP_PIXEL_BLUR)
                    want.views[v].ops[i].kind = WISP_PIXEL_GAUSSIAN;
        ck_assert_ptr_nonnull(find_op(&got.views[0], WISP_PIXEL_GAUSSIAN));
        ck_assert_int_eq(got.n_views, want.n_views);
        ck_assert_mem_eq(got.views, want.views, (size_t)want.n_views * sizeof *want.views);
    }
    plugin_fixture_close(&box.fixture);
    plugin_fixture_close(&gaussian.fixture);
}
END_TEST

/* --- a pure function --- */

START_TEST(same_key_same_plan)
{
    sampler_under_test s;
    static wisp_view_plan a, b, c;
    open_sampler(&s, "use = \"multicrop\"");
    for (uint64_t n = 0; n < 200; n++) {
        draw_plan(&s, 500, 375, n, &a);
        draw_plan(&s, 123, 321, n + 7, &c); /* what happens between is no matter */
        draw_plan(&s, 500, 375, n, &b);
        ck_assert_int_eq(a.n_views, b.n_views);
        ck_assert_mem_eq(a.views, b.views, (size_t)a.n_views * sizeof a.views[0]);
        ck_assert_mem_ne(a.views, c.views, (size_t)a.n_views * sizeof a.views[0]);
        for (int v = 1; v < 8; v++) /* no two views of an image are alike */
            ck_assert_mem_ne(&a.views[v].box, &a.views[v - 1].box, sizeof(wisp_box));
    }
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* More local views leave the others as they were, and so do other probabilities further on. */
START_TEST(views_do_not_depend_on_each_other)
{
    sampler_under_test few, many;
    static wisp_view_plan a, b;
    open_sampler(&few, "use = \"multicrop\"\nlocal = { count = 2 }");
    open_sampler(&many, "use = \"multicrop\"\nlocal = { count = 9 }\ngray = 0.9");
    for (uint64_t n = 0; n < 200; n++) {
        draw_plan(&few, 300, 200, n, &a);
        draw_plan(&many, 300, 200, n, &b);
        ck_assert_int_eq(a.n_views, 4);
        ck_assert_int_eq(b.n_views, 11);
        for (int v = 0; v < 4; v++) {
            ck_assert_mem_eq(&a.views[v].box, &b.views[v].box, sizeof(wisp_box));
            ck_assert_int_eq(a.views[v].flip, b.views[v].flip);
            const wisp_pixel_op *hue = find_op(&a.views[v], WISP_PIXEL_HUE);
            if (hue)
                ck_assert_double_eq(hue->p[0], find_op(&b.views[v], WISP_PIXEL_HUE)->p[0]);
        }
    }
    plugin_fixture_close(&few.fixture);
    plugin_fixture_close(&many.fixture);
}
END_TEST

/* Shares of views in which two things happen together are the products of their shares. */
START_TEST(draws_of_a_view_are_independent)
{
    sampler_under_test s;
    wisp_view_plan plan;
    int64_t flip_gray = 0, flip_left = 0, left = 0, both_flip = 0;
    open_sampler(&s, "use = \"multicrop\"");
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 400, 400, n, &plan);
        const wisp_view_spec *view = &plan.views[2];
        int is_left = view->box.x < (400 - view->box.w) / 2;
        left += is_left;
        flip_gray += view->flip && find_op(view, WISP_PIXEL_GRAY);
        flip_left += view->flip && is_left;
        both_flip += view->flip && plan.views[3].flip;
    }
    check_share("flip and gray", 2, flip_gray, 0.5 * 0.2);
    check_share("flip at the left", 2, flip_left, 0.5 * (double)left / PLANS);
    check_share("two flips", 2, both_flip, 0.25);
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* --- groups and refusals --- */

START_TEST(groups_are_told)
{
    sampler_under_test s;
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    wisp_error err = {0};
    int32_t n = 0;
    open_sampler(&s, "use = \"multicrop\"\nlocal = { count = 3, size = 40 }");
    ck_assert_int_eq(s.vtable->groups(s.fixture.instance.self, groups, &n, &err), WISP_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(groups[0].name, "global");
    ck_assert_int_eq(groups[0].count, 2);
    ck_assert_int_eq(groups[0].width, 224);
    ck_assert_str_eq(groups[1].name, "local");
    ck_assert_int_eq(groups[1].count, 3);
    ck_assert_int_eq(groups[1].height, 40);
    plugin_fixture_close(&s.fixture);

    wisp_view_plan plan;
    open_sampler(&s, "use = \"multicrop\"\nglobal = { count = 0 }");
    ck_assert_int_eq(s.vtable->groups(s.fixture.instance.self, groups, &n, &err), WISP_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_str_eq(groups[0].name, "local");
    draw_plan(&s, 50, 50, 0, &plan);
    ck_assert_int_eq(plan.n_views, 6);
    ck_assert_int_eq(plan.views[5].group, 0);
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* The closed form as published. */
START_TEST(ratios_are_described)
{
    static const char *const said[] = {
        "crop scale 0.217, pixel scale 1.18 by area, 1.04 by length",
        "crop scale 0.277, pixel scale 1.51 by area, 1.18 by length",
        "crop scale 0.301, pixel scale 0.92 by area, 0.92 by length",
        "crop scale 0.301, pixel scale 0.92 by area, 0.92 by length"};
    sampler_under_test s;
    char line[300], cut[8];
    open_sampler(&s, settings[_i].toml);
    s.vtable->describe(s.fixture.instance.self, line, sizeof line);
    ck_assert_msg(strstr(line, said[_i]) != NULL, "%s", line);
    s.vtable->describe(s.fixture.instance.self, cut, sizeof cut);
    ck_assert_int_eq(strlen(cut), sizeof cut - 1);
    plugin_fixture_close(&s.fixture);
    open_sampler(&s, "use = \"multicrop\"\nlocal = { count = 0 }");
    s.vtable->describe(s.fixture.instance.self, line, sizeof line);
    ck_assert_str_eq(line, "views of one size");
    plugin_fixture_close(&s.fixture);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    static const char *const wrong[][2] = {
        {"global = { count = 0 }\nlocal = { count = 0 }", "no view is left"},
        {"global = { scale = [0.9, 0.3] }", "must not be above"},
        {"global = { scale = [0.0, 1.0] }", "global.scale"},
        {"ratio = [2.0, 1.0]", "must not be above"},
        {"blur_sigma = [2.0, 1.0]", "must not be above"},
        {"flip = 1.5", "flip"},
        {"flipp = 0.5", "flip"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        plugin_fixture fixture;
        wisp_error err = {0};
        char toml[256];
        snprintf(toml, sizeof toml, "use = \"multicrop\"\n%s", wrong[i][0]);
        ck_assert_int_eq(plugin_fixture_try(&fixture, "sampler", toml, &err), WISP_E_CONFIG);
        ck_assert_msg(strstr(err.message, wrong[i][1]) != NULL, "%s", err.message);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multicrop");
    TCase *tests = tcase_create("multicrop");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, scales_equal_the_published_figures, 0,
                        (int)(sizeof settings / sizeof settings[0]));
    tcase_add_test(tests, boxes_keep_their_ranges);
    tcase_add_test(tests, impossible_crops_fall_back_to_the_centre);
    tcase_add_loop_test(tests, probabilities_are_the_recipe_s, 0,
                        (int)(sizeof recipes / sizeof recipes[0]));
    tcase_add_test(tests, all_orders_of_jitter_are_equal);
    tcase_add_loop_test(tests, parameters_are_uniform_in_their_ranges, 0,
                        (int)(sizeof strengths / sizeof strengths[0]));
    tcase_add_test(tests, options_reach_the_chain);
    tcase_add_test(tests, blurs_may_be_gaussian);
    tcase_add_test(tests, same_key_same_plan);
    tcase_add_test(tests, views_do_not_depend_on_each_other);
    tcase_add_test(tests, draws_of_a_view_are_independent);
    tcase_add_test(tests, groups_are_told);
    tcase_add_loop_test(tests, ratios_are_described, 0,
                        (int)(sizeof settings / sizeof settings[0]));
    tcase_add_test(tests, wrong_options_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
