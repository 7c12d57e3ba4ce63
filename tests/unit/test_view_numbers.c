/* test_view_numbers.c - what is counted of plans: boxes by hand, pixels counted one by one, closed
 * forms, and the published recipes as torchvision draws them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/published_recipes.h"
#include "report/view_numbers.h"
#include "sampler_fixture.h"

static const wisp_view_group two_groups[2] = {{"global", 2, 50, 50, 0}, {"local", 2, 20, 20, 0}};

static void add_view(wisp_view_plan *plan, int32_t group, wisp_box box)
{
    wisp_view_spec *view = wisp_plan_add(plan);
    view->group = group;
    view->out_w = two_groups[group].width;
    view->out_h = two_groups[group].height;
    view->box = box;
}

static void check_mean(const wispi_view_numbers *n, int32_t which, double wanted)
{
    const double mean = wispi_view_numbers_mean(n, which);
    ck_assert_msg(fabs(mean - wanted) <= 1e-12 * (1 + fabs(wanted)), "%s: %.15g, not %.15g",
                  wispi_view_means[which].key, mean, wanted);
}

/* --- by hand --- */

/* An image of 200 x 100. Globals: 100 x 100 each, the second 50 px to the right. Locals: 40 x 20 at
 * (80, 20), half in the first and all in the second; 15 x 20 at (160, 80), in neither. */
START_TEST(fixed_boxes_give_what_is_worked_out_by_hand)
{
    wispi_view_numbers n;
    wisp_view_plan plan = {0};
    add_view(&plan, 0, (wisp_box){0, 0, 100, 100});
    add_view(&plan, 0, (wisp_box){50, 0, 100, 100});
    add_view(&plan, 1, (wisp_box){80, 20, 40, 20});
    add_view(&plan, 1, (wisp_box){160, 80, 15, 20});
    wispi_view_numbers_begin(&n, two_groups, 2);
    wispi_view_numbers_add(&n, &plan, 200, 100);
    ck_assert_int_eq(n.groups[0].is_local, 0);
    ck_assert_int_eq(n.groups[1].is_local, 1);
    ck_assert_int_eq(wispi_view_numbers_views(&n), 4);
    check_mean(&n, WISPI_MEAN_GLOBAL_CROP_SCALE, 0.5);
    check_mean(&n, WISPI_MEAN_LOCAL_CROP_SCALE, (0.04 + 0.015) / 2);
    check_mean(&n, WISPI_MEAN_CROP_RATIO, (0.08 + 0.03) / 2);
    check_mean(&n, WISPI_MEAN_GLOBAL_PIXEL_SCALE, 4);
    check_mean(&n, WISPI_MEAN_LOCAL_PIXEL_SCALE, (2 + 0.75) / 2);
    check_mean(&n, WISPI_MEAN_RATIO_AREA, (0.5 + 0.1875) / 2);
    check_mean(&n, WISPI_MEAN_RATIO_LENGTH, (sqrt(0.5) + sqrt(0.1875)) / 2);
    check_mean(&n, WISPI_MEAN_OVERLAP, (0.5 + 1 + 0 + 0) / 4);
    check_mean(&n, WISPI_MEAN_APART, 0.5);
    check_mean(&n, WISPI_MEAN_GLOBAL_UNION, 1.0 / 3);
    check_mean(&n, WISPI_MEAN_GLOBAL_UP_SAMPLED, 0);
    check_mean(&n, WISPI_MEAN_LOCAL_UP_SAMPLED, 0.5);
    check_mean(&n, WISPI_MEAN_PIXELS, 2 * 2500 + 2 * 400);
}
END_TEST

