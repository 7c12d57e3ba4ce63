/* test_multicrop.c - the statistics of 100,000 plans against figures simulated elsewhere, and what
 * makes a sampler a pure function. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_fixture.h"
#include "wisp/sampler.h"

enum { PLANS = 100000, KINDS = 8 };

typedef struct sampler_under_test {
    plugin_fixture fixture;
    const wisp_sampler_v0 *vtable;
} sampler_under_test;

static void open_sampler(sampler_under_test *s, const char *toml)
{
    s->vtable = plugin_fixture_open(&s->fixture, "sampler", toml);
}

static void draw_plan(const sampler_under_test *s, int32_t width, int32_t height, uint64_t n,
                      wisp_view_plan *plan)
{
    wisp_error err = {0};
    wisp_view_source source = {width, height, 0, (int64_t)n,
                               wisp_rng_derive(wisp_rng_stream(5, WISP_STREAM_VIEW), 0, n)};
    plan->n_views = 0;
    wisp_status status = s->vtable->plan(s->fixture.instance.self, &source, plan, &err);
    ck_assert_msg(status == WISP_OK, "%s", err.message);
}

/* The published figure has `digits` decimals: 1 % and half of the last digit are allowed. */
static void check_figure(const char *what, double measured, double published, int digits)
{
    double allowed = 0.01 * published + 0.5 * pow(10, -digits);
    ck_assert_msg(fabs(measured - published) <= allowed, "%s: %.4f, published %.3f", what, measured,
                  published);
}

static double area(const wisp_view_spec *view)
{
    return (double)view->box.w * view->box.h;
}

/* --- crop scale and pixel scale --- */

#define SETTING(globals, locals, size)                                                             \
    "use = \"multicrop\"\nglobal = { count = 1, size = 224, scale = " globals " }\n"               \
    "local = { count = 1, size = " size ", scale = " locals " }\n"

/* Accepted global area; mean ratio of the pixel scales, by area and by length, for 500 x 375 and
 * 400 x 400 sources. */
static const struct {
    const char *name, *toml;
    double share, wide_area, wide_linear, square_area, square_linear;
    int square_digits;
} settings[] = {
    {"CNN baseline", SETTING("[0.14, 1.0]", "[0.05, 0.14]", "96"), 0.463, 1.40, 1.13, 1.29, 1.09,
     2},
    {"ViT baseline", SETTING("[0.25, 1.0]", "[0.05, 0.25]", "96"), 0.522, 1.76, 1.28, 1.63, 1.23,
     2},
    {"SSLight", SETTING("[0.3, 1.0]", "[0.05, 0.3]", "128"), 0.548, 1.07, 1.00, 0.995, 0.96, 3},
};

typedef struct scales {
    double share, by_area, by_length;
} scales;

static scales measure(const char *toml, int32_t width, int32_t height)
{
    sampler_under_test s;
    wisp_view_plan plan;
    scales sum = {0, 0, 0};
    open_sampler(&s, toml);
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, width, height, n, &plan);
        const wisp_view_spec *global = &plan.views[0], *local = &plan.views[1];
        double global_scale = area(global) / ((double)global->out_w * global->out_h);
        double local_scale = area(local) / ((double)local->out_w * local->out_h);
        sum.share += area(global) / ((double)width * height);
        sum.by_area += local_scale / global_scale;
        sum.by_length += sqrt(local_scale / global_scale);
    }
    plugin_fixture_close(&s.fixture);
    return (scales){sum.share / PLANS, sum.by_area / PLANS, sum.by_length / PLANS};
}

START_TEST(scales_equal_the_published_figures)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        scales wide = measure(settings[i].toml, 500, 375);
        check_figure(settings[i].name, wide.share, settings[i].share, 3);
        check_figure(settings[i].name, wide.by_area, settings[i].wide_area, 2);
        check_figure(settings[i].name, wide.by_length, settings[i].wide_linear, 2);
        scales square = measure(settings[i].toml, 400, 400);
        check_figure(settings[i].name, square.by_area, settings[i].square_area,
                     settings[i].square_digits);
        check_figure(settings[i].name, square.by_length, settings[i].square_linear, 2);
    }
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
        ck_assert_int_eq(plan.n_views, 2);
        for (int v = 0; v < 2; v++) {
            const wisp_box *b = &plan.views[v].box;
            ck_assert(b->x >= 0 && b->y >= 0 && b->w >= 1 && b->h >= 1);
            ck_assert(b->x + b->w <= width && b->y + b->h <= height);
            touches[0] += b->x == 0;
            touches[1] += b->y == 0;
            touches[2] += b->x + b->w == width;
            touches[3] += b->y + b->h == height;
            double aspect = (double)b->w / b->h, share = area(&plan.views[v]) / width / height;
            ck_assert_double_gt(aspect, 0.75 * 0.95);
            ck_assert_double_lt(aspect, 1.3334 * 1.05);
            ck_assert_double_gt(share, v ? 0.048 : 0.29);
            ck_assert_double_lt(share, v ? 0.31 : 1.0001);
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
        if (i < n_jitter) {
            ck_assert_int_le(kind, WISP_PIXEL_HUE);
            counts->orders[kind - 1][i]++;
        } else {
            ck_assert_int_ge(kind, WISP_PIXEL_GRAY);
            ck_assert(i == n_jitter || kind > view->ops[i - 1].kind);
        }
    }
}

