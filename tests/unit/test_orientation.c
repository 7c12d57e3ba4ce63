/* test_orientation.c - what is read of EXIF blocks that are whole, cut off or lie, and boxes that
 * are turned with their pictures. What turned pictures look like is compared with Pillow in
 * test_odd_files.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/jpeg_segments.h"
#include "image/orientation.h"

static const uint8_t little[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1,
                                 3,   0,   1,  0, 0, 0, 6, 0, 0, 0, 0,    0};
static const uint8_t big[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12,
                              0,   3,   0, 0,  0, 1, 0, 6, 0, 0, 0, 0};

/* In a block of its own size, so that a sanitizer sees a read beyond it. */
static int32_t read_exactly(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    const int32_t orientation = wispi_tiff_orientation(copy, n);
    free(copy);
    return orientation;
}

START_TEST(blocks_are_read_in_both_orders)
{
    ck_assert_int_eq(read_exactly(little, sizeof little), 6);
    ck_assert_int_eq(read_exactly(big, sizeof big), 6);
}
END_TEST

START_TEST(cut_blocks_say_nothing)
{
    const size_t end_of_entry = 22;
    for (size_t n = 0; n < sizeof little; n++) {
        ck_assert_int_eq(read_exactly(little, n), n < end_of_entry ? 1 : 6);
        ck_assert_int_eq(read_exactly(big, n), n < end_of_entry ? 1 : 6);
    }
}
END_TEST

/* One byte of the block replaced by every value: never a read outside, always 1 to 8. */
START_TEST(lies_are_survived)
{
    for (size_t at = 0; at < sizeof little; at++) {
        for (int value = 0; value < 256; value++) {
            uint8_t copy[sizeof little];
            memcpy(copy, little, sizeof copy);
            copy[at] = (uint8_t)value;
            const int32_t orientation = read_exactly(copy, sizeof copy);
            ck_assert_int_ge(orientation, 1);
            ck_assert_int_le(orientation, 8);
        }
    }
    uint8_t far[sizeof little];
    memcpy(far, little, sizeof far);
    memset(far + 4, 0xFF, 4); /* the directory is said to lie beyond the end */
    ck_assert_int_eq(read_exactly(far, sizeof far), 1);
    memcpy(far, little, sizeof far);
    memset(far + 8, 0xFF, 2); /* more entries than there is room for */
    ck_assert_int_eq(read_exactly(far, sizeof far), 6);
}
END_TEST

/* Start marker, padding, a segment of another kind, then EXIF. */
START_TEST(segments_are_walked)
{
    uint8_t file[64] = {0xFF, 0xD8, 0xFF, 0xFF, 0xE0, 0, 4, 9, 9, 0xFF, 0xE1, 0, 8 + 24};
    memcpy(file + 13, "Exif\0", 6);
    memcpy(file + 19, little, sizeof little);
    const size_t n = 19 + sizeof little;
    ck_assert_int_eq(wispi_jpeg_orientation(file, n), 6);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, file, cut);
        ck_assert_int_eq(wispi_jpeg_orientation(copy, cut), 1);
        free(copy);
    }
}
END_TEST

START_TEST(boxes_are_turned_and_back)
{
    enum { WIDTH = 11, HEIGHT = 7 };
    for (int32_t o = 1; o <= 8; o++) {
        int32_t width = WIDTH, height = HEIGHT;
        wispi_turned_size(o, &width, &height);
        for (int32_t x = 0; x < width; x++) {
            for (int32_t y = 0; y < height; y++) {
                const wisp_box b = {x, y, width - x, height - y > 2 ? 2 : 1};
                const wisp_box stored = wispi_box_stored(o, WIDTH, HEIGHT, b);
                const wisp_box back = wispi_box_turned(o, WIDTH, HEIGHT, stored);
                ck_assert_mem_eq(&b, &back, sizeof b);
                ck_assert(stored.x >= 0 && stored.y >= 0 && stored.x + stored.w <= WIDTH &&
                          stored.y + stored.h <= HEIGHT);
            }
        }
    }
}
END_TEST

/* The part of the turned picture is the turned part of the stored one. */
START_TEST(boxes_go_with_their_pixels)
{
    enum { WIDTH = 5, HEIGHT = 4 };
    uint8_t pixels[WIDTH * HEIGHT * 3], turned[sizeof pixels], one[3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(7 * i);
    const wispi_image stored = {pixels, WIDTH, HEIGHT};
    for (int32_t o = 1; o <= 8; o++) {
        int32_t width = WIDTH, height = HEIGHT;
        wispi_turned_size(o, &width, &height);
        wispi_turn_pixels(o, &stored, turned);
        for (int32_t i = 0; i < width * height; i++) {
            const wisp_box at = {i % width, i / width, 1, 1};
            const wisp_box from = wispi_box_stored(o, WIDTH, HEIGHT, at);
            memcpy(one, pixels + (from.y * WIDTH + from.x) * 3, 3);
            ck_assert_mem_eq(turned + i * 3, one, 3);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("orientation");
    TCase *tests = tcase_create("orientation");
    tcase_add_test(tests, blocks_are_read_in_both_orders);
    tcase_add_test(tests, cut_blocks_say_nothing);
    tcase_add_test(tests, lies_are_survived);
    tcase_add_test(tests, segments_are_walked);
    tcase_add_test(tests, boxes_are_turned_and_back);
    tcase_add_test(tests, boxes_go_with_their_pixels);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