START_TEST(values_count_in_their_bins)
{
    wispi_view_numbers n;
    wisp_view_plan plan = {0};
    add_view(&plan, 0, (wisp_box){0, 0, 200, 100});
    add_view(&plan, 1, (wisp_box){0, 0, 18, 20});
    wispi_view_numbers_begin(&n, two_groups, 2);
    wispi_view_numbers_add(&n, &plan, 200, 100);
    const wispi_histogram *crop = &n.groups[0].crop_scale, *small = &n.groups[1].crop_scale;
    ck_assert_int_eq(crop->counts[crop->n_bins - 1], 1); /* 1 is in the last bin */
    ck_assert_int_eq(small->counts[0], 1);               /* 0.018 in bins of 0.02 */
    const wispi_histogram *ratio = &n.pixel_ratio;
    const double value = 0.9 / 8;
    for (int32_t i = 0; i < ratio->n_bins; i++) {
        const int inside =
            wispi_histogram_edge(ratio, i) <= value && value < wispi_histogram_edge(ratio, i + 1);
        ck_assert_int_eq(ratio->counts[i], inside);
    }
    ck_assert_double_eq_tol(wispi_histogram_edge(ratio, 0), ratio->low, 1e-12);
    ck_assert_double_eq_tol(wispi_histogram_edge(ratio, ratio->n_bins), ratio->high, 1e-12);
}
END_TEST

/* A sampler of one group has no pairs; one of no view at all says nothing. */
START_TEST(what_is_not_there_has_no_mean)
{
    wispi_view_numbers n;
    wisp_view_plan plan = {0};
    char cell[WISPI_VIEW_CELL];
    wispi_view_numbers_begin(&n, two_groups, 1);
    for (int32_t i = 0; i < WISPI_MEAN_PIXELS; i++)
        ck_assert(isnan(wispi_view_numbers_mean(&n, i)));
    add_view(&plan, 0, (wisp_box){0, 0, 10, 10});
    wispi_view_numbers_add(&n, &plan, 20, 20);
    check_mean(&n, WISPI_MEAN_GLOBAL_CROP_SCALE, 0.25);
    ck_assert(isnan(wispi_view_numbers_mean(&n, WISPI_MEAN_LOCAL_CROP_SCALE)));
    ck_assert(isnan(wispi_view_numbers_mean(&n, WISPI_MEAN_RATIO_AREA)));
    ck_assert(isnan(wispi_view_numbers_mean(&n, WISPI_MEAN_OVERLAP)));
    ck_assert(isnan(wispi_view_numbers_mean(&n, WISPI_MEAN_GLOBAL_UNION)));
    wispi_view_mean_text(WISPI_MEAN_OVERLAP, NAN, cell);
    ck_assert_str_eq(cell, "-");
}
END_TEST

START_TEST(means_are_written_for_people)
{
    char cell[WISPI_VIEW_CELL];
    wispi_view_mean_text(WISPI_MEAN_OVERLAP, 0.4625, cell);
    ck_assert_str_eq(cell, "46.2 %");
    wispi_view_mean_text(WISPI_MEAN_RATIO_AREA, 1.066, cell);
    ck_assert_str_eq(cell, "1.07");
    wispi_view_mean_text(WISPI_MEAN_PIXELS, 155648, cell);
    ck_assert_str_eq(cell, "155,648 px");
    wispi_view_mean_text(WISPI_MEAN_PIXELS, 1005008, cell);
    ck_assert_str_eq(cell, "1,005,008 px");
    wispi_view_count_text(999, cell);
    ck_assert_str_eq(cell, "999");
}
END_TEST

/* --- pixel by pixel --- */

enum { WIDTH = 23, HEIGHT = 17 };

static void paint(uint8_t pixels[HEIGHT][WIDTH], const wisp_box *b)
{
    memset(pixels, 0, HEIGHT * WIDTH);
    for (int32_t y = b->y; y < b->y + b->h; y++)
        memset(&pixels[y][b->x], 1, (size_t)b->w);
}

static void count_pixels(const wisp_box *a, const wisp_box *b, int *both, int *either)
{
    uint8_t first[HEIGHT][WIDTH], second[HEIGHT][WIDTH];
    paint(first, a);
    paint(second, b);
    *both = *either = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            *both += first[y][x] && second[y][x];
            *either += first[y][x] || second[y][x];
        }
}

static wisp_box random_box(void)
{
    wisp_box b = {.w = 1 + rand() % WIDTH, .h = 1 + rand() % HEIGHT};
    b.x = rand() % (WIDTH - b.w + 1);
    b.y = rand() % (HEIGHT - b.h + 1);
    return b;
}

