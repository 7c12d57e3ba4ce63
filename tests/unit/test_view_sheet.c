/* test_view_sheet.c - contact sheets, read by libpng: boxes stand where they were drawn, views are
 * what a feed gives training, and the same call makes the same bytes. */
#include <math.h>
#include <png.h>
#include <stdlib.h>

#include "data/feed.h"
#include "base/file.h"
#include "dataset_fixture.h"
#include "report/view_pixels.h"
#include "report/view_sheet.h"
#include "train/feed_settings.h"

enum { SIDE = 300, LEFT = 44, TOP = 44 + 30 /* of the first image on a small sheet */ };

static wispi_registry *registry;

/* --- a data set of noise, and an experiment on it --- */

/* Noise of middle values, in which no line of a box could hide. */
static void write_picture(const char *path, int32_t side, uint32_t seed)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)side,
                       .height = (png_uint_32)side,
                       .format = PNG_FORMAT_RGB};
    uint8_t *pixels = malloc((size_t)side * (size_t)side * 3);
    srand(seed);
    for (int i = 0; i < side * side * 3; i++)
        pixels[i] = (uint8_t)(100 + rand() % 50);
    ck_assert(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
    free(pixels);
}

static wispi_experiment *open_experiment(const char *sampler)
{
    wispi_experiment *x = NULL;
    wisp_error err = {0};
    char path[128], text[1024];
    snprintf(text, sizeof text,
             "[run]\nseed = 3\n[data]\nuse = \"image_folder\"\npath = \"%s/images\"\n"
             "[sampler]\nuse = \"multicrop\"\n%s",
             folder, sampler);
    snprintf(path, sizeof path, "%s/experiment.toml", folder);
    ck_assert(wispi_file_replace(path, text, strlen(text), &err) == WISP_OK);
    ck_assert_msg(wispi_experiment_load_views(registry, path, NULL, NULL, 0, &x, &err) == WISP_OK,
                  "%s", err.message);
    return x;
}

static void begin(void)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wispi_registry_options options = {folders, 1, 0};
    char path[128];
    wisp_error err = {0};
    wispi_log_set_level(WISP_LOG_ERROR);
    make_folder();
    snprintf(path, sizeof path, "%s/images", folder);
    mkdir(path, 0700);
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/images/%u.png", folder, i);
        write_picture(path, SIDE, i);
    }
    ck_assert(wispi_registry_create(&options, wispi_host_table(), &registry, &err) == WISP_OK);
}

