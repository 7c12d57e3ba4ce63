/* test_events.c - event files: the check sum against RFC 3720's examples, records against those of
 * TensorBoard's own writer (tests/golden/make_events_golden.py). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/events.h"

/* RFC 3720, B.4. */
START_TEST(check_sums_are_those_of_the_standard)
{
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    ck_assert_uint_eq(wispi_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    ck_assert_uint_eq(wispi_crc32c(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    ck_assert_uint_eq(wispi_crc32c(bytes, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    ck_assert_uint_eq(wispi_crc32c(bytes, 32), 0x113fdb5cu);
}
END_TEST

START_TEST(records_are_those_of_tensorboard)
{
    char long_tag[200], *made = NULL;
    uint8_t *golden = NULL;
    size_t n_made = 0, n_golden = 0;
    wisp_error err = {0};
    memset(long_tag, 't', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = '\0';
    FILE *file = open_memstream(&made, &n_made);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(wispi_events_begin(file, 1234.5), 0);
    ck_assert_int_eq(wispi_events_scalar(file, 1700000000.25, 1, "train/loss", 4.25f), 0);
    ck_assert_int_eq(wispi_events_scalar(file, 1700000001.0, 127, "probe/k_nn_top_1", 0), 0);
    ck_assert_int_eq(wispi_events_scalar(file, 1700000002.0, 128, long_tag, -1e-30f), 0);
    ck_assert_int_eq(
        wispi_events_scalar(file, 1700000003.0, ((int64_t)1 << 40) + 5, "\xc3\xbc", INFINITY), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_msg(wispi_file_read("tests/golden/train/events.tfevents", 1 << 16, &golden, &n_golden,
                                  &err) == WISP_OK,
                  "%s", err.message);
    ck_assert_uint_eq(n_made, n_golden);
    ck_assert_mem_eq(made, golden, n_golden);
    wispi_free(golden);
    free(made);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
    FILE *file = fopen("/dev/full", "w");
    ck_assert_ptr_nonnull(file);
    setvbuf(file, NULL, _IONBF, 0);
    ck_assert_int_ne(wispi_events_begin(file, 0), 0);
    ck_assert_int_ne(wispi_events_scalar(file, 0, 0, "a", 1), 0);
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("events");
    tcase_add_test(tests, check_sums_are_those_of_the_standard);
    tcase_add_test(tests, records_are_those_of_tensorboard);
    tcase_add_test(tests, a_full_disk_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