/* Section by section as the recipe has it: blur and solarization differ between the views. */
static void check_chain(int view, const chain_counts *counts)
{
    static const double blur[8] = {1.0, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    check_share("flip", view, counts->flips, 0.5);
    for (int kind = WISP_PIXEL_BRIGHTNESS; kind <= WISP_PIXEL_HUE; kind++) {
        check_share("jitter", view, counts->ops[kind], 0.8);
        for (int place = 0; place < 4; place++)
            check_share("order", view, counts->orders[kind - 1][place], 0.2);
    }
    check_share("gray", view, counts->ops[WISP_PIXEL_GRAY], 0.2);
    check_share("blur", view, counts->ops[WISP_PIXEL_BLUR], blur[view]);
    check_share("solarize", view, counts->ops[WISP_PIXEL_SOLARIZE], view == 1 ? 0.2 : 0.0);
}

START_TEST(probabilities_are_the_recipe_s)
{
    sampler_under_test s;
    wisp_view_plan plan;
    static chain_counts counts[8];
    memset(counts, 0, sizeof counts);
    open_sampler(&s, "use = \"multicrop\"");
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 500, 375, n, &plan);
        ck_assert_int_eq(plan.n_views, 8);
        for (int v = 0; v < 8; v++) {
            ck_assert_int_eq(plan.views[v].group, v >= 2);
            ck_assert_int_eq(plan.views[v].out_w, v < 2 ? 224 : 96);
            ck_assert_int_eq(plan.views[v].filter, WISP_FILTER_BICUBIC);
            count_chain(&plan.views[v], &counts[v]);
        }
    }
    for (int v = 0; v < 8; v++)
        check_chain(v, &counts[v]);
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

START_TEST(parameters_are_uniform_in_their_ranges)
{
    static const double bounds[KINDS][2] = {{0, 0},      {0.6, 1.4}, {0.6, 1.4}, {0.8, 1.2},
                                            {-0.1, 0.1}, {0, 0},     {0.1, 2.0}, {0, 0}};
    sampler_under_test s;
    wisp_view_plan plan;
    range ranges[KINDS];
    memset(ranges, 0, sizeof ranges);
    open_sampler(&s, "use = \"multicrop\"");
    for (uint64_t n = 0; n < PLANS; n++) {
        draw_plan(&s, 500, 375, n, &plan);
        for (int32_t i = 0; i < plan.views[0].n_ops; i++)
            widen(&ranges[plan.views[0].ops[i].kind], plan.views[0].ops[i].p[0]);
        const wisp_pixel_op *solarize = find_op(&plan.views[1], WISP_PIXEL_SOLARIZE);
        ck_assert(!solarize || solarize->p[0] == 128.0);
    }
    static const int kinds[] = {WISP_PIXEL_BRIGHTNESS, WISP_PIXEL_CONTRAST, WISP_PIXEL_SATURATION,
                                WISP_PIXEL_HUE, WISP_PIXEL_BLUR};
    for (int i = 0; i < 5; i++)
        check_range("parameter", &ranges[kinds[i]], bounds[kinds[i]][0], bounds[kinds[i]][1]);
    plugin_fixture_close(&s.fixture);
}
END_TEST

/* SwAV's recipe by options: stronger colours, blur alike everywhere, no solarization. */
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
    tcase_add_test(tests, scales_equal_the_published_figures);
    tcase_add_test(tests, boxes_keep_their_ranges);
    tcase_add_test(tests, impossible_crops_fall_back_to_the_centre);
    tcase_add_test(tests, probabilities_are_the_recipe_s);
    tcase_add_test(tests, all_orders_of_jitter_are_equal);
    tcase_add_test(tests, parameters_are_uniform_in_their_ranges);
    tcase_add_test(tests, options_reach_the_chain);
    tcase_add_test(tests, same_key_same_plan);
    tcase_add_test(tests, views_do_not_depend_on_each_other);
    tcase_add_test(tests, draws_of_a_view_are_independent);
    tcase_add_test(tests, groups_are_told);
    tcase_add_test(tests, wrong_options_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
