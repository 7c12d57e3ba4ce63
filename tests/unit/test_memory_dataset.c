/* test_memory_dataset.c - what is kept in memory is what the data set gave. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/memory_dataset.h"

enum { COUNT = 20, BAD = 7 };

static size_t bytes_of(int64_t index)
{
    return (size_t)(10 + index * 3);
}

static int64_t data_count(const void *self)
{
    (void)self;
    return COUNT;
}

static int32_t data_classes(const void *self)
{
    (void)self;
    return 3;
}

static int32_t data_label(const void *self, int64_t index)
{
    (void)self;
    return (int32_t)(index % 3);
}

static wisp_status data_read(const void *self, int64_t index, wisp_sample_sink *sink,
                             wisp_sample *sample, wisp_error *err)
{
    (void)self;
    if (index == BAD)
        return wisp_fail(err, WISP_E_DATA, "rotten");
    uint8_t *data = sink->reserve(sink, bytes_of(index));
    if (!data)
        return wisp_fail(err, WISP_E_NOMEM, "no memory");
    for (size_t i = 0; i < bytes_of(index); i++)
        data[i] = (uint8_t)((size_t)index + i);
    *sample = (wisp_sample){.form = WISP_SAMPLE_ENCODED, .data = data, .bytes = bytes_of(index)};
    return WISP_OK;
}

static void data_name(const void *self, int64_t index, char *text, size_t bytes)
{
    (void)self;
    snprintf(text, bytes, "%d", (int)index);
}

static const wisp_dataset_v0 table = {.struct_size = sizeof table,
                                      .count = data_count,
                                      .n_classes = data_classes,
                                      .label = data_label,
                                      .read = data_read,
                                      .sample_name = data_name};

static uint8_t room[256];

static uint8_t *reserve(wisp_sample_sink *sink, size_t bytes)
{
    (void)sink;
    return bytes <= sizeof room ? room : NULL;
}

static wisp_sample_sink sink = {.struct_size = sizeof sink, .reserve = reserve};

static void compare(const wispi_memory_dataset *kept, int64_t n)
{
    const wisp_dataset_v0 *d = wispi_memory_dataset_table(kept);
    ck_assert_int_eq(d->count(kept), n);
    ck_assert_int_eq(d->n_classes(kept), 3);
    for (int64_t i = 0; i < n; i++) {
        wisp_sample sample;
        wisp_error err = {0};
        char name[8] = "";
        memset(&sample, 0, sizeof sample);
        wisp_status status = d->read(kept, i, &sink, &sample, &err);
        d->sample_name(kept, i, name, sizeof name);
        ck_assert_int_eq(atoi(name), i);
        ck_assert_int_eq(d->label(kept, i), i % 3);
        ck_assert_int_eq(status, i == BAD ? WISP_E_DATA : WISP_OK);
        if (status != WISP_OK)
            continue;
        ck_assert_uint_eq(sample.bytes, bytes_of(i));
        ck_assert_ptr_eq(sample.data, room);
        for (size_t k = 0; k < sample.bytes; k++)
            ck_assert_uint_eq(room[k], (uint8_t)((size_t)i + k));
    }
}

START_TEST(all_is_kept)
{
    wispi_memory_dataset *kept = NULL;
    wisp_error err = {0};
    ck_assert_int_eq(wispi_memory_dataset_create(&table, NULL, 1 << 20, &kept, &err), WISP_OK);
    compare(kept, COUNT);
    wispi_memory_dataset_destroy(kept);
}
END_TEST

START_TEST(the_limit_holds)
{
    const size_t three = bytes_of(0) + bytes_of(1) + bytes_of(2);
    wispi_memory_dataset *kept = NULL;
    wisp_error err = {0};
    for (size_t more = 0; more <= bytes_of(3); more += bytes_of(3)) {
        ck_assert_int_eq(wispi_memory_dataset_create(&table, NULL, three + more, &kept, &err),
                         WISP_OK);
        compare(kept, more ? 4 : 3);
        ck_assert_uint_eq(wispi_memory_dataset_bytes(kept), three + more);
        wispi_memory_dataset_destroy(kept);
    }
}
END_TEST

START_TEST(survives_any_failing_allocation)
{
    for (int64_t nth = 1;; nth++) {
        wispi_memory_dataset *kept = NULL;
        wisp_error err = {0};
        const int64_t before = wispi_live_blocks();
        wispi_fail_allocation(nth);
        wisp_status status = wispi_memory_dataset_create(&table, NULL, 1 << 20, &kept, &err);
        wispi_fail_allocation(-1);
        wispi_memory_dataset_destroy(kept);
        ck_assert_int_eq(wispi_live_blocks(), before);
        if (status == WISP_OK) {
            ck_assert_int_gt(nth, COUNT);
            break;
        }
        ck_assert_int_eq(status, WISP_E_NOMEM);
        ck_assert_ptr_null(kept);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_dataset");
    TCase *tests = tcase_create("kept");
    tcase_add_test(tests, all_is_kept);
    tcase_add_test(tests, the_limit_holds);
    tcase_add_test(tests, survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
