/* test_decode_part.c - parts of pictures against the same pixels of the whole ones, over every kind
 * of JPEG that the library writes, all scales, and boxes everywhere; and what is promised about
 * files that end early or are damaged below what is decoded. */
#include "image_golden.h"

#include <jpeglib.h>

#include "base/memory.h"
#include "image/decode.h"

enum { BOXES = 24 };

/* --- files of all kinds --- */

struct kind {
    const char *name;
    int components;
    int across, down; /* sampling of the first component over the others' */
    int progressive;  /* 1: all scans; 2: not the last ones; 3: a scan for each component */
    int arithmetic, restart;
};

static const struct kind kinds[] = {
    {"4:4:4", 3, 1, 1, 0, 0, 0},        {"4:2:2", 3, 2, 1, 0, 0, 0},
    {"4:2:0", 3, 2, 2, 0, 0, 0},        {"4:4:0", 3, 1, 2, 0, 0, 0},
    {"4:1:1", 3, 4, 1, 0, 0, 0},        {"4:1:0", 3, 4, 2, 0, 0, 0},
    {"1x4", 3, 1, 4, 0, 0, 0},          {"3x1", 3, 3, 1, 0, 0, 0},
    {"gray", 1, 1, 1, 0, 0, 0},         {"gray 2x2", 1, 2, 2, 0, 0, 0},
    {"CMYK", 4, 1, 1, 0, 0, 0},         {"CMYK 2x2", 4, 2, 2, 0, 0, 0},
    {"restarts", 3, 2, 2, 0, 0, 3},     {"restarts 4:4:4", 3, 1, 1, 0, 0, 7},
    {"progressive", 3, 2, 2, 1, 0, 0},  {"progressive 4:4:4", 3, 1, 1, 1, 0, 0},
    {"unfinished", 3, 2, 2, 2, 0, 0},   {"unfinished 4:4:4", 3, 1, 1, 2, 0, 0},
    {"scan by scan", 3, 2, 1, 3, 0, 0}, {"arithmetic", 3, 2, 2, 0, 1, 0},
};

static void choose_scans(struct jpeg_compress_struct *info, int progressive)
{
    /* DC of all, then a few of the AC coefficients of the first. */
    static const jpeg_scan_info unfinished[] = {{3, {0, 1, 2}, 0, 0, 0, 1}, {1, {0}, 1, 2, 0, 2}};
    static const jpeg_scan_info one_by_one[] = {
        {1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    if (progressive == 1)
        jpeg_simple_progression(info);
    if (progressive == 2) {
        info->scan_info = unfinished;
        info->num_scans = 2;
    }
    if (progressive == 3) {
        info->scan_info = one_by_one;
        info->num_scans = 3;
    }
}

static void write_rows(struct jpeg_compress_struct *info, const uint8_t *rgb, int components)
{
    const size_t width = info->image_width;
    uint8_t *line = malloc(width * 4);
    while (info->next_scanline < info->image_height) {
        const uint8_t *row = rgb + info->next_scanline * width * 3;
        for (size_t x = 0; x < width; x++)
            for (int c = 0; c < components; c++)
                line[x * (size_t)components + (size_t)c] = row[3 * x + (size_t)c % 3];
        jpeg_write_scanlines(info, &line, 1);
    }
    free(line);
}

static uint8_t *encode(const struct kind *kind, int width, int height, size_t *n)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    uint8_t *data = NULL, *rgb = image_golden_picture(1, (uint32_t)width, (uint32_t)height);
    unsigned long bytes = 0;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &data, &bytes);
    info.image_width = (unsigned)width;
    info.image_height = (unsigned)height;
    info.input_components = kind->components;
    info.in_color_space = kind->components == 1   ? JCS_GRAYSCALE
                          : kind->components == 3 ? JCS_RGB
                                                  : JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 80, TRUE);
    info.comp_info[0].h_samp_factor = kind->across;
    info.comp_info[0].v_samp_factor = kind->down;
    info.arith_code = kind->arithmetic != 0;
    info.restart_interval = (unsigned)kind->restart;
    choose_scans(&info, kind->progressive);
    jpeg_start_compress(&info, TRUE);
    write_rows(&info, rgb, kind->components);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    free(rgb);
    *n = bytes;
    return data;
}

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
    const struct kind *kind = &kinds[_i];
    wispi_decoder *decoder;
    uint32_t state = (uint32_t)_i + 1;
    int64_t spared = 0;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n;
        uint8_t *data = encode(kind, sizes[s][0], sizes[s][1], &n);
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

int main(void)
{
    Suite *suite = suite_create("decode_part");
    TCase *tests = tcase_create("decode_part");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, parts_of_all_kinds_equal_the_whole, 0,
                        (int)(sizeof kinds / sizeof *kinds));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
