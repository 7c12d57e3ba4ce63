/* test_image_ops.c - resampling, pixel operations and whole views against Pillow's and
 * torchvision's results, as stored by tests/golden/make_image_golden.py; and what the view engine
 * does with views that make no sense, with little memory, and when it runs for long. */
#include "view_golden.h"

#include <math.h>

#include "base/bf16.h"
#include "base/memory.h"
#include "image/normalise.h"
#include "image/photometric.h"
#include "image/view_engine.h"

static const wispi_view_form as_bytes = {.form = WISPI_VIEW_U8};
static const wispi_view_form as_floats = {
    WISPI_VIEW_F32, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

struct golden {
    uint8_t *pixels;
    size_t n_pixels;
    wispi_view_worker *worker;
    image_gap gap;
};

static void check_view(struct golden *g, const char *line, char *cursor)
{
    wisp_error err = {0};
    wispi_image image = view_golden_image(&cursor);
    wisp_view_spec s = view_golden_spec(&cursor);
    size_t n = wispi_view_bytes(s.out_w, s.out_h, WISPI_VIEW_U8);
    uint8_t *out = malloc(n);
    ck_assert_msg(wispi_view_run(g->worker, &image, &s, &as_bytes, out, &err) == WISP_OK,
                  "%s in: %s", err.message, line);
    image_golden_compare(&g->gap, line, cursor, g->pixels, g->n_pixels, out, n);
    free(out);
    view_golden_drop(&image);
}

static void check_eval(struct golden *g, const char *line, char *cursor)
{
    wisp_error err = {0};
    wispi_image image = view_golden_image(&cursor);
    int32_t resize = view_golden_int(&cursor), size = view_golden_int(&cursor);
    wispi_eval_view view;
    ck_assert_int_eq(wispi_view_evaluate_spec(image.width, image.height, resize, size, &view, &err),
                     WISP_OK);
    size_t n = wispi_view_bytes(size, size, WISPI_VIEW_U8);
    uint8_t *out = malloc(n);
    ck_assert_msg(wispi_view_evaluate(g->worker, &image, &view, &as_bytes, out, &err) == WISP_OK,
                  "%s in: %s", err.message, line);
    image_golden_compare(&g->gap, line, cursor, g->pixels, g->n_pixels, out, n);
    free(out);
    view_golden_drop(&image);
}

enum { CUBE_SLICE = 1 << 16 };

/* One operation on all colours, a plane of equal red at a time. */
static void check_cube(struct golden *g, const char *line, char *cursor)
{
    static uint8_t slice[3 * CUBE_SLICE];
    int32_t kind = view_golden_int(&cursor);
    double parameter = view_golden_field(&cursor);
    uint64_t sum = 0;
    for (uint32_t red = 0; red < 256; red++) {
        for (uint32_t i = 0; i < CUBE_SLICE; i++) {
            slice[3 * i] = (uint8_t)red;
            slice[3 * i + 1] = (uint8_t)(i >> 8);
            slice[3 * i + 2] = (uint8_t)i;
        }
        if (kind == WISP_PIXEL_HUE)
            wispi_adjust_hue(slice, CUBE_SLICE, parameter);
        else if (kind == WISP_PIXEL_SATURATION)
            wispi_adjust_saturation(slice, CUBE_SLICE, parameter);
        else
            wispi_make_gray(slice, CUBE_SLICE);
        sum += image_golden_hash(slice, sizeof slice, (uint64_t)red * sizeof slice);
    }
    g->gap.cases++;
    ck_assert_msg(sum == strtoull(cursor, NULL, 10), "some colours differ in: %s", line);
}

/* All cases of one kind, with one worker, so that what it keeps is tested too. */
static void check_lines(const char *kind, void (*check)(struct golden *, const char *, char *),
                        uint64_t n_cases)
{
    struct golden g = {0};
    size_t n;
    char *text = (char *)image_golden_read("views.txt", &n), *rest = NULL;
    g.pixels = image_golden_read("pixels.bin", &g.n_pixels);
    ck_assert_int_eq(wispi_view_worker_create(&g.worker, NULL), WISP_OK);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, kind, strlen(kind)) == 0)
            check(&g, line, line + strlen(kind));
    printf("%s: %llu cases, %llu values compared, %llu differ, by %d at most\n", kind,
           (unsigned long long)g.gap.cases, (unsigned long long)g.gap.values,
           (unsigned long long)g.gap.differ, g.gap.largest);
    ck_assert_uint_eq(g.gap.cases, n_cases);
    wispi_view_worker_destroy(g.worker);
    free(g.pixels);
    free(text);
}

