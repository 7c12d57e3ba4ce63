/* test_decode_part.c - parts of pictures against the same pixels of the whole ones, over every kind
 * of JPEG that the library writes, all scales, and boxes everywhere; and what is promised about
 * files that end early or are damaged below what is decoded. */
#include "encoded_jpeg.h"

#include "image/decode.h"

enum { BOXES = 24 };

/* --- parts and wholes --- */

static wisp_status decode_box(wispi_decoder *decoder, const uint8_t *data, size_t n, int upright,
                              int shrink, wisp_box box, wispi_part *part, wisp_error *err)
{
    wispi_picture picture;
    WISP_TRY(wispi_decode_open(decoder, data, n, upright, &picture, err));
    return wispi_decode_part(decoder, &box, shrink, part, err);
}

static uint32_t below(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

static wisp_box random_box(uint32_t *state, int width, int height)
{
    wisp_box b;
    /* Small and large ones alike. */
    b.w = 1 + (int)below(state, (uint32_t)width >> below(state, 4) | 1);
    b.h = 1 + (int)below(state, (uint32_t)height >> below(state, 4) | 1);
    b.w = b.w > width ? width : b.w;
    b.h = b.h > height ? height : b.h;
    b.x = (int)below(state, (uint32_t)(width - b.w + 1));
    b.y = (int)below(state, (uint32_t)(height - b.h + 1));
    return b;
}

static void check_part(const wispi_image *whole, const wispi_part *part, wisp_box b,
                       const char *what)
{
    const size_t row = (size_t)part->image.width * 3, whole_row = (size_t)whole->width * 3;
    ck_assert_msg(part->x <= b.x && part->y <= b.y && part->x + part->image.width >= b.x + b.w &&
                      part->y + part->image.height >= b.y + b.h,
                  "%s: not all of the box (%d, %d, %d, %d)", what, b.x, b.y, b.w, b.h);
    for (int y = b.y; y < b.y + b.h; y++) {
        const uint8_t *want = whole->pixels + (size_t)y * whole_row + (size_t)b.x * 3;
        const uint8_t *have =
            part->image.pixels + (size_t)(y - part->y) * row + (size_t)(b.x - part->x) * 3;
        ck_assert_msg(memcmp(want, have, (size_t)b.w * 3) == 0,
                      "%s: row %d of box (%d, %d, %d, %d) differs", what, y, b.x, b.y, b.w, b.h);
    }
}

/* Random parts of a file at one scale; returns the pixels that were not decoded. */
static int64_t check_parts(wispi_decoder *decoder, const uint8_t *data, size_t n, int upright,
                           int shrink, const char *what, uint32_t *state)
{
    wispi_picture picture;
    wispi_part part;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_decode_open(decoder, data, n, upright, &picture, NULL), WISP_OK);
    const int width = (picture.width + shrink - 1) / shrink;
    const int height = (picture.height + shrink - 1) / shrink;
    const wisp_box all = {0, 0, width, height};
    ck_assert_msg(wispi_decode_part(decoder, &all, shrink, &part, &err) == WISP_OK, "%s: %s", what,
                  err.message);
    ck_assert_int_eq(part.image.width, width);
    ck_assert_int_eq(part.image.height, height);
    const size_t bytes = (size_t)width * (size_t)height * 3;
    uint8_t *copy = malloc(bytes);
    memcpy(copy, part.image.pixels, bytes);
    const wispi_image whole = {copy, width, height};
    int64_t spared = 0;
    for (int i = 0; i < BOXES; i++) {
        const wisp_box b = random_box(state, width, height);
        ck_assert_msg(decode_box(decoder, data, n, upright, shrink, b, &part, &err) == WISP_OK,
                      "%s: %s", what, err.message);
        check_part(&whole, &part, b, what);
        spared += (int64_t)width * height - (int64_t)part.image.width * part.image.height;
    }
    free(copy);
    return spared;
}

START_TEST(parts_of_all_kinds_equal_the_whole)
{
    static const int sizes[][2] = {{203, 157}, {161, 96}, {64, 130}, {33, 3}, {3, 70}, {1, 1}};
    const encoded_kind *kind = &encoded_kinds[_i];
    wispi_decoder *decoder;
    uint32_t state = (uint32_t)_i + 1;
    int64_t spared = 0;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n;
        uint8_t *data = encoded_jpeg(kind, sizes[s][0], sizes[s][1], &n);
        for (int shrink = 1; shrink <= WISPI_MOST_SHRINK; shrink *= 2) {
            char what[96];
            snprintf(what, sizeof what, "%s of %d x %d at 1/%d", kind->name, sizes[s][0],
                     sizes[s][1], shrink);
            spared += check_parts(decoder, data, n, 0, shrink, what, &state);
        }
        free(data);
    }
    ck_assert_int_gt(spared, 100000);
    wispi_decoder_destroy(decoder);
}
END_TEST