START_TEST(overlaps_are_what_pixels_say)
{
    wispi_view_numbers n;
    double overlap = 0, apart = 0, united = 0;
    srand(3);
    wispi_view_numbers_begin(&n, two_groups, 2);
    for (int i = 0; i < 2000; i++) {
        wisp_view_plan plan = {0};
        int both, either;
        for (int v = 0; v < 4; v++)
            add_view(&plan, v / 2, random_box());
        wispi_view_numbers_add(&n, &plan, WIDTH, HEIGHT);
        for (int l = 2; l < 4; l++)
            for (int g = 0; g < 2; g++) {
                const wisp_box *local = &plan.views[l].box;
                count_pixels(local, &plan.views[g].box, &both, &either);
                overlap += (double)both / (local->w * local->h) / 8000;
                apart += (both == 0) / 8000.0;
            }
        count_pixels(&plan.views[0].box, &plan.views[1].box, &both, &either);
        united += (double)both / either / 2000;
    }
    ck_assert_double_eq_tol(wispi_view_numbers_mean(&n, WISPI_MEAN_OVERLAP), overlap, 1e-10);
    ck_assert_double_eq_tol(wispi_view_numbers_mean(&n, WISPI_MEAN_APART), apart, 1e-10);
    ck_assert_double_eq_tol(wispi_view_numbers_mean(&n, WISPI_MEAN_GLOBAL_UNION), united, 1e-10);
    ck_assert(apart > 0.01 && apart < 0.9 && united > 0.05);
}
END_TEST

/* --- samplers --- */

static void draw(const char *toml, int32_t width, int32_t height, int64_t plans,
                 wispi_view_numbers *n)
{
    sampler_under_test s;
    wisp_view_plan plan;
    wisp_view_group groups[WISP_MAX_VIEW_GROUPS];
    int32_t n_groups = 0;
    wisp_error err = {0};
    open_sampler(&s, toml);
    ck_assert_int_eq(s.vtable->groups(s.fixture.instance.self, groups, &n_groups, &err), WISP_OK);
    wispi_view_numbers_begin(n, groups, n_groups);
    for (int64_t i = 0; i < plans; i++) {
        draw_plan(&s, width, height, (uint64_t)i, &plan);
        wispi_view_numbers_add(n, &plan, width, height);
    }
    plugin_fixture_close(&s.fixture);
}

static void check_near(const wispi_view_numbers *n, int32_t which, double wanted, double allowed)
{
    const double mean = wispi_view_numbers_mean(n, which);
    ck_assert_msg(fabs(mean - wanted) <= allowed, "%s: %.4f, not %.4f", wispi_view_means[which].key,
                  mean, wanted);
}

/* Up to half of a square image fits at any aspect, so crop scales are uniform: their mean is the
 * middle of the range, and E[1 / CS_g] = ln(b / a) / (b - a). */
START_TEST(uniform_crops_have_the_means_of_the_closed_form)
{
    wispi_view_numbers n;
    draw("use = \"multicrop\"\nglobal = { count = 2, size = 224, scale = [0.2, 0.5] }\n"
         "local = { count = 4, size = 96, scale = [0.05, 0.15] }",
         1000, 1000, 20000, &n);
    const double inverse = log(0.5 / 0.2) / 0.3, zoom = 224.0 * 224 / (96 * 96);
    const double root_l = 2.0 / 3 * (pow(0.15, 1.5) - pow(0.05, 1.5)) / 0.1;
    const double root_g = 2 * (sqrt(0.5) - sqrt(0.2)) / 0.3;
    check_near(&n, WISPI_MEAN_GLOBAL_CROP_SCALE, 0.35, 0.002);
    check_near(&n, WISPI_MEAN_LOCAL_CROP_SCALE, 0.1, 0.0005);
    check_near(&n, WISPI_MEAN_CROP_RATIO, 0.1 * inverse, 0.002);
    check_near(&n, WISPI_MEAN_RATIO_AREA, 0.1 * inverse * zoom, 0.01);
    check_near(&n, WISPI_MEAN_RATIO_LENGTH, root_l * root_g * 224 / 96, 0.005);
    check_near(&n, WISPI_MEAN_GLOBAL_PIXEL_SCALE, 0.35 * 1e6 / 224 / 224, 0.04);
    check_near(&n, WISPI_MEAN_PIXELS, 2 * 224 * 224 + 4 * 96 * 96, 0);
}
END_TEST

/* As experiments write them, in the order of wispi_published_recipes, with what is known elsewhere
 * for images of 500 x 375: accepted global area, ratio by area and by length. */