START_TEST(views_equal_pillow)
{
    check_lines("view", check_view, 414);
}
END_TEST

START_TEST(evaluation_views_equal_torchvision)
{
    check_lines("eval", check_eval, 24);
}
END_TEST

START_TEST(all_colours_equal_torchvision)
{
    check_lines("cube", check_cube, 5);
}
END_TEST

/* Rounding to bf16 is PyTorch's; f32 is its ToTensor and Normalize. */
START_TEST(numbers_equal_torch)
{
    size_t n;
    uint8_t *stored = image_golden_read("numbers.bin", &n);
    ck_assert_uint_eq(n, 3 * 256 * 6);
    uint8_t rgb[3 * 256];
    float f32[3 * 256], want;
    uint16_t bf16[3 * 256];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i / 3);
    wispi_image image = {rgb, 256, 1};
    wisp_view_spec s = {.out_w = 256, .out_h = 1, .box = {0, 0, 256, 1}};
    wispi_view_form as_bf16 = as_floats;
    as_bf16.form = WISPI_VIEW_BF16;
    wispi_view_worker *worker;
    ck_assert_int_eq(wispi_view_worker_create(&worker, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_run(worker, &image, &s, &as_floats, f32, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_run(worker, &image, &s, &as_bf16, bf16, NULL), WISP_OK);
    for (size_t c = 0; c < 3; c++) {
        for (size_t v = 0; v < 256; v++) {
            memcpy(&want, stored + (c * 256 + v) * 4, 4);
            ck_assert_msg(f32[3 * v + c] == want, "%zu of channel %zu is %.9g instead of %.9g", v,
                          c, (double)f32[3 * v + c], (double)want);
            const uint8_t *b = stored + 3 * 256 * 4 + (c * 256 + v) * 2;
            ck_assert_uint_eq(bf16[3 * v + c], (uint32_t)b[0] | (uint32_t)b[1] << 8);
        }
    }
    wispi_view_worker_destroy(worker);
    free(stored);
}
END_TEST

START_TEST(bf16_rounds_ties_to_even)
{
    static const struct {
        uint32_t bits;
        uint16_t want;
    } rows[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81},
                {0x3F818000, 0x3F82}, {0xBF818000, 0xBF82}, {0x7F7FFFFF, 0x7F80},
                {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x7F800001, 0x7FC0},
                {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x00008000, 0x0000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float v;
        memcpy(&v, &rows[i].bits, sizeof v);
        ck_assert_uint_eq(wispi_bf16_from_f32(v), rows[i].want);
    }
}
END_TEST

/* Bounds of what a view may ask, one step beyond each. */
START_TEST(senseless_views_are_refused)
{
    uint8_t *rgb = image_golden_picture(1, 20, 10);
    wispi_image image = {rgb, 20, 10};
    const wisp_view_spec good = {.out_w = 4, .out_h = 4, .box = {2, 3, 10, 7}};
    wisp_view_spec bad[20];
    size_t n = sizeof bad / sizeof *bad;
    for (size_t i = 0; i < n; i++)
        bad[i] = good;
    bad[0].box.x = -1;
    bad[1].box.y = -1;
    bad[2].box.w = 0;
    bad[3].box.h = 0;
    bad[4].box.w = 19;
    bad[5].box.h = 8;
    bad[6].box.x = INT32_MAX;
    bad[7].box.w = INT32_MAX;
    bad[8].out_w = 0;
    bad[9].out_h = -4;
    bad[10].out_w = WISPI_VIEW_MAX_SIDE + 1;
    bad[11].filter = 3;
    bad[12].filter = -1;
    bad[13].n_ops = WISP_MAX_PIXEL_OPS + 1;
    bad[14].n_ops = -1;
    wisp_view_add_op(&bad[15], 0, 1.0);
    wisp_view_add_op(&bad[16], WISP_PIXEL_HUE, 0.51);
    wisp_view_add_op(&bad[17], WISP_PIXEL_BLUR, (double)NAN);
    wisp_view_add_op(&bad[18], WISP_PIXEL_BRIGHTNESS, -0.1);
    wisp_view_add_op(&bad[19], WISP_PIXEL_GAUSSIAN, 512.1);
    wispi_view_worker *worker;
    uint8_t out[48], before[48];
    memset(out, 7, sizeof out);
    memcpy(before, out, sizeof out);
    ck_assert_int_eq(wispi_view_worker_create(&worker, NULL), WISP_OK);
    for (size_t i = 0; i < n; i++) {
        wisp_error err = {0};
        ck_assert_msg(wispi_view_run(worker, &image, &bad[i], &as_bytes, out, &err) ==
                          WISP_E_INVALID,
                      "view %zu was accepted", i);
        ck_assert_msg(err.message[0] != 0, "view %zu gave no message", i);
        ck_assert_mem_eq(out, before, sizeof out);
    }
    ck_assert_int_eq(wispi_view_run(worker, &image, &good, &as_bytes, out, NULL), WISP_OK);
    ck_assert_mem_ne(out, before, sizeof out);
    wispi_view_worker_destroy(worker);
    free(rgb);
}
END_TEST

START_TEST(senseless_evaluation_is_refused)
{
    wispi_eval_view view = {.resized_w = 77};
    static const int32_t rows[][4] = {{0, 5, 8, 8},         {5, 0, 8, 8},      {5, 5, 0, 0},
                                      {5, 5, 8, 0},         {5, 5, 8, 9},      {5, 5, 70000, 8},
                                      {1, 65500, 65500, 8}, {5, 5, 5000, 4097}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int32_t *r = rows[i];
        wisp_error err = {0};
        ck_assert_int_eq(wispi_view_evaluate_spec(r[0], r[1], r[2], r[3], &view, &err),
                         WISP_E_INVALID);
        ck_assert_int_ne(err.message[0], 0);
    }
    ck_assert_int_eq(view.resized_w, 77);
}
END_TEST

START_TEST(senseless_numbers_are_refused)
{
    wispi_normaliser m = {0};
    wispi_view_form form = as_floats;
    form.std[1] = 0.0f;
    ck_assert_int_eq(wispi_normaliser_set(&m, &form, NULL), WISP_E_INVALID);
    form = as_floats;
    form.mean[2] = (float)NAN;
    ck_assert_int_eq(wispi_normaliser_set(&m, &form, NULL), WISP_E_INVALID);
    form = as_floats;
    form.form = 3;
    ck_assert_int_eq(wispi_normaliser_set(&m, &form, NULL), WISP_E_INVALID);
    ck_assert_int_eq(m.ready, 0);
}
END_TEST

/* A view that uses every kind of scratch. */
static wisp_view_spec rich_view(int32_t width, int32_t height, int32_t size)
{
    wisp_view_spec s = {
        .out_w = size, .out_h = size, .flip = 1, .box = {1, 1, width - 2, height - 1}};
    wisp_view_add_op(&s, WISP_PIXEL_HUE, 0.07);
    wisp_view_add_op(&s, WISP_PIXEL_BLUR, 1.4);
    wisp_view_add_op(&s, WISP_PIXEL_GAUSSIAN, 0.9);
    return s;
}

/* Fails each allocation in turn: an error each time, nothing kept, nothing written. */
START_TEST(short_memory_is_an_error)
{
    uint8_t *rgb = image_golden_picture(0, 40, 30);
    wispi_image image = {rgb, 40, 30};
    wisp_view_spec s = rich_view(40, 30, 16);
    float out[16 * 16 * 3];
    int64_t blocks = wispi_live_blocks(), bytes = wispi_live_bytes();
    int failures = 0;
    for (int64_t nth = 1;; nth++) {
        wispi_view_worker *worker = NULL;
        wisp_error err = {0};
        out[0] = -99.0f;
        wispi_fail_allocation(nth);
        wisp_status status = wispi_view_worker_create(&worker, &err);
        if (status == WISP_OK)
            status = wispi_view_run(worker, &image, &s, &as_floats, out, &err);
        wispi_fail_allocation(-1);
        wispi_view_worker_destroy(worker);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
        ck_assert_int_eq(wispi_live_bytes(), bytes);
        if (status == WISP_OK)
            break;
        ck_assert_int_eq(status, WISP_E_NOMEM);
        ck_assert_msg(err.message[0] != 0, "no message at allocation %d", (int)nth);
        ck_assert_float_eq(out[0], -99.0f);
        failures++;
    }
    ck_assert_int_ge(failures, 7);
    free(rgb);
}
END_TEST

/* The same bits from a fresh worker, from one that has seen other sizes, and again and again; and
 * not one allocation once the sizes are known. */
START_TEST(workers_agree_and_settle)
{
    uint8_t *rgb = image_golden_picture(2, 90, 70);
    wispi_image image = {rgb, 90, 70};
    static float first[48 * 48 * 3], again[48 * 48 * 3];
    wispi_view_worker *fresh, *worn;
    ck_assert_int_eq(wispi_view_worker_create(&fresh, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_worker_create(&worn, NULL), WISP_OK);
    int64_t settled = 0;
    for (int round = 0; round < 3; round++) {
        if (round == 2)
            settled = wispi_allocation_count();
        for (int32_t size = 1; size <= 48; size++) {
            wisp_view_spec s = rich_view(90 - size, 70 - size, size);
            ck_assert_int_eq(wispi_view_run(worn, &image, &s, &as_floats, again, NULL), WISP_OK);
        }
    }
    ck_assert_int_eq(wispi_allocation_count(), settled);
    wisp_view_spec s = rich_view(90, 70, 48);
    ck_assert_int_eq(wispi_view_run(fresh, &image, &s, &as_floats, first, NULL), WISP_OK);
    ck_assert_int_eq(wispi_view_run(worn, &image, &s, &as_floats, again, NULL), WISP_OK);
    ck_assert_mem_eq(first, again, sizeof first);
    wispi_view_worker_destroy(fresh);
    wispi_view_worker_destroy(worn);
    free(rgb);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image operations");
    TCase *golden = tcase_create("golden"), *habits = tcase_create("habits");
    tcase_set_timeout(golden, 200);
    tcase_add_test(golden, views_equal_pillow);
    tcase_add_test(golden, evaluation_views_equal_torchvision);
    tcase_add_test(golden, all_colours_equal_torchvision);
    tcase_add_test(golden, numbers_equal_torch);
    tcase_add_test(habits, bf16_rounds_ties_to_even);
    tcase_add_test(habits, senseless_views_are_refused);
    tcase_add_test(habits, senseless_evaluation_is_refused);
    tcase_add_test(habits, senseless_numbers_are_refused);
    tcase_add_test(habits, short_memory_is_an_error);
    tcase_add_test(habits, workers_agree_and_settle);
    suite_add_tcase(suite, golden);
    suite_add_tcase(suite, habits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
