/* test_memory.c - blocks: alignment, zeroing, accounting, rehearsed failure; growable texts. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static int all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

START_TEST(blocks_are_aligned_and_zero)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (1 << 20) - 1, 1 << 20, 3000001};
    int64_t blocks = wispi_live_blocks(), bytes = wispi_live_bytes();
    for (int round = 0; round < 2; round++) { /* the second round gets used memory back */
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint8_t *p = wispi_alloc(sizes[i]);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq((uintptr_t)p % 64, 0);
            ck_assert_msg(all_zero(p, sizes[i]), "%zu bytes not zero", sizes[i]);
            memset(p, 0xAB, sizes[i]);
            ck_assert_int_eq(wispi_live_bytes() - bytes, (int64_t)sizes[i]);
            wispi_free(p);
        }
    }
    ck_assert_int_eq(wispi_live_blocks(), blocks);
    ck_assert_int_eq(wispi_live_bytes(), bytes);
    wispi_free(NULL);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
    ck_assert_ptr_null(wispi_alloc(SIZE_MAX));
    ck_assert_ptr_null(wispi_alloc(SIZE_MAX - 64));
    ck_assert_ptr_null(wispi_alloc_array(SIZE_MAX / 4, 8));
    ck_assert_ptr_null(wispi_alloc_array(8, SIZE_MAX / 4));
    void *p = wispi_alloc_array(0, 8);
    ck_assert_ptr_nonnull(p);
    wispi_free(p);
}
END_TEST

START_TEST(nth_allocation_fails_once)
{
    for (int64_t nth = 1; nth <= 4; nth++) {
        wispi_fail_allocation(nth);
        for (int64_t i = 1; i <= 6; i++) {
            void *p = wispi_alloc(8);
            ck_assert_msg((p == NULL) == (i == nth), "allocation %d with failure %d", (int)i,
                          (int)nth);
            wispi_free(p);
        }
    }
    int64_t count = wispi_allocation_count();
    wispi_fail_allocation(1);
    wispi_fail_allocation(-1);
    void *p = wispi_alloc(8);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(wispi_allocation_count(), count + 1);
    wispi_free(p);
}
END_TEST

START_TEST(peak_is_the_most_at_once)
{
    wispi_reset_peak();
    int64_t before = wispi_live_bytes();
    void *a = wispi_alloc(1000), *b = wispi_alloc(500);
    wispi_free(a);
    void *c = wispi_alloc(300);
    ck_assert_int_eq(wispi_peak_bytes() - before, 1500);
    wispi_free(b);
    wispi_free(c);
    wispi_reset_peak();
    ck_assert_int_eq(wispi_peak_bytes(), before);
}
END_TEST

START_TEST(grow_keeps_content_or_the_old_block)
{
    char *p = wispi_copy_text("abc");
    ck_assert_str_eq(p, "abc");
    wispi_fail_allocation(1);
    ck_assert_ptr_null(wispi_grow(p, 4, 100));
    ck_assert_str_eq(p, "abc");
    char *q = wispi_grow(p, 4, 100);
    ck_assert_str_eq(q, "abc");
    ck_assert(all_zero((uint8_t *)q + 4, 96));
    q = wispi_grow(q, 100, 2);
    ck_assert_int_eq(q[1], 'b');
    wispi_free(q);
    ck_assert_ptr_null(wispi_copy_text(NULL));
}
END_TEST

START_TEST(text_grows_and_remembers_failure)
{
    wispi_text text = {0};
    char expected[4000] = "";
    for (int i = 0; i < 500; i++) {
        wispi_text_printf(&text, "%d,", i);
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%d,", i);
    }
    ck_assert_int_eq(text.failed, 0);
    ck_assert_str_eq(text.data, expected);
    ck_assert_uint_eq(text.length, strlen(expected));
    wispi_text_truncate(&text, 2);
    wispi_text_append(&text, "x");
    ck_assert_str_eq(text.data, "0,x");
    wispi_text_truncate(&text, 50); /* longer than there is: nothing happens */
    ck_assert_uint_eq(text.length, 3);
    wispi_fail_allocation(1);
    wispi_text_append(&text, expected);
    ck_assert_int_eq(text.failed, 0); /* it still fits */
    wispi_text_printf(&text, "%s%s%s%s", expected, expected, expected, expected);
    ck_assert_int_eq(text.failed, 1);
    size_t length = text.length;
    wispi_text_append(&text, "never");
    ck_assert_uint_eq(text.length, length);
    wispi_fail_allocation(-1);
    wispi_text_free(&text);
    ck_assert_ptr_null(text.data);
    wispi_text_append(&text, "");
    ck_assert_str_eq(text.data, "");
    wispi_text_free(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_add_test(tests, blocks_are_aligned_and_zero);
    tcase_add_test(tests, absurd_sizes_are_refused);
    tcase_add_test(tests, nth_allocation_fails_once);
    tcase_add_test(tests, peak_is_the_most_at_once);
    tcase_add_test(tests, grow_keeps_content_or_the_old_block);
    tcase_add_test(tests, text_grows_and_remembers_failure);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
