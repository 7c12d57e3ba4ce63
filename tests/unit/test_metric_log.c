/* test_metric_log.c - lines are whole or not there, and a resumed log goes on where its checkpoint
 * says, whatever was written behind it. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/metric_log.h"

static char folder[64];

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/wisp-metrics-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Content of a file of the folder; freed with wispi_free(). */
static char *read_file(const char *name, size_t *n)
{
    char path[256];
    uint8_t *data = NULL;
    wisp_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(wispi_file_read(path, 1 << 20, &data, n, &err) == WISP_OK, "%s", err.message);
    return (char *)data;
}

static wispi_metric_log *open_log(const wispi_metric_log_position *from)
{
    wispi_metric_log *log = NULL;
    wisp_error err = {0};
    ck_assert_msg(wispi_metric_log_open(folder, from, &log, &err) == WISP_OK, "%s", err.message);
    return log;
}

static void add(wispi_metric_log *log, int64_t step)
{
    const wispi_metric_value values[] = {{"loss", 1.5}, {"scale", NAN}, {"tiny", 1e-300}};
    wisp_error err = {0};
    ck_assert_msg(wispi_metric_log_add(log, "train", 2, step, values, 3, "{\"k\": 5}", &err) ==
                      WISP_OK,
                  "%s", err.message);
    ck_assert_int_eq(wispi_metric_log_add_timing(log, 2, step, values, 1, &err), WISP_OK);
}

static void expect(const char *name, const char *want)
{
    size_t n = 0;
    char *text = read_file(name, &n);
    ck_assert_str_eq(text, want);
    wispi_free(text);
}

#define LINE(step)                                                                                 \
    "{\"kind\": \"train\", \"epoch\": 2, \"step\": " #step                                         \
    ", \"loss\": 1.5, \"scale\": null, \"tiny\": 1e-300, \"protocol\": {\"k\": 5}}\n"
#define TIMING(step) "{\"epoch\": 2, \"step\": " #step ", \"loss\": 1.5}\n"

START_TEST(a_resumed_log_goes_on_where_it_was)
{
    wispi_metric_log_position position, later;
    wisp_error err = {0};
    begin();
    wispi_metric_log *log = open_log(NULL);
    add(log, 1);
    ck_assert_int_eq(wispi_metric_log_sync(log, &position, &err), WISP_OK);
    add(log, 2);
    add(log, 3);
    wispi_metric_log_close(log);
    log = open_log(&position);
    expect("metrics.jsonl", LINE(1));
    add(log, 4);
    ck_assert_int_eq(wispi_metric_log_sync(log, &later, &err), WISP_OK);
    wispi_metric_log_close(log);
    expect("metrics.jsonl", LINE(1) LINE(4));
    expect("timing.jsonl", TIMING(1) TIMING(4));
    ck_assert_str_eq(later.events_name, position.events_name);
    ck_assert_int_eq(later.metrics_bytes, sizeof(LINE(1) LINE(4)) - 1);
    size_t n = 0;
    wispi_free(read_file(position.events_name, &n));
    ck_assert_int_eq(later.events_bytes, (int64_t)n);
    log = open_log(NULL);
    wispi_metric_log_close(log);
    expect("metrics.jsonl", "");
    end();
}
END_TEST

/* Nine digits would make equal pixels of unequal ones. */
START_TEST(large_counts_keep_their_digits)
{
    const wispi_metric_value values[] = {
        {"pixels", 1234567891011}, {"few", 999999999}, {"share", 1e9 + 0.5}, {"huge", 1e17}};
    wisp_error err = {0};
    begin();
    wispi_metric_log *log = open_log(NULL);
    ck_assert_int_eq(wispi_metric_log_add(log, "train", 0, 1, values, 4, NULL, &err), WISP_OK);
    wispi_metric_log_close(log);
    expect("metrics.jsonl", "{\"kind\": \"train\", \"epoch\": 0, \"step\": 1, \"pixels\": "
                            "1234567891011, \"few\": 999999999, \"share\": 1e+09, \"huge\": "
                            "1e+17}\n");
    end();
}
END_TEST

START_TEST(a_log_that_is_too_short_is_refused)
{
    wispi_metric_log_position position;
    wispi_metric_log *none = NULL;
    wisp_error err = {0};
    begin();
    wispi_metric_log *log = open_log(NULL);
    add(log, 1);
    ck_assert_int_eq(wispi_metric_log_sync(log, &position, &err), WISP_OK);
    wispi_metric_log_close(log);
    log = open_log(&position);
    add(log, 2); /* must not be cut off when the log is refused */
    wispi_metric_log_close(log);
    position.timing_bytes += 1000;
    ck_assert_int_eq(wispi_metric_log_open(folder, &position, &none, &err), WISP_E_CORRUPT);
    ck_assert_ptr_null(none);
    ck_assert_msg(strstr(err.message, "timing.jsonl is shorter") != NULL, "%s", err.message);
    expect("metrics.jsonl", LINE(1) LINE(2));
    position.timing_bytes -= 1000;
    position.metrics_bytes += 1000;
    ck_assert_int_eq(wispi_metric_log_open(folder, &position, &none, &err), WISP_E_CORRUPT);
    end();
}
END_TEST

/* For every length that the line does not fit into. */
START_TEST(a_line_without_room_is_not_begun)
{
    wisp_error err = {0};
    const wispi_metric_value value = {"loss", 1};
    begin();
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    wispi_metric_log *log = open_log(NULL);
    add(log, 1);
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    for (rlim_t room = 0; room < 50; room++) {
        limit.rlim_cur = sizeof LINE(1) - 1 + room;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_int_eq(wispi_metric_log_add(log, "train", 2, 5, &value, 1, NULL, &err),
                         WISP_E_IO);
        ck_assert_msg(strstr(err.message, "the same command goes on") != NULL, "%s", err.message);
        expect("metrics.jsonl", LINE(1));
    }
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    add(log, 6);
    wispi_metric_log_close(log);
    expect("metrics.jsonl", LINE(1) LINE(6));
    end();
}
END_TEST

START_TEST(without_memory_lines_are_whole)
{
    wisp_error err = {0};
    const wispi_metric_value value = {"loss", 1.5};
    begin();
    for (int64_t nth = 1, done = 0; !done; nth++) {
        wispi_metric_log *log = NULL;
        int64_t live = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status = wispi_metric_log_open(folder, NULL, &log, &err);
        if (status == WISP_OK)
            status = wispi_metric_log_add_timing(log, 2, 7, &value, 1, &err);
        done = status == WISP_OK;
        wispi_fail_allocation(-1);
        ck_assert(done || status == WISP_E_NOMEM);
        wispi_metric_log_close(log);
        ck_assert_int_eq(wispi_live_blocks(), live);
        ck_assert(nth > 1 || !done);
        if (log)
            expect("timing.jsonl", done ? TIMING(7) : "");
    }
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metric_log");
    TCase *tests = tcase_create("metric_log");
    tcase_add_test(tests, a_resumed_log_goes_on_where_it_was);
    tcase_add_test(tests, large_counts_keep_their_digits);
    tcase_add_test(tests, a_log_that_is_too_short_is_refused);
    tcase_add_test(tests, a_line_without_room_is_not_begun);
    tcase_add_test(tests, without_memory_lines_are_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