static void end(void)
{
    wispi_registry_destroy(registry);
    remove_folder();
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

static wispi_views draw_views(const wispi_experiment *const *x, int32_t n)
{
    static const char *const names[] = {"first", "second", "third"};
    const wispi_views_request request = {.experiments = x, .names = names, .n = n, .plans = 50};
    wispi_views views = {0};
    wisp_error err = {0};
    ck_assert_msg(wispi_views_make(&request, &views, &err) == WISP_OK, "%s", err.message);
    return views;
}

/* --- a sheet as libpng reads it --- */

typedef struct sheet {
    int32_t width, height;
    uint8_t *pixels;
    uint8_t *png;
    size_t bytes;
} sheet;

static sheet draw_sheet(const wispi_views *views, int32_t images, int32_t small)
{
    const wispi_sheet_request request = {.views = views, .images = images, .small = small};
    png_image image = {.version = PNG_IMAGE_VERSION};
    sheet s = {0};
    wisp_error err = {0};
    ck_assert_msg(wispi_view_sheet_png(&request, &s.png, &s.bytes, &err) == WISP_OK, "%s",
                  err.message);
    ck_assert(png_image_begin_read_from_memory(&image, s.png, s.bytes));
    image.format = PNG_FORMAT_RGB;
    s.width = (int32_t)image.width;
    s.height = (int32_t)image.height;
    s.pixels = malloc(PNG_IMAGE_SIZE(image));
    ck_assert(png_image_finish_read(&image, NULL, s.pixels, 0, NULL));
    return s;
}

static void free_sheet(sheet *s)
{
    free(s->pixels);
    wispi_free(s->png);
}

static const uint8_t *pixel(const sheet *s, int32_t x, int32_t y)
{
    ck_assert(x >= 0 && y >= 0 && x < s->width && y < s->height);
    return s->pixels + 3 * ((size_t)y * (size_t)s->width + (size_t)x);
}

static int is_colour(const sheet *s, int32_t x, int32_t y, uint32_t rgb)
{
    const uint8_t *p = pixel(s, x, y);
    return abs(p[0] - (int)(rgb >> 16)) < 12 && abs(p[1] - (int)(rgb >> 8 & 255)) < 12 &&
           abs(p[2] - (int)(rgb & 255)) < 12;
}

/* --- boxes --- */

/* One global view is the whole picture, one local view a quarter of it somewhere. */
#define ONE_AND_ONE                                                                                \
    "global = { count = 1, size = 224, scale = [1.0, 1.0] }\n"                                     \
    "local = { count = 1, size = 96, scale = [0.25, 0.25] }\n"                                     \
    "ratio = [1.0, 1.0]\n"

enum { BLUE = 0x0072b2, ORANGE = 0xd55e00 };

/* How large the picture is shown: up to the blue line of the box that is all of it. */
static int32_t shown_side(const sheet *s)
{
    int32_t x = LEFT + 150, y = TOP + 100;
    while (!is_colour(s, x, y, BLUE))
        x++;
    return x + 2 - LEFT; /* the line is two pixels wide */
}

static void check_edges(const sheet *s, int32_t side, const wisp_box *b)
{
    const double scale = (double)side / SIDE;
    const int32_t x0 = LEFT + (int32_t)lround(b->x * scale),
                  y0 = TOP + (int32_t)lround(b->y * scale);
    const int32_t x1 = LEFT + (int32_t)lround((b->x + b->w) * scale) - 1;
    const int32_t y1 = TOP + (int32_t)lround((b->y + b->h) * scale) - 1;
    const int32_t middle_x = (x0 + x1) / 2, middle_y = (y0 + y1) / 2;
    ck_assert(is_colour(s, x0, middle_y, ORANGE) && is_colour(s, x1, middle_y, ORANGE));
    ck_assert(is_colour(s, middle_x, y0, ORANGE) && is_colour(s, middle_x, y1, ORANGE));
    ck_assert(!is_colour(s, middle_x, middle_y, ORANGE));
    ck_assert(!is_colour(s, x0 + 5, middle_y, ORANGE) && !is_colour(s, middle_x, y1 - 5, ORANGE));
}

START_TEST(boxes_stand_where_they_were_drawn)
{
    wispi_experiment *x = open_experiment(ONE_AND_ONE);
    wispi_views views = draw_views((const wispi_experiment *const *)&x, 1);
    sheet s = draw_sheet(&views, 1, 1);
    wispi_view_pixels *pixels = NULL;
    wispi_pixel_view view;
    wisp_error err = {0};
    ck_assert(wispi_view_pixels_create(&views.arms[0], &pixels, &err) == WISP_OK);
    ck_assert(wispi_view_pixels_make(pixels, &views.pictures[0], &err) == WISP_OK);
    wispi_view_pixels_get(pixels, 1, 0, &view);
    ck_assert(view.box.w == SIDE / 2 && view.box.h == SIDE / 2);
    const int32_t side = shown_side(&s);
    ck_assert_int_ge(side, 200);
    ck_assert(is_colour(&s, LEFT, TOP + 100, BLUE) && is_colour(&s, LEFT + 60, TOP, BLUE));
    check_edges(&s, side, &view.box);
    wispi_view_pixels_destroy(pixels);
    free_sheet(&s);
    wispi_views_free(&views);
    wispi_experiment_destroy(x);
}
END_TEST

/* --- views --- */

/* The first batch of a run, with its normalisation. */
static wispi_feed_batch *first_batch(const wispi_experiment *x, wispi_feed **feed)
{
    wispi_feed_options o = wispi_feed_settings(x, &x->data, 1, 1);
    wispi_feed_batch *batch = NULL;
    wisp_error err = {0};
    wispi_feed_settings_sampled(&o, x);
    ck_assert_msg(wispi_feed_create(&o, feed, &err) == WISP_OK, "%s", err.message);
    ck_assert(wispi_feed_next(*feed, &batch, &err) == WISP_OK);
    return batch;
}

/* Where the global view begins: the first pixel right of the picture that is not white. */
static int32_t find_view(const sheet *s, int32_t side)
{
    int32_t x = LEFT + side;
    while (is_colour(s, x, TOP + 1, 0xffffff))
        x++;
    return x;
}

START_TEST(views_are_those_that_training_gets)
{
    wispi_experiment *x = open_experiment(ONE_AND_ONE "blur_sigma = [1.0, 1.0]\n");
    wispi_views views = draw_views((const wispi_experiment *const *)&x, 1);
    sheet s = draw_sheet(&views, 1, 1);
    wispi_feed *feed = NULL;
    const wispi_feed_batch *batch = first_batch(x, &feed);
    const float *values = batch->groups[0];
    const int32_t left = find_view(&s, shown_side(&s));
    ck_assert_int_eq(batch->index[0], views.pictures[0].index);
    for (int32_t i = 0; i < 224 * 224 * 3; i++) {
        const double mean = ((const double *)x->input.mean.items)[i % 3];
        const double std = ((const double *)x->input.std.items)[i % 3];
        const long byte = lround(255 * (values[i] * std + mean));
        const uint8_t *shown = pixel(&s, left + i / 3 % 224, TOP + i / 3 / 224);
        if (shown[i % 3] != byte)
            ck_abort_msg("value %d is shown as %d, training gets %ld", i, shown[i % 3], byte);
    }
    wispi_feed_destroy(feed);
    free_sheet(&s);
    wispi_views_free(&views);
    wispi_experiment_destroy(x);
}
END_TEST

/* --- sheets --- */

#define SMALL "global = { size = 16 }\nlocal = { count = 3, size = 8 }\n"

START_TEST(arms_share_images_and_keys)
{
    wispi_experiment *x[2] = {open_experiment(SMALL), open_experiment(SMALL "flip = 1.0\n")};
    wispi_views one = draw_views((const wispi_experiment *const *)x, 1);
    wispi_views both = draw_views((const wispi_experiment *const *)x, 2);
    const wispi_view_numbers *n = &both.arms[0].numbers, *other = &both.arms[1].numbers;
    ck_assert_mem_eq(n, &one.arms[0].numbers, sizeof *n);
    for (int32_t i = 0; i < WISPI_N_MEANS; i++)
        ck_assert_double_eq(wispi_view_numbers_mean(n, i), wispi_view_numbers_mean(other, i));
    sheet narrow = draw_sheet(&one, 3, 0), wide = draw_sheet(&both, 3, 0);
    sheet again = draw_sheet(&both, 3, 0), more = draw_sheet(&both, 64, 0);
    ck_assert_int_gt(wide.width, narrow.width);
    ck_assert_uint_eq(wide.bytes, again.bytes);
    ck_assert_mem_eq(wide.png, again.png, wide.bytes);
    ck_assert_int_eq(more.height, wide.height); /* there are but three images */
    sheet *const all[] = {&narrow, &wide, &again, &more};
    for (int i = 0; i < 4; i++)
        free_sheet(all[i]);
    wispi_views_free(&one);
    wispi_views_free(&both);
    for (int i = 0; i < 2; i++)
        wispi_experiment_destroy(x[i]);
}
END_TEST

START_TEST(odd_samplers_have_a_sheet_too)
{
    static const char *const samplers[] = {
        "global = { count = 1, size = 8 }\nlocal = { count = 0 }\n",
        "global = { count = 32, size = 8 }\nlocal = { count = 32, size = 4 }\n",
        "global = { count = 1, size = 1 }\nlocal = { count = 1, size = 1 }\n",
        "global = { count = 2, size = 1000 }\nlocal = { count = 1, size = 4 }\n",
    };
    for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++) {
        wispi_experiment *x = open_experiment(samplers[i]);
        wispi_views views = draw_views((const wispi_experiment *const *)&x, 1);
        sheet s = draw_sheet(&views, 2, 0);
        free_sheet(&s);
        wispi_views_free(&views);
        wispi_experiment_destroy(x);
    }
}
END_TEST

