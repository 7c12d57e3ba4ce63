/* test_gaussian_blur.c - the sampled Gaussian: its weights, and the view engine against
 * torchvision's results as stored by tests/golden/make_gaussian_golden.py. */
#include "image_golden.h"

#include <math.h>

#include "image/view_engine.h"
#include "wisp/pixel_math.h"

static const wispi_view_form as_bytes = {.form = WISPI_VIEW_U8};

static void blur(wispi_view_worker *worker, const wispi_image *image, double sigma, uint8_t *out)
{
    wisp_error err = {0};
    wisp_view_spec s = {
        .out_w = image->width, .out_h = image->height, .box = {0, 0, image->width, image->height}};
    wisp_view_add_op(&s, WISP_PIXEL_GAUSSIAN, sigma);
    ck_assert_msg(wispi_view_run(worker, image, &s, &as_bytes, out, &err) == WISP_OK, "%s",
                  err.message);
}

/* torchvision weighs in floating point and rounds once; here the weights have 14 bits and the rows
 * 15, so now and then a value is rounded to the other side. */
START_TEST(torchvision_differs_by_rounding)
{
    size_t n, n_text;
    uint8_t *want = image_golden_read("../gaussian/blurs.bin", &n);
    char *text = (char *)image_golden_read("../gaussian/blurs.txt", &n_text), *rest = NULL;
    size_t cases = 0, values = 0, differ = 0;
    wispi_view_worker *worker;
    ck_assert_int_eq(wispi_view_worker_create(&worker, NULL), WISP_OK);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned seed;
        wispi_image image;
        double sigma;
        size_t step, offset;
        ck_assert_int_eq(sscanf(line, "%u %d %d %lf %zu %zu", &seed, &image.width, &image.height,
                                &sigma, &step, &offset),
                         6);
        const size_t bytes = (size_t)image.width * (size_t)image.height * 3;
        uint8_t *rgb = image_golden_picture(seed, (uint32_t)image.width, (uint32_t)image.height);
        uint8_t *out = malloc(bytes);
        image.pixels = rgb;
        blur(worker, &image, sigma, out);
        for (size_t i = 0; i < bytes; i += step, offset++, values++) {
            ck_assert_uint_lt(offset, n);
            const int d = abs(out[i] - want[offset]);
            ck_assert_msg(d <= 1, "byte %zu is %d instead of %d in: %s", i, out[i], want[offset],
                          line);
            differ += d != 0;
        }
        cases++;
        free(rgb);
        free(out);
    }
    printf("%zu cases, %zu values compared, %zu differ by 1\n", cases, values, differ);
    ck_assert_uint_eq(cases, 135);
    ck_assert_uint_le(differ * 100, values);
    wispi_view_worker_destroy(worker);
    free(want);
    free(text);
}
END_TEST

START_TEST(weights_are_those_of_a_gaussian)
{
    static int16_t weights[WISP_GAUSS_WEIGHTS];
    for (float sigma = 0.05f; sigma <= WISP_BLUR_MAX_SIGMA; sigma *= 1.07f) {
        const int32_t radius = wisp_gauss_weights(sigma, weights);
        ck_assert_int_eq(radius, (int32_t)ceil(3.0 * (double)sigma));
        double sum = 1.0;
        int32_t total = weights[0];
        for (int32_t d = 1; d <= radius; d++) {
            sum += 2 * exp(-0.5 * d * d / ((double)sigma * (double)sigma));
            total += 2 * weights[d];
        }
        ck_assert_int_eq(total, 1 << WISP_GAUSS_BITS);
        ck_assert_int_eq(weights[radius + 1], 0);
        for (int32_t d = 0; d <= radius; d++) {
            const double exact = exp(-0.5 * d * d / ((double)sigma * (double)sigma)) / sum;
            ck_assert_double_le(fabs(weights[d] - exact * (1 << WISP_GAUSS_BITS)), 1.0001);
        }
    }
    ck_assert_int_eq(wisp_gauss_weights(0.0f, weights), 0);
    ck_assert_int_eq(weights[0], 1 << WISP_GAUSS_BITS);
    ck_assert_int_le(wisp_gauss_radius(WISP_BLUR_MAX_SIGMA), WISP_GAUSS_MAX_RADIUS);
}
END_TEST

START_TEST(decay_is_exp)
{
    for (double x = 0.0; x < 64.0; x += 0.013)
        ck_assert_double_le(fabs(wisp_decay(x) / exp(-x) - 1.0), 1e-11);
    ck_assert_double_eq(wisp_decay(1e300), 0.0);
}
END_TEST

/* A constant picture stays, and sigma 0 changes nothing; whatever the size. */
START_TEST(what_is_smooth_stays)
{
    static uint8_t out[40 * 40 * 3];
    wispi_view_worker *worker;
    ck_assert_int_eq(wispi_view_worker_create(&worker, NULL), WISP_OK);
    for (int32_t size = 1; size <= 40; size++) {
        wispi_image image = {NULL, size, 41 - size};
        const size_t n = (size_t)(size * (41 - size) * 3);
        uint8_t *rgb = image_golden_picture(0, (uint32_t)size, (uint32_t)(41 - size));
        image.pixels = rgb;
        blur(worker, &image, 0.0, out);
        ck_assert_mem_eq(out, rgb, n);
        memset(rgb, 5 * size, n);
        blur(worker, &image, 0.4 * size, out);
        ck_assert_mem_eq(out, rgb, n);
        blur(worker, &image, (double)WISP_BLUR_MAX_SIGMA, out);
        ck_assert_mem_eq(out, rgb, n);
        free(rgb);
    }
    wispi_view_worker_destroy(worker);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gaussian blur");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_test(all, torchvision_differs_by_rounding);
    tcase_add_test(all, weights_are_those_of_a_gaussian);
    tcase_add_test(all, decay_is_exp);
    tcase_add_test(all, what_is_smooth_stays);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
