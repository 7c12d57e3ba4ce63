/* test_decode.c - image files against Pillow's reading of them (stored by
 * tests/golden/make_image_golden.py), and files that are cut off, altered, or not images at all. */
#include "image_golden.h"

#include "base/memory.h"
#include "image/decode.h"

/* The files of decode.txt, one by one. */
struct files {
    char *text, *rest;
    uint8_t *pixels;
    size_t n_pixels;
    wispi_decoder *decoder;
};

struct file {
    char name[64];
    int width, height;
    const char *line, *columns;
    uint8_t *data;
    size_t n;
};

static void files_open(struct files *f)
{
    size_t n;
    f->text = f->rest = (char *)image_golden_read("decode.txt", &n);
    f->pixels = image_golden_read("pixels.bin", &f->n_pixels);
    ck_assert_int_eq(wispi_decoder_create(&f->decoder, NULL), WISP_OK);
}

static void files_close(struct files *f)
{
    wispi_decoder_destroy(f->decoder);
    free(f->pixels);
    free(f->text);
}

static int files_next(struct files *f, struct file *file)
{
    char *line = strsep(&f->rest, "\n"), path[128];
    if (!line || !*line)
        return 0;
    int at = 0;
    file->line = line;
    ck_assert_int_eq(sscanf(line, "%63s %d %d %n", file->name, &file->width, &file->height, &at),
                     3);
    file->columns = line + at;
    snprintf(path, sizeof path, "files/%s", file->name);
    file->data = image_golden_read(path, &file->n);
    return 1;
}

/* Bytes in a block of their own size, so that a sanitizer sees a read beyond them. */
static wisp_status decode_exactly(wispi_decoder *decoder, const uint8_t *data, size_t n,
                                  wispi_image *image, wisp_error *err)
{
    uint8_t *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, n);
    wisp_status status = wispi_decode(decoder, copy, n, image, err);
    free(copy);
    return status;
}

static void check_refused(wispi_decoder *decoder, const void *data, size_t n, const char *what)
{
    wispi_image image = {NULL, -7, -7};
    wisp_error err = {0};
    wisp_status status = decode_exactly(decoder, data, n, &image, &err);
    ck_assert_msg(status == WISP_E_DATA, "%s: status %d", what, status);
    ck_assert_msg(err.message[0] != 0, "%s: no message", what);
    ck_assert_ptr_null(image.pixels);
    ck_assert_int_eq(image.width, -7);
}

START_TEST(files_equal_pillow)
{
    struct files f;
    struct file file;
    image_gap gap = {0};
    files_open(&f);
    while (files_next(&f, &file)) {
        wispi_image image;
        wisp_error err = {0};
        ck_assert_msg(decode_exactly(f.decoder, file.data, file.n, &image, &err) == WISP_OK,
                      "%s: %s", file.name, err.message);
        ck_assert_int_eq(image.width, file.width);
        ck_assert_int_eq(image.height, file.height);
        image_golden_compare(&gap, file.line, file.columns, f.pixels, f.n_pixels, image.pixels,
                             (size_t)image.width * (size_t)image.height * 3);
        free(file.data);
    }
    printf("decode: %llu files, %llu values compared, %llu differ\n", (unsigned long long)gap.cases,
           (unsigned long long)gap.values, (unsigned long long)gap.differ);
    ck_assert_uint_eq(gap.cases, 47);
    files_close(&f);
}
END_TEST

/* Every file cut off at every byte. */
START_TEST(cut_files_are_refused)
{
    struct files f;
    struct file file;
    files_open(&f);
    while (files_next(&f, &file)) {
        char what[128];
        for (size_t n = 0; n < file.n; n++) {
            snprintf(what, sizeof what, "%s cut to %zu bytes", file.name, n);
            check_refused(f.decoder, file.data, n, what);
        }
        free(file.data);
    }
    files_close(&f);
}
END_TEST

/* A hole in the coded pixels, with the end of the file in place. */
START_TEST(files_with_a_hole_are_refused)
{
    static const char *const names[] = {"files/baseline_420.jpg", "files/gray.jpg",
                                        "files/cmyk.jpg", "files/rgb8.png"};
    wispi_decoder *decoder;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n;
        uint8_t *data = image_golden_read(names[i], &n);
        memmove(data + n - 150, data + n - 50, 50);
        check_refused(decoder, data, n - 100, names[i]);
        free(data);
    }
    wispi_decoder_destroy(decoder);
}
END_TEST

