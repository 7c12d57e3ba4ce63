/* test_make_views.c - the operation make_views against Pillow's and torchvision's results, row for
 * row the cases of test_image_ops.c; and rows that make no sense. On the reference device, or on
 * the one that WISP_TEST_DEVICE names. */
#include "chosen_device.h"
#include "view_golden.h"

#include <math.h>

#include "base/memory.h"
#include "image/view_table.h"
#include "ops/rule.h"
#include "tensor/device.h"

extern const wispi_op_family wispi_op_make_views;

/* One call on a device: a picture, or several, and rows of views of one size. */
struct call {
    wispi_device *device;
    wisp_make_views_attrs attrs;
    int64_t n, bytes;
    int64_t numbers[4][WISP_VIEW_COLUMNS];
    float ops[4][WISP_MAX_PIXEL_OPS * 2];
    const uint8_t *pixels;
};

static void *put(wispi_device *device, const void *values, size_t bytes)
{
    void *memory = NULL;
    ck_assert_int_eq(wispi_device_alloc(device, bytes, &memory, NULL), WISP_OK);
    if (values)
        ck_assert_int_eq(wispi_device_write(device, memory, values, bytes, NULL), WISP_OK);
    return memory;
}

static const wisp_kernel *kernel_of(const struct call *c)
{
    const wisp_desc in[3] = {wisp_desc1(WISP_U8, c->bytes),
                             wisp_desc2(WISP_I64, c->n, WISP_VIEW_COLUMNS),
                             wisp_desc3(WISP_F32, c->n, WISP_MAX_PIXEL_OPS, 2)};
    const wisp_desc *const ins[3] = {&in[0], &in[1], &in[2]};
    wisp_desc out;
    const wisp_desc *const outs[1] = {&out};
    const wispi_op *op = wispi_op_make_views.ops[0];
    const wisp_kernel *kernel = NULL;
    wisp_error err = {0};
    ck_assert_msg(op->infer(&c->attrs, ins, 3, &out, &err) == WISP_OK, "%s", err.message);
    const wisp_kernel_request request = {
        .struct_size = sizeof request,
        .n_in = 3,
        .n_out = 1,
        .deterministic = 1,
        .op = op->name,
        .attrs = &c->attrs,
        .attrs_bytes = sizeof c->attrs,
        .in = ins,
        .out = outs,
    };
    ck_assert_msg(wispi_device_kernel(c->device, op, &request, &kernel, &err) == WISP_OK, "%s",
                  err.message);
    return kernel;
}

/* The views as f32; freed by the caller. */
static float *run(const struct call *c)
{
    const wisp_kernel *kernel = kernel_of(c);
    const size_t n = (size_t)c->n, count = n * (size_t)(c->attrs.width * c->attrs.height * 3);
    void *memory[4] = {put(c->device, c->pixels, (size_t)c->bytes),
                       put(c->device, c->numbers, n * sizeof c->numbers[0]),
                       put(c->device, c->ops, n * sizeof c->ops[0]),
                       put(c->device, NULL, count * sizeof(float))};
    const wisp_kernel_arg in[3] = {{memory[0], 1, 0}, {memory[1], 2, 0}, {memory[2], 3, 0}};
    const wisp_kernel_arg out[1] = {{memory[3], 4, 0}};
    float *views = malloc(count * sizeof *views);
    wisp_error err = {0};
    ck_assert_int_eq(wispi_device_scratch(c->device, kernel->scratch_bytes, NULL), WISP_OK);
    ck_assert_msg(kernel->run(kernel, in, out, wispi_device_scratch_memory(c->device), &err) ==
                      WISP_OK,
                  "%s", err.message);
    ck_assert_int_eq(wispi_device_read(c->device, views, memory[3], count * sizeof *views, NULL),
                     WISP_OK);
    for (int i = 0; i < 4; i++)
        wispi_device_free(c->device, memory[i]);
    return views;
}

/* --- goldens --- */

struct golden {
    struct call call;
    uint8_t *pixels;
    size_t n_pixels;
    image_gap gap;
};

static wispi_view_row row_of(struct call *c, int64_t n)
{
    return (wispi_view_row){c->numbers[n], c->ops[n]};
}

/* With mean 0 and standard deviation 1 a value is v / 255. */
static void compare(struct golden *g, const char *line, const char *columns)
{
    const size_t n = (size_t)(g->call.attrs.width * g->call.attrs.height * 3);
    float *views = run(&g->call);
    uint8_t *bytes = malloc(n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_msg(views[i] >= 0 && views[i] <= 1, "value %zu is %g in: %s", i, (double)views[i],
                      line);
        bytes[i] = (uint8_t)lrintf(views[i] * 255.0f);
    }
    image_golden_compare(&g->gap, line, columns, g->pixels, g->n_pixels, bytes, n);
    free(bytes);
    free(views);
}