static const struct {
    const char *toml;
    double share, area, length;
} recipes[WISPI_N_RECIPES] = {
    {"use = \"multicrop\"", 0.463, 1.40, 1.13},
    {"use = \"multicrop\"\nglobal = { scale = [0.3, 1.0] }\n"
     "local = { size = 128, scale = [0.05, 0.3] }",
     0.548, 1.07, 1.00},
    {"use = \"multicrop\"\nglobal = { scale = [0.25, 1.0] }\n"
     "local = { count = 10, scale = [0.05, 0.25] }",
     0.522, 1.76, 1.28},
    {"use = \"sslight\"\nlocal = { count = 10 }", 0.548, 1.07, 1.00},
};

START_TEST(published_recipes_are_reproduced)
{
    const wispi_published_recipe *published = &wispi_published_recipes[_i];
    wispi_view_numbers n;
    draw(recipes[_i].toml, 500, 375, 20000, &n);
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        check_near(&n, i, published->means[i],
                   i == WISPI_MEAN_PIXELS ? 0 : 0.006 + 0.01 * published->means[i]);
    check_figure("share", published->means[WISPI_MEAN_GLOBAL_CROP_SCALE], recipes[_i].share, 3);
    check_figure("area", published->means[WISPI_MEAN_RATIO_AREA], recipes[_i].area, 2);
    check_figure("length", published->means[WISPI_MEAN_RATIO_LENGTH], recipes[_i].length, 2);
}
END_TEST

/* SSLight pushes 28 % more pixels through a convolutional network. */
START_TEST(pixels_are_those_that_are_published)
{
    const double *base = wispi_published_recipes[0].means,
                 *light = wispi_published_recipes[1].means;
    ck_assert_double_eq_tol(light[WISPI_MEAN_PIXELS] / base[WISPI_MEAN_PIXELS], 1.28, 0.005);
}
END_TEST

/* --- JSON --- */

static int64_t sum_of(const json_t *counts)
{
    int64_t sum = 0;
    for (size_t i = 0; i < json_array_size(counts); i++)
        sum += json_integer_value(json_array_get(counts, i));
    return sum;
}

START_TEST(json_has_what_was_counted)
{
    static const struct {
        const char *name;
        int64_t values; /* of all series */
    } histograms[] = {{"crop_scale", 800},          {"pixel_scale_area", 800},
                      {"pixel_scale_length", 800},  {"pixel_ratio_area", 1200},
                      {"pixel_ratio_length", 1200}, {"overlap", 1200}};
    wispi_view_numbers n;
    draw("use = \"multicrop\"", 300, 200, 100, &n);
    json_t *all = wispi_view_numbers_json(&n), *list;
    ck_assert_int_eq(json_integer_value(json_object_get(all, "plans")), 100);
    for (int32_t i = 0; i < WISPI_N_MEANS; i++) {
        const json_t *mean =
            json_object_get(json_object_get(all, "means"), wispi_view_means[i].key);
        ck_assert_double_eq(json_number_value(mean), wispi_view_numbers_mean(&n, i));
    }
    for (size_t i = 0; i < sizeof histograms / sizeof histograms[0]; i++) {
        int64_t values = 0;
        list = json_object_get(json_object_get(all, "histograms"), histograms[i].name);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *one = json_array_get(list, k), *counts = json_object_get(one, "counts");
            ck_assert_uint_eq(json_array_size(json_object_get(one, "edges")),
                              json_array_size(counts) + 1);
            values += sum_of(counts);
        }
        ck_assert_int_eq(values, histograms[i].values);
    }
    json_decref(all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view numbers");
    TCase *tests = tcase_create("view numbers");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, fixed_boxes_give_what_is_worked_out_by_hand);
    tcase_add_test(tests, values_count_in_their_bins);
    tcase_add_test(tests, what_is_not_there_has_no_mean);
    tcase_add_test(tests, means_are_written_for_people);
    tcase_add_test(tests, overlaps_are_what_pixels_say);
    tcase_add_test(tests, uniform_crops_have_the_means_of_the_closed_form);
    tcase_add_loop_test(tests, published_recipes_are_reproduced, 0, WISPI_N_RECIPES);
    tcase_add_test(tests, pixels_are_those_that_are_published);
    tcase_add_test(tests, json_has_what_was_counted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
