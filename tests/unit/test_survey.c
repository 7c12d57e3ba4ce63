/* test_survey.c - what is said of data sets: kinds of files against the names that Pillow's files
 * were given, drawn shares, broken samples, and the report's numbers. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/survey.h"
#include "image/picture_facts.h"
#include "wisp/runtime.h"

#define FILES "tests/golden/image/files"

static uint8_t *load(const char *name, size_t *bytes)
{
    char path[512];
    uint8_t *data = NULL;
    wisp_error err = {0};
    snprintf(path, sizeof path, FILES "/%s", name);
    ck_assert_msg(wispi_file_read(path, 1 << 20, &data, bytes, &err) == WISP_OK, "%s", err.message);
    return data;
}

static int named(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* --- headers --- */

START_TEST(facts_are_those_that_files_are_named_for)
{
    DIR *folder = opendir(FILES);
    const struct dirent *entry;
    int n = 0;
    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder))) {
        const char *name = entry->d_name;
        const int jpeg = named(name, ".jpg");
        if (!jpeg && !named(name, ".png"))
            continue;
        size_t bytes = 0;
        uint8_t *data = load(name, &bytes);
        wispi_picture_facts f;
        ck_assert_msg(wispi_picture_facts_of(data, bytes, &f), "%s", name);
        ck_assert_msg(f.format == (jpeg ? WISPI_FILE_JPEG : WISPI_FILE_PNG), "%s", name);
        ck_assert_msg(f.progressive == (named(name, "progressive") || named(name, "adam7")), "%s",
                      name);
        ck_assert_msg(f.gray == (named(name, "gray") || named(name, "la8") || named(name, "la16")),
                      "%s", name);
        ck_assert_msg(f.cmyk == (named(name, "cmyk") || named(name, "ycck")), "%s", name);
        ck_assert_msg(f.deep == (!jpeg && named(name, "16")), "%s", name);
        ck_assert_int_eq(f.orientation, 1);
        wispi_free(data);
        n++;
    }
    closedir(folder);
    ck_assert_int_gt(n, 40);
}
END_TEST

/* An exact copy of each beginning, so that a step beyond it is a fault. */
START_TEST(no_beginning_of_a_file_is_read_beyond)
{
    static const char *const names[] = {"progressive_420.jpg", "gray1_adam7.png"};
    for (int i = 0; i < 2; i++) {
        size_t bytes = 0;
        int known = 0;
        uint8_t *data = load(names[i], &bytes);
        for (size_t cut = 0; cut <= bytes; cut++) {
            wispi_picture_facts f = {.format = 77};
            uint8_t *begin = malloc(cut ? cut : 1);
            memcpy(begin, data, cut);
            const int now = wispi_picture_facts_of(begin, cut, &f);
            ck_assert(now >= known); /* once there is enough, more changes nothing */
            ck_assert(now || f.format == 77);
            known = now;
            free(begin);
        }
        ck_assert(known);
        wispi_free(data);
    }
    wispi_picture_facts f;
    ck_assert(!wispi_picture_facts_of((const uint8_t *)"GIF89a and so on", 16, &f));
}
END_TEST

/* --- surveys --- */

/* Sample i is a file or, of every fifth, raw pixels; each seventh cannot be read. */
typedef struct blobs {
    int64_t n;
    const uint8_t *file;
    size_t bytes;
} blobs;

static int64_t blobs_count(const void *self)
{
    return ((const blobs *)self)->n;
}

static wisp_status blobs_read(const void *self, int64_t index, wisp_sample_sink *sink,
                              wisp_sample *sample, wisp_error *err)
{
    const blobs *b = self;
    if (index % 7 == 6)
        return wisp_fail(err, WISP_E_DATA, "sample %lld is away", (long long)index);
    const size_t bytes = index % 5 ? b->bytes : 4 * 3 * 3;
    uint8_t *data = sink->reserve(sink, bytes);
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for a sample");
    if (index % 5)
        memcpy(data, b->file, bytes);
    else
        memset(data, 1, bytes);
    *sample = index % 5 ? (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = bytes}
                        : (wisp_sample){.form = WISP_SAMPLE_RGB8,
                                        .width = 4,
                                        .height = index == 10 ? 4 : 3, /* does not fit */
                                        .data = data,
                                        .bytes = bytes};
    return WISP_OK;
}

static const wisp_dataset_v0 blobs_table = {
    .struct_size = sizeof blobs_table, .count = blobs_count, .read = blobs_read};