/* Altered bytes give a picture or WISP_E_DATA, and the decoder works on afterwards. */
START_TEST(altered_files_do_no_harm)
{
    struct files f;
    struct file file;
    uint32_t n = 1, refused = 0, read = 0;
    files_open(&f);
    while (files_next(&f, &file)) {
        for (int trial = 0; trial < 150; trial++) {
            uint8_t *copy = malloc(file.n);
            memcpy(copy, file.data, file.n);
            for (int change = 0; change <= trial % 3; change++) {
                n = n * 1664525u + 1013904223u;
                copy[2 + (n >> 8) % (file.n - 2)] = (uint8_t)(n ^ n >> 16);
            }
            wispi_image image;
            wisp_error err = {0};
            wisp_status status = decode_exactly(f.decoder, copy, file.n, &image, &err);
            ck_assert_msg(status == WISP_OK || status == WISP_E_DATA, "%s, trial %d: %s (%d)",
                          file.name, trial, err.message, status);
            refused += status != WISP_OK;
            read += status == WISP_OK;
            free(copy);
        }
        wispi_image image;
        ck_assert_int_eq(wispi_decode(f.decoder, file.data, file.n, &image, NULL), WISP_OK);
        free(file.data);
    }
    printf("altered: %u read, %u refused\n", read, refused);
    ck_assert_uint_gt(refused, 1000);
    ck_assert_uint_gt(read, 100);
    files_close(&f);
}
END_TEST

START_TEST(other_bytes_are_refused)
{
    wispi_decoder *decoder;
    uint8_t noise[4096];
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    uint32_t n = 7;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((n = n * 1664525u + 1013904223u) >> 24);
    check_refused(decoder, noise, sizeof noise, "noise");
    memcpy(noise, "\xFF\xD8\xFF", 3);
    check_refused(decoder, noise, sizeof noise, "noise after the start of a JPEG");
    memcpy(noise, "\x89PNG\r\n\x1a\n", 8);
    check_refused(decoder, noise, sizeof noise, "noise after the start of a PNG");
    check_refused(decoder, "", 0, "nothing");
    check_refused(decoder, "GIF89a\1\0\1\0\0\0\0", 13, "a GIF");
    check_refused(decoder, "<html><body>404</body></html>", 29, "a web page");
    wispi_decoder_destroy(decoder);
}
END_TEST