static wisp_status whole_way(const wispi_experiment *x, wisp_error *err)
{
    static const char *const names[] = {"caf\xe9.toml"}; /* not UTF-8 */
    const wispi_views_request request = {.experiments = &x, .names = names, .n = 1, .plans = 5};
    wispi_views views = {0};
    uint8_t *png = NULL;
    size_t bytes = 0;
    wisp_status status = wispi_views_make(&request, &views, err);
    const wispi_sheet_request sheet_request = {.views = &views, .images = 1};
    if (status == WISP_OK)
        status = wispi_view_sheet_png(&sheet_request, &png, &bytes, err);
    wispi_free(png);
    wispi_views_free(&views);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    wispi_experiment *x = open_experiment(SMALL);
    for (int64_t nth = 1, reached = 1; reached; nth++) {
        const int64_t blocks = wispi_live_blocks();
        wisp_error err = {0};
        wispi_fail_allocation(nth);
        const wisp_status status = whole_way(x, &err);
        wispi_fail_allocation(-1);
        reached = status != WISP_OK;
        ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "allocation %lld: %s",
                      (long long)nth, err.message);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_lt(nth, 2000);
    }
    wispi_experiment_destroy(x);
}
END_TEST

START_TEST(out_parameters_are_written_on_success_only)
{
    wispi_experiment *x = open_experiment(SMALL);
    wispi_views views = draw_views((const wispi_experiment *const *)&x, 1);
    const volatile int stop = 1;
    uint8_t marker, *png = &marker;
    size_t bytes = 77;
    wisp_error err = {0};
    wispi_sheet_request request = {.views = &views, .images = 65};
    ck_assert_int_eq(wispi_view_sheet_png(&request, &png, &bytes, &err), WISP_E_INVALID);
    request.images = 0;
    ck_assert_int_eq(wispi_view_sheet_png(&request, &png, &bytes, &err), WISP_E_INVALID);
    request = (wispi_sheet_request){.views = &views, .images = 1, .stop = &stop};
    ck_assert_int_eq(wispi_view_sheet_png(&request, &png, &bytes, &err), WISP_E_STOPPED);
    ck_assert(png == &marker && bytes == 77);
    wispi_views_free(&views);
    wispi_experiment_destroy(x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view sheet");
    TCase *tests = tcase_create("view sheet");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, boxes_stand_where_they_were_drawn);
    tcase_add_test(tests, views_are_those_that_training_gets);
    tcase_add_test(tests, arms_share_images_and_keys);
    tcase_add_test(tests, odd_samplers_have_a_sheet_too);
    tcase_add_test(tests, any_allocation_may_fail);
    tcase_add_test(tests, out_parameters_are_written_on_success_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
