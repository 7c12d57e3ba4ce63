/* test_pool.c - parallel loops: every index once, pieces no smaller than the grain, no allocation,
 * calls inside calls, calls from two threads, starting failures. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/pool.h"

enum { MOST = 5000 };

struct visits {
    atomic_int seen[MOST];
    int64_t grain, n;
    atomic_int calls, too_small;
};

static void visit(void *user, int64_t first, int64_t last)
{
    struct visits *visits = user;
    visits->calls++;
    if (last - first < visits->grain && last - first < visits->n)
        visits->too_small++;
    for (int64_t i = first; i < last; i++)
        visits->seen[i]++;
}

static void check_loop(wispi_pool *pool, int64_t n, int64_t grain)
{
    static struct visits visits;
    for (int i = 0; i < MOST; i++)
        visits.seen[i] = 0;
    visits.calls = visits.too_small = 0;
    visits.grain = grain;
    visits.n = n;
    wispi_pool_for(pool, n, grain, visit, &visits);
    for (int64_t i = 0; i < MOST; i++)
        ck_assert_msg(visits.seen[i] == (i < n), "n %d grain %d: index %d seen %d times", (int)n,
                      (int)grain, (int)i, (int)visits.seen[i]);
    ck_assert_int_eq(visits.too_small, 0);
    ck_assert_int_eq(visits.calls > 0, n > 0);
}

START_TEST(every_index_once)
{
    static const int64_t sizes[] = {-3, 0, 1, 2, 7, 64, 101, MOST};
    static const int64_t grains[] = {-1, 0, 1, 3, 50, 10000};
    static const int32_t threads[] = {1, 2, 3, 8};
    for (int t = 0; t < 4; t++) {
        wispi_pool *pool = wispi_pool_create(threads[t], NULL);
        ck_assert_int_eq(wispi_pool_size(pool), threads[t]);
        for (int s = 0; s < 8; s++)
            for (int g = 0; g < 6; g++)
                check_loop(pool, sizes[s], grains[g]);
        wispi_pool_destroy(pool);
    }
    check_loop(NULL, 100, 1);
    ck_assert_int_eq(wispi_pool_size(NULL), 1);
    wispi_pool_destroy(NULL);
}
END_TEST

static void count_range(void *user, int64_t first, int64_t last)
{
    atomic_fetch_add((_Atomic int64_t *)user, last - first);
}

START_TEST(huge_ranges_do_not_overflow)
{
    wispi_pool *pool = wispi_pool_create(3, NULL);
    _Atomic int64_t total = 0;
    wispi_pool_for(pool, INT64_MAX, 1, count_range, &total);
    ck_assert_int_eq(total, INT64_MAX);
    wispi_pool_destroy(pool);
}
END_TEST

/* Many short calls in a row: a worker that wakes late must not touch the next call's work. */
START_TEST(many_calls_allocate_nothing)
{
    wispi_pool *pool = wispi_pool_create(4, NULL);
    int64_t count = wispi_allocation_count();
    for (int call = 0; call < 20000; call++) {
        _Atomic int64_t total = 0;
        int64_t n = 2 + call % 37;
        wispi_pool_for(pool, n, 1, count_range, &total);
        ck_assert_int_eq(total, n);
        if (call % 4000 == 0)
            usleep(3000); /* lets the workers fall asleep */
    }
    ck_assert_int_eq(wispi_allocation_count(), count);
    wispi_pool_destroy(pool);
}
END_TEST

struct outer {
    wispi_pool *pool;
    _Atomic int64_t total;
};

static void call_again(void *user, int64_t first, int64_t last)
{
    struct outer *outer = user;
    for (int64_t i = first; i < last; i++)
        wispi_pool_for(outer->pool, 10, 1, count_range, &outer->total);
}

START_TEST(call_inside_a_call)
{
    struct outer outer = {wispi_pool_create(3, NULL), 0};
    wispi_pool_for(outer.pool, 100, 1, call_again, &outer);
    ck_assert_int_eq(outer.total, 1000);
    wispi_pool_destroy(outer.pool);
}
END_TEST

static void *call_many(void *user)
{
    struct outer *outer = user;
    for (int i = 0; i < 2000; i++)
        wispi_pool_for(outer->pool, 10, 1, count_range, &outer->total);
    return NULL;
}

START_TEST(calls_from_two_threads)
{
    struct outer outer = {wispi_pool_create(3, NULL), 0};
    pthread_t other;
    ck_assert_int_eq(pthread_create(&other, NULL, call_many, &outer), 0);
    call_many(&outer);
    pthread_join(other, NULL);
    ck_assert_int_eq(outer.total, 40000);
    wispi_pool_destroy(outer.pool);
}
END_TEST

static void wait_for_company(void *user, int64_t first, int64_t last)
{
    atomic_int *inside = user;
    (void)first;
    (void)last;
    (*inside)++;
    for (int i = 0; i < 2000 && *inside < 2; i++)
        usleep(1000);
}

/* With two pieces and two threads each piece waits for the other: it ends only when both run. */
START_TEST(threads_really_work)
{
    wispi_pool *pool = wispi_pool_create(2, NULL);
    atomic_int inside = 0;
    wispi_pool_for(pool, 2, 1, wait_for_company, &inside);
    ck_assert_int_eq(inside, 2);
    wispi_pool_destroy(pool);
}
END_TEST

START_TEST(bad_calls_and_no_memory)
{
    wisp_error err = {0};
    ck_assert_ptr_null(wispi_pool_create(-1, &err));
    ck_assert_int_eq(err.code, WISP_E_INVALID);
    ck_assert_ptr_null(wispi_pool_create(100000, &err));
    int64_t blocks = wispi_live_blocks();
    for (int64_t nth = 1; nth <= 2; nth++) {
        wispi_fail_allocation(nth);
        ck_assert_ptr_null(wispi_pool_create(2, &err));
        ck_assert_int_eq(err.code, WISP_E_NOMEM);
        wispi_fail_allocation(-1);
        ck_assert_int_eq(wispi_live_blocks(), blocks);
    }
    wispi_pool *pool = wispi_pool_create(0, &err);
    ck_assert_ptr_nonnull(pool);
    ck_assert_int_ge(wispi_pool_size(pool), 1);
    wispi_pool_destroy(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_index_once);
    tcase_add_test(tests, huge_ranges_do_not_overflow);
    tcase_add_test(tests, many_calls_allocate_nothing);
    tcase_add_test(tests, call_inside_a_call);
    tcase_add_test(tests, calls_from_two_threads);
    tcase_add_test(tests, threads_really_work);
    tcase_add_test(tests, bad_calls_and_no_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