static volatile int stop;

static wispi_survey look(const blobs *b, int64_t most, int32_t decode, wispi_pool *pool)
{
    const wispi_survey_options o = {.set = &blobs_table,
                                    .self = b,
                                    .pool = pool,
                                    .most = most,
                                    .decode = decode,
                                    .stop = &stop};
    wispi_survey s;
    wisp_error err = {0};
    ck_assert_msg(wispi_survey_run(&o, &s, &err) == WISP_OK, "%s", err.message);
    return s;
}

START_TEST(every_sample_is_looked_at)
{
    size_t bytes = 0;
    uint8_t *file = load("gray_progressive.jpg", &bytes);
    const blobs b = {1000, file, bytes};
    for (int32_t decode = 0; decode <= 1; decode++) {
        wispi_survey s = look(&b, 1000, decode, NULL);
        ck_assert_int_eq(s.n, 1000);
        ck_assert_int_eq(s.n_seen, 1000);
        ck_assert_int_eq(s.n_broken, 142 + 1);
        for (int64_t i = 0; i < 1000; i++) {
            const wispi_look *l = &s.looks[i];
            ck_assert_int_eq(l->index, i);
            if (i % 7 == 6 || i == 10) {
                ck_assert_uint_eq(l->flags, WISPI_LOOK_BROKEN);
                ck_assert_int_eq(l->width + l->height + l->bytes, 0);
            } else if (i % 5 == 0) {
                ck_assert_uint_eq(l->flags, WISPI_LOOK_RAW);
                ck_assert(l->width == 4 && l->height == 3 && l->bytes == 36);
            } else {
                ck_assert_uint_eq(l->flags,
                                  WISPI_LOOK_JPEG | WISPI_LOOK_GRAY | WISPI_LOOK_PROGRESSIVE);
                ck_assert(l->width == 37 && l->height == 29 && l->bytes == (int64_t)bytes);
            }
        }
        wispi_survey_free(&s);
    }
    wispi_free(file);
}
END_TEST

/* libjpeg passes over markers that stand alone, and so does a run. */
START_TEST(what_the_decoder_takes_is_not_broken)
{
    size_t bytes = 0;
    uint8_t *file = load("gray.jpg", &bytes), *odd = malloc(bytes + 2);
    memcpy(odd, file, 2);
    memcpy(odd + 2, "\xFF\x01", 2);
    memcpy(odd + 4, file + 2, bytes - 2);
    wispi_picture_facts f;
    ck_assert(!wispi_picture_facts_of(odd, bytes + 2, &f));
    const blobs b = {2, odd, bytes + 2};
    wispi_survey s = look(&b, 2, 1, NULL);
    ck_assert_uint_eq(s.looks[1].flags, WISPI_LOOK_JPEG);
    ck_assert_int_eq(s.looks[1].width, 37);
    wispi_survey_free(&s);
    free(odd);
    wispi_free(file);
}
END_TEST

START_TEST(shares_are_drawn_once_and_for_all)
{
    size_t bytes = 0;
    uint8_t *file = load("one_pixel.jpg", &bytes);
    const blobs b = {100000, file, bytes};
    wispi_pool *pool = wispi_pool_create(3, NULL);
    wispi_survey s = look(&b, 2000, 0, NULL), other = look(&b, 2000, 0, pool);
    ck_assert_int_eq(s.n_seen, 2000);
    ck_assert_int_eq(other.n_seen, 2000);
    ck_assert_mem_eq(s.looks, other.looks, 2000 * sizeof *s.looks);
    int64_t below = 0;
    for (int64_t i = 0; i < 2000; i++) {
        ck_assert(i == 0 || s.looks[i - 1].index < s.looks[i].index);
        ck_assert(s.looks[i].index >= 0 && s.looks[i].index < 100000);
        below += s.looks[i].index < 50000;
    }
    ck_assert_int_gt(below, 1000 - 5 * 23); /* five deviations of a fair draw */
    ck_assert_int_lt(below, 1000 + 5 * 23);
    wispi_survey_free(&s);
    wispi_survey_free(&other);
    wispi_pool_destroy(pool);
    wispi_free(file);
}
END_TEST