static void set_picture(struct call *c, const wispi_image *image, int32_t width, int32_t height)
{
    c->pixels = image->pixels;
    c->bytes = (int64_t)image->width * image->height * 3;
    c->attrs = (wisp_make_views_attrs){{0, 0, 0}, {1, 1, 1}, width, height, WISP_F32, 0};
    c->n = 1;
}

static void check_view(struct golden *g, const char *line, char *cursor)
{
    wispi_image image = view_golden_image(&cursor);
    const wispi_picture_place place = {0, image.width, image.height};
    wisp_view_spec s = view_golden_spec(&cursor);
    set_picture(&g->call, &image, s.out_w, s.out_h);
    ck_assert_int_eq(wispi_view_row_write(row_of(&g->call, 0), &place, &s, NULL), WISP_OK);
    compare(g, line, cursor);
    view_golden_drop(&image);
}

static void check_eval(struct golden *g, const char *line, char *cursor)
{
    wispi_image image = view_golden_image(&cursor);
    const wispi_picture_place place = {0, image.width, image.height};
    const int32_t resize = view_golden_int(&cursor), size = view_golden_int(&cursor);
    wispi_eval_view view;
    ck_assert_int_eq(wispi_view_evaluate_spec(image.width, image.height, resize, size, &view, NULL),
                     WISP_OK);
    set_picture(&g->call, &image, size, size);
    wispi_view_row_evaluate(row_of(&g->call, 0), &place, &view);
    compare(g, line, cursor);
    view_golden_drop(&image);
}

static void check_lines(const char *kind, void (*check)(struct golden *, const char *, char *),
                        uint64_t n_cases)
{
    chosen_device chosen = chosen_device_open();
    struct golden g = {.call.device = chosen.device};
    size_t n;
    char *text = (char *)image_golden_read("views.txt", &n), *rest = NULL;
    g.pixels = image_golden_read("pixels.bin", &g.n_pixels);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, kind, strlen(kind)) == 0)
            check(&g, line, line + strlen(kind));
    printf("%s: %llu cases, %llu values compared, %llu differ, by %d at most\n", kind,
           (unsigned long long)g.gap.cases, (unsigned long long)g.gap.values,
           (unsigned long long)g.gap.differ, g.gap.largest);
    ck_assert_uint_eq(g.gap.cases, n_cases);
    chosen_device_close(&chosen);
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

/* Of the Gaussian there is no golden that is exact: it equals the view engine's, alone, twice, and
 * where it reaches far beyond the view. */
START_TEST(gaussians_equal_the_view_engine)
{
    static const struct {
        int32_t width, height;
        double first, second;
    } rows[] = {{40, 30, 0.1, 0.0},  {40, 30, 1.3, 0.4},  {17, 64, 2.0, 3.3}, {5, 3, 1.7, 2.0},
                {1, 9, 1.0, 12.0},   {9, 1, 0.7, 100.0},  {1, 1, 2.0, 512.0}, {33, 34, 7.5, 0.6},
                {31, 20, 40.0, 0.3}, {64, 40, 0.35, 1.99}};
    const wispi_view_form form = {.form = WISPI_VIEW_U8};
    chosen_device chosen = chosen_device_open();
    struct call c = {.device = chosen.device};
    wispi_view_worker *worker;
    ck_assert_int_eq(wispi_view_worker_create(&worker, NULL), WISP_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int32_t w = rows[i].width, h = rows[i].height;
        const wispi_image image = {image_golden_picture((uint32_t)i, 50, 41), 50, 41};
        const wispi_picture_place place = {0, 50, 41};
        uint8_t want[64 * 64 * 3];
        wisp_view_spec s = {.out_w = w, .out_h = h, .flip = i & 1, .box = {3, 2, 44, 37}};
        wisp_view_add_op(&s, WISP_PIXEL_GAUSSIAN, rows[i].first);
        wisp_view_add_op(&s, WISP_PIXEL_CONTRAST, 1.2);
        wisp_view_add_op(&s, WISP_PIXEL_GAUSSIAN, rows[i].second);
        set_picture(&c, &image, w, h);
        ck_assert_int_eq(wispi_view_row_write(row_of(&c, 0), &place, &s, NULL), WISP_OK);
        ck_assert_int_eq(wispi_view_run(worker, &image, &s, &form, want, NULL), WISP_OK);
        float *views = run(&c);
        for (int32_t k = 0; k < w * h * 3; k++)
            ck_assert_msg(lrintf(views[k] * 255.0f) == want[k], "byte %d of row %zu is %g, not %d",
                          k, i, (double)views[k] * 255.0, want[k]);
        free(views);
        view_golden_drop(&image);
    }
    wispi_view_worker_destroy(worker);
    chosen_device_close(&chosen);
}
END_TEST

/* --- rows that make no sense --- */

enum { SIDE = 40, WIDTH = 20, HEIGHT = 10 };