START_TEST(parts_of_other_files_equal_the_whole)
{
    static const char *const names[] = {"files/rgb8.png",          "files/gray16.png",
                                        "files/palette4.png",      "files/rgba8_adam7.png",
                                        "../odd/files/exif_6.png", "../odd/files/exif_7.jpg",
                                        "../odd/files/exif_2.jpg", "../odd/files/tall.png",
                                        "../odd/files/long.jpg",   "../odd/files/exif_long.jpg"};
    wispi_decoder *decoder;
    uint32_t state = 9;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n;
        uint8_t *data = image_golden_read(names[i], &n);
        check_parts(decoder, data, n, 1, 1, names[i], &state);
        free(data);
    }
    wispi_decoder_destroy(decoder);
}
END_TEST

static void check_cuts(wispi_decoder *decoder, const uint8_t *data, size_t n, wisp_box top,
                       const char *name)
{
    wispi_part part;
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, top, &part, NULL), WISP_OK);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, data, cut);
        wisp_error err = {0};
        ck_assert_msg(decode_box(decoder, copy, cut, 0, 1, top, &part, &err) == WISP_E_DATA,
                      "%s, cut to %zu of %zu bytes", name, cut, n);
        free(copy);
    }
}

/* Cut off anywhere, a file is refused whatever is decoded of it. */
START_TEST(cut_files_are_refused_in_part)
{
    static const char *const pngs[] = {"files/rgb8.png", "files/gray16.png", "files/palette4.png",
                                       "files/rgba8_adam7.png"};
    wispi_decoder *decoder;
    size_t n;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (int k = 0; k < ENCODED_KINDS; k++) {
        uint8_t *data = encoded_jpeg(&encoded_kinds[k], 50, 90, &n);
        check_cuts(decoder, data, n, (wisp_box){7, 3, 20, 5}, encoded_kinds[k].name);
        free(data);
    }
    for (size_t i = 0; i < sizeof pngs / sizeof *pngs; i++) {
        uint8_t *data = image_golden_read(pngs[i], &n);
        check_cuts(decoder, data, n, (wisp_box){2, 1, 9, 4}, pngs[i]);
        free(data);
    }
    wispi_decoder_destroy(decoder);
}
END_TEST

/* A hole far below the part is not seen, one above or beside it is. */
START_TEST(damage_below_a_part_is_not_seen)
{
    wispi_decoder *decoder;
    wispi_part part;
    size_t n;
    uint8_t *data = encoded_jpeg(&encoded_kinds[0], 64, 256, &n);
    const wisp_box top = {0, 0, 64, 40}, bottom = {0, 230, 8, 8}, middle = {0, 120, 8, 30};
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    data[n / 2] = 0xFF; /* a marker that has no place there */
    data[n / 2 + 1] = 0xD3;
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, top, &part, NULL), WISP_OK);
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, bottom, &part, NULL), WISP_E_DATA);
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, middle, &part, NULL), WISP_E_DATA);
    wispi_decoder_destroy(decoder);
    free(data);
}
END_TEST

START_TEST(senseless_requests_are_refused)
{
    static const wisp_box boxes[] = {{-1, 0, 5, 5}, {0, 0, 0, 5},  {0, 0, 5, 51},
                                     {49, 0, 2, 2}, {0, 50, 1, 1}, {0, 0, INT32_MAX, 1}};
    wispi_decoder *decoder;
    wispi_part part = {{NULL, -7, 0}, 0, 0};
    size_t n;
    uint8_t *data = encoded_jpeg(&encoded_kinds[2], 50, 50, &n);
    const wisp_box good = {0, 0, 5, 5};
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, boxes[i], &part, NULL), WISP_E_INVALID);
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 3, good, &part, NULL), WISP_E_INVALID);
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 16, good, &part, NULL), WISP_E_INVALID);
    ck_assert_int_eq(part.image.width, -7);
    ck_assert_int_eq(decode_box(decoder, data, n, 0, 1, good, &part, NULL), WISP_OK);
    /* Decoded once: the next one has to be opened. */
    ck_assert_int_eq(wispi_decode_part(decoder, &good, 1, &part, NULL), WISP_E_INVALID);
    wispi_decoder_destroy(decoder);
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode_part");
    TCase *tests = tcase_create("decode_part");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, parts_of_all_kinds_equal_the_whole, 0, ENCODED_KINDS);
    tcase_add_test(tests, parts_of_other_files_equal_the_whole);
    tcase_add_test(tests, cut_files_are_refused_in_part);
    tcase_add_test(tests, damage_below_a_part_is_not_seen);
    tcase_add_test(tests, senseless_requests_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
