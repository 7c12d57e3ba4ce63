/* test_arena.c - bump arena: alignment, zeroing after reset, no allocation in steady state. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/memory.h"

static void take_pieces(wispi_arena *arena, int n)
{
    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)(i * 97 % 5000);
        uint8_t *p = wispi_arena_alloc(arena, bytes);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        for (size_t j = 0; j < bytes; j++)
            if (p[j])
                ck_abort_msg("piece %d byte %zu is %d", i, j, p[j]);
        memset(p, i + 1, bytes);
    }
}

START_TEST(pieces_are_zero_and_steady_state_allocates_nothing)
{
    int64_t blocks = wispi_live_blocks();
    wispi_arena *arena = wispi_arena_create(100);
    take_pieces(arena, 200);
    size_t used = wispi_arena_used(arena);
    wispi_arena_reset(arena);
    ck_assert_uint_eq(wispi_arena_used(arena), 0);
    int64_t count = wispi_allocation_count();
    for (int round = 0; round < 3; round++) {
        take_pieces(arena, 200);
        ck_assert_uint_eq(wispi_arena_used(arena), used);
        wispi_arena_reset(arena);
    }
    ck_assert_int_eq(wispi_allocation_count(), count);
    ck_assert_uint_eq(wispi_arena_high_water(arena), used);
    wispi_arena_destroy(arena);
    wispi_arena_destroy(NULL);
    ck_assert_int_eq(wispi_live_blocks(), blocks);
}
END_TEST

START_TEST(pieces_do_not_overlap)
{
    wispi_arena *arena = wispi_arena_create(0);
    uint8_t *pieces[300];
    for (int i = 0; i < 300; i++) {
        pieces[i] = wispi_arena_alloc(arena, (size_t)i);
        memset(pieces[i], i, (size_t)i);
    }
    for (int i = 0; i < 300; i++)
        for (int j = 0; j < i; j++)
            ck_assert_int_eq(pieces[i][j], (uint8_t)i);
    wispi_arena_destroy(arena);
}
END_TEST

START_TEST(texts)
{
    wispi_arena *arena = wispi_arena_create(0);
    ck_assert_str_eq(wispi_arena_text(arena, "abc"), "abc");
    ck_assert_ptr_null(wispi_arena_text(arena, NULL));
    ck_assert_str_eq(wispi_arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    ck_assert_str_eq(wispi_arena_printf(arena, "%s", ""), "");
    wispi_arena_destroy(arena);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
    wispi_arena *arena = wispi_arena_create(0);
    ck_assert_ptr_null(wispi_arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(wispi_arena_alloc(arena, SIZE_MAX / 2));
    ck_assert_ptr_null(wispi_arena_array(arena, SIZE_MAX / 2, 3));
    ck_assert_ptr_nonnull(wispi_arena_alloc(arena, 10));
    wispi_arena_destroy(arena);
}
END_TEST

/* Every allocation fails once; the arena stays usable and leaks nothing. */
START_TEST(survives_any_failing_allocation)
{
    int64_t blocks = wispi_live_blocks();
    int creation_failed = 0, growth_failed = 0;
    for (int64_t nth = 1; nth <= 20; nth++) {
        wispi_fail_allocation(nth);
        wispi_arena *arena = wispi_arena_create(64);
        creation_failed += !arena;
        for (int i = 0; arena && i < 20; i++)
            growth_failed += !wispi_arena_alloc(arena, 3000);
        if (arena)
            wispi_arena_reset(arena);
        wispi_fail_allocation(-1);
        if (arena)
            ck_assert_ptr_nonnull(wispi_arena_alloc(arena, 100000));
        wispi_arena_destroy(arena);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
    }
    ck_assert_int_eq(creation_failed, 3); /* the arena, its first block, the block's memory */
    ck_assert_int_eq(growth_failed, 0);   /* growing makes do with a smaller block */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tests = tcase_create("arena");
    tcase_add_test(tests, pieces_are_zero_and_steady_state_allocates_nothing);
    tcase_add_test(tests, pieces_do_not_overlap);
    tcase_add_test(tests, texts);
    tcase_add_test(tests, absurd_sizes_are_refused);
    tcase_add_test(tests, survives_any_failing_allocation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