START_TEST(what_is_wrong_is_told)
{
    const blobs b = {20, (const uint8_t *)"no picture", 10};
    const wispi_survey_options o = {.set = &blobs_table, .self = &b, .most = 20, .stop = &stop};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_survey_explain(&o, 6, &err), WISP_E_DATA);
    ck_assert_str_eq(err.message, "sample 6 is away");
    ck_assert_int_eq(wispi_survey_explain(&o, 10, &err), WISP_E_PLUGIN);
    ck_assert_ptr_nonnull(strstr(err.message, "4 x 4 px, 36 bytes: these do not fit"));
    ck_assert_int_eq(wispi_survey_explain(&o, 1, &err), WISP_E_DATA);
    ck_assert_ptr_nonnull(strstr(err.message, "neither a JPEG nor a PNG"));
    ck_assert_int_eq(wispi_survey_explain(&o, 5, &err), WISP_OK);
    const blobs none = {0, NULL, 0};
    wispi_survey_options empty = o;
    wispi_survey s = {.n = 7};
    empty.self = &none;
    ck_assert_int_eq(wispi_survey_run(&empty, &s, &err), WISP_E_DATA);
    ck_assert_int_eq(s.n, 7);
}
END_TEST

START_TEST(surveys_end_when_asked)
{
    const blobs b = {100, (const uint8_t *)"no picture", 10};
    stop = 1;
    wispi_survey s = look(&b, 100, 0, NULL);
    stop = 0;
    ck_assert_int_eq(s.n_seen, 0);
    ck_assert_int_eq(s.n_broken, 0);
    wispi_survey_free(&s);
}
END_TEST

/* --- the report --- */

static wisp_runtime *runtime;

static wisp_status report(const char *path, int32_t full, int32_t format, char **text,
                          int64_t *n_broken, wisp_error *err)
{
    const wisp_experiment_source source = {.struct_size = sizeof source, .path = path};
    const wisp_data_info_options options = {.struct_size = sizeof options, .full = full};
    return wisp_runtime_data_info(runtime, &source, &options, format, text, n_broken, err);
}

static void begin(void)
{
    static const char *const folders[] = {WISP_BUILD_DIR "/plugins", NULL};
    const wisp_runtime_options options = {.struct_size = sizeof options,
                                          .log_level = WISP_LOG_ERROR,
                                          .plugin_folders = folders,
                                          .ignore_environment = 1};
    wisp_error err = {0};
    ck_assert_msg(wisp_runtime_create(&options, &runtime, &err) == WISP_OK, "%s", err.message);
}

static void end(void)
{
    wisp_runtime_destroy(runtime);
    ck_assert_int_eq(wispi_live_blocks(), 0);
}

START_TEST(results_are_written_on_success_only)
{
    char marker[1], *text = marker;
    int64_t n_broken = -7;
    wisp_error err = {0};
    for (int32_t format = WISP_FORMAT_TEXT; format <= WISP_FORMAT_JSON; format++)
        ck_assert_int_eq(report("tests/no such folder", 0, format, &text, &n_broken, &err),
                         WISP_E_NOT_FOUND);
    ck_assert_ptr_eq(text, marker);
    ck_assert_int_eq(n_broken, -7);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    for (int32_t format = WISP_FORMAT_TEXT; format <= WISP_FORMAT_JSON; format++)
        for (int64_t nth = 1, reached = 1; reached; nth++) {
            char *text = NULL;
            int64_t n_broken = 0;
            wisp_error err = {0};
            wispi_fail_allocation(nth);
            wisp_status status =
                report("tests/fuzz/corpus/decode", 1, format, &text, &n_broken, &err);
            wispi_fail_allocation(-1);
            reached = status != WISP_OK;
            ck_assert_msg(status == WISP_OK || status == WISP_E_NOMEM, "allocation %lld: %s",
                          (long long)nth, err.message);
            ck_assert(status != WISP_OK || text);
            wisp_runtime_free(text);
            ck_assert_int_lt(nth, 20000);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *tests = tcase_create("survey"), *reports = tcase_create("report");
    tcase_add_test(tests, facts_are_those_that_files_are_named_for);
    tcase_add_test(tests, no_beginning_of_a_file_is_read_beyond);
    tcase_add_test(tests, every_sample_is_looked_at);
    tcase_add_test(tests, what_the_decoder_takes_is_not_broken);
    tcase_add_test(tests, shares_are_drawn_once_and_for_all);
    tcase_add_test(tests, what_is_wrong_is_told);
    tcase_add_test(tests, surveys_end_when_asked);
    tcase_set_timeout(reports, 60);
    tcase_add_checked_fixture(reports, begin, end);
    tcase_add_test(reports, results_are_written_on_success_only);
    tcase_add_test(reports, any_allocation_may_fail);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, reports);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