static void put_be(uint8_t *at, uint32_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

/* CRC-32 of PNG chunks, bit by bit. */
static uint32_t png_crc(const uint8_t *data, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* Writes another size into the header of either format. */
static void set_size(uint8_t *data, size_t n, uint32_t width, uint32_t height)
{
    if (data[0] == 0x89) {
        put_be(data + 16, width, 4);
        put_be(data + 20, height, 4);
        put_be(data + 29, png_crc(data + 12, 17), 4);
        return;
    }
    for (size_t i = 0; i + 9 < n; i++) {
        if (data[i] == 0xFF && data[i + 1] == 0xC0) {
            put_be(data + i + 5, height, 2);
            put_be(data + i + 7, width, 2);
            return;
        }
    }
    ck_abort_msg("no frame header");
}

/* A small file that promises a huge picture costs no memory. */
START_TEST(false_sizes_are_refused)
{
    static const char *const names[] = {"files/rgb8.png", "files/baseline_420.jpg"};
    static const uint32_t sizes[][2] = {{65500, 65500}, {65500, 4090}, {20000, 12000},
                                        {65535, 1},     {1, 65501},    {0, 5}};
    for (size_t i = 0; i < 2; i++) {
        wispi_decoder *decoder;
        size_t n;
        uint8_t *data = image_golden_read(names[i], &n);
        wispi_image image;
        ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
        wispi_reset_peak();
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            char what[128];
            snprintf(what, sizeof what, "%s as %u x %u", names[i], sizes[j][0], sizes[j][1]);
            set_size(data, n, sizes[j][0], sizes[j][1]);
            check_refused(decoder, data, n, what);
        }
        ck_assert_int_lt(wispi_peak_bytes(), 4 << 20);
        /* The means of the test are right: with the true size the file can be read again. */
        set_size(data, n, i == 0 ? 21 : 37, i == 0 ? 13 : 29);
        ck_assert_int_eq(wispi_decode(decoder, data, n, &image, NULL), WISP_OK);
        wispi_decoder_destroy(decoder);
        free(data);
    }
}
END_TEST

/* Fails each allocation in turn: an error each time, and nothing kept. */
START_TEST(short_memory_is_an_error)
{
    static const char *const names[] = {"files/rgb8_adam7.png", "files/palette4.png",
                                        "files/cmyk.jpg", "files/progressive_420.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n;
        uint8_t *data = image_golden_read(names[i], &n);
        int64_t blocks = wispi_live_blocks();
        int failures = 0;
        for (int64_t nth = 1;; nth++) {
            wispi_decoder *decoder = NULL;
            wispi_image image = {NULL, 0, 0};
            wisp_error err = {0};
            wispi_fail_allocation(nth);
            wisp_status status = wispi_decoder_create(&decoder, &err);
            if (status == WISP_OK)
                status = wispi_decode(decoder, data, n, &image, &err);
            wispi_fail_allocation(-1);
            wispi_decoder_destroy(decoder);
            ck_assert_int_eq(wispi_live_blocks(), blocks);
            if (status == WISP_OK)
                break;
            ck_assert_msg(status == WISP_E_NOMEM, "%s, allocation %d: %s", names[i], (int)nth,
                          err.message);
            failures++;
        }
        ck_assert_int_ge(failures, 3);
        free(data);
    }
}
END_TEST

static void decode_all(struct files *f)
{
    struct file file;
    char *copy = strdup(f->text);
    f->rest = copy;
    while (files_next(f, &file)) {
        wispi_image image;
        ck_assert_int_eq(wispi_decode(f->decoder, file.data, file.n, &image, NULL), WISP_OK);
        free(file.data);
    }
    free(copy);
}

START_TEST(decoder_settles)
{
    struct files f;
    files_open(&f);
    decode_all(&f);
    int64_t settled = wispi_allocation_count();
    decode_all(&f);
    ck_assert_int_eq(wispi_allocation_count(), settled);
    files_close(&f);
}
END_TEST

/* A file without Huffman and quantisation tables must not be read with those of the one before. */
START_TEST(pictures_do_not_lend_tables)
{
    size_t n, kept = 2;
    uint8_t *data = image_golden_read("files/baseline_444.jpg", &n);
    uint8_t *bare = malloc(n);
    memcpy(bare, data, 2);
    size_t at = 2;
    while (data[at + 1] != 0xDA) { /* segments up to the scan, without DQT */
        size_t segment = 2 + ((size_t)data[at + 2] << 8 | data[at + 3]);
        if (data[at + 1] != 0xDB) {
            memcpy(bare + kept, data + at, segment);
            kept += segment;
        }
        at += segment;
    }
    memcpy(bare + kept, data + at, n - at);
    kept += n - at;
    ck_assert_uint_lt(kept, n);
    wispi_decoder *decoder;
    wispi_image image;
    ck_assert_int_eq(wispi_decoder_create(&decoder, NULL), WISP_OK);
    ck_assert_int_eq(wispi_decode(decoder, data, n, &image, NULL), WISP_OK);
    check_refused(decoder, bare, kept, "a JPEG without quantisation tables");
    wispi_decoder_destroy(decoder);
    free(bare);
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decode");
    TCase *tests = tcase_create("decode");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, files_equal_pillow);
    tcase_add_test(tests, cut_files_are_refused);
    tcase_add_test(tests, files_with_a_hole_are_refused);
    tcase_add_test(tests, altered_files_do_no_harm);
    tcase_add_test(tests, other_bytes_are_refused);
    tcase_add_test(tests, false_sizes_are_refused);
    tcase_add_test(tests, short_memory_is_an_error);
    tcase_add_test(tests, decoder_settles);
    tcase_add_test(tests, pictures_do_not_lend_tables);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