static void fill_row(struct call *c, int64_t n)
{
    const wispi_picture_place place = {0, WIDTH, HEIGHT};
    wisp_view_spec s = {.out_w = SIDE, .out_h = SIDE, .box = {2, 3, 10, 7}};
    wisp_view_add_op(&s, WISP_PIXEL_BLUR, 1.0);
    ck_assert_int_eq(wispi_view_row_write(row_of(c, n), &place, &s, NULL), WISP_OK);
}

/* The middle one of three views is not a number, the others are as they were. */
static void check_spoilt(struct call *c, const float *good, const char *what)
{
    const size_t n = SIDE * SIDE * 3;
    float *views = run(c);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(isnan(views[n + i]), "value %zu is %g with %s", i, (double)views[n + i],
                      what);
    ck_assert_mem_eq(views, good, n * sizeof *views);
    ck_assert_mem_eq(views + 2 * n, good + 2 * n, n * sizeof *views);
    free(views);
}

START_TEST(senseless_rows_are_not_numbers)
{
    static const struct {
        const char *what;
        int32_t column;
        int64_t value;
    } rows[] = {{"a negative offset", WISP_VIEW_OFFSET, -1},
                {"an offset behind the end", WISP_VIEW_OFFSET, 1},
                {"an offset that overflows", WISP_VIEW_OFFSET, INT64_MAX},
                {"no width", WISP_VIEW_SOURCE_W, 0},
                {"a height beyond the end", WISP_VIEW_SOURCE_H, HEIGHT + 1},
                {"a size that overflows", WISP_VIEW_SOURCE_H, INT64_MAX},
                {"a box left of the picture", WISP_VIEW_BOX_X, -1},
                {"a box below the picture", WISP_VIEW_BOX_Y, 4},
                {"a box without columns", WISP_VIEW_BOX_W, 0},
                {"a box higher than the picture", WISP_VIEW_BOX_H, 8},
                {"a window beyond the result", WISP_VIEW_WINDOW_X, 1},
                {"a result smaller than the view", WISP_VIEW_RESIZED_H, SIDE - 1},
                {"a result beyond 31 bits", WISP_VIEW_RESIZED_W, INT64_C(1) << 40},
                {"an unknown filter", WISP_VIEW_FILTER, 3},
                {"too many operations", WISP_VIEW_N_OPS, WISP_MAX_PIXEL_OPS + 1}};
    chosen_device chosen = chosen_device_open();
    struct call c = {.device = chosen.device};
    const wispi_image image = {image_golden_picture(1, WIDTH, HEIGHT), WIDTH, HEIGHT};
    set_picture(&c, &image, SIDE, SIDE);
    c.n = 3;
    for (int64_t n = 0; n < 3; n++)
        fill_row(&c, n);
    float *good = run(&c);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        c.numbers[1][rows[i].column] = rows[i].value;
        check_spoilt(&c, good, rows[i].what);
        fill_row(&c, 1);
    }
    c.ops[1][0] = 9;
    check_spoilt(&c, good, "an unknown operation");
    fill_row(&c, 1);
    c.ops[1][1] = (float)NAN;
    check_spoilt(&c, good, "a sigma that is no number");
    free(good);
    view_golden_drop(&image);
    chosen_device_close(&chosen);
}
END_TEST

START_TEST(senseless_views_are_refused)
{
    const wispi_picture_place place = {0, WIDTH, HEIGHT};
    int64_t numbers[WISP_VIEW_COLUMNS] = {77};
    float ops[WISP_MAX_PIXEL_OPS * 2] = {0};
    const wispi_view_row row = {numbers, ops};
    const wisp_view_spec good = {.out_w = 4, .out_h = 4, .box = {2, 3, 10, 7}};
    wisp_view_spec bad[5] = {good, good, good, good, good};
    bad[0].box.x = 11;
    bad[1].box.h = INT32_MAX;
    bad[2].filter = 3;
    bad[3].out_w = 0;
    wisp_view_add_op(&bad[4], WISP_PIXEL_HUE, 0.51);
    for (size_t i = 0; i < 5; i++) {
        wisp_error err = {0};
        ck_assert_int_eq(wispi_view_row_write(row, &place, &bad[i], &err), WISP_E_INVALID);
        ck_assert_int_ne(err.message[0], 0);
        ck_assert_int_eq(numbers[0], 77);
    }
    ck_assert_int_eq(wispi_view_row_write(row, &place, &good, NULL), WISP_OK);
    ck_assert_int_eq(numbers[0], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("make_views");
    TCase *golden = tcase_create("golden"), *habits = tcase_create("habits");
    tcase_set_timeout(golden, 200);
    tcase_add_test(golden, views_equal_pillow);
    tcase_add_test(golden, evaluation_views_equal_torchvision);
    tcase_add_test(golden, gaussians_equal_the_view_engine);
    tcase_add_test(habits, senseless_rows_are_not_numbers);
    tcase_add_test(habits, senseless_views_are_refused);
    suite_add_tcase(suite, golden);
    suite_add_tcase(suite, habits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
