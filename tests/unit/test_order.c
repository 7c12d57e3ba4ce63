/* test_order.c - the order of an epoch: every sample once, another order each epoch, no place
 * preferred. */
#include <check.h>
#include <stdlib.h>

#include "data/feed.h"
#include "wisp/order.h"

/* Each of [0, n) must come exactly once. */
static void check_bijection(uint64_t seed, int64_t epoch, int64_t n)
{
    uint8_t *seen = calloc((size_t)n, 1);
    ck_assert_ptr_nonnull(seen);
    for (int64_t position = 0; position < n; position++) {
        int64_t index = wispi_order_at(seed, epoch, n, position);
        if (index < 0 || index >= n || seen[index])
            ck_abort_msg("n %lld: position %lld gives %lld", (long long)n, (long long)position,
                         (long long)index);
        seen[index] = 1;
    }
    free(seen);
}

START_TEST(every_sample_comes_once)
{
    for (int64_t n = 1; n <= 300; n++)
        for (int64_t epoch = 0; epoch < 3; epoch++)
            check_bijection(7, epoch, n);
    static const int64_t sizes[] = {1023, 1024, 1025, 50000, 65536, 65537, 1000003};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_bijection(12345678901234567u, (int64_t)i, sizes[i]);
}
END_TEST

/* Too large to walk through; samples of the values must lie in the range and differ. */
START_TEST(huge_sets_stay_in_range)
{
    static const int64_t sizes[] = {((int64_t)1 << 32) + 5, ((int64_t)1 << 61) + 1};
    for (int i = 0; i < 2; i++) {
        int64_t former = -1;
        for (int64_t k = 0; k < 1000; k++) {
            int64_t index = wispi_order_at(1, 2, sizes[i], sizes[i] / 1000 * k);
            ck_assert_int_ge(index, 0);
            ck_assert_int_lt(index, sizes[i]);
            ck_assert_int_ne(index, former);
            former = index;
        }
    }
}
END_TEST

static int64_t count_fixed(uint64_t seed_a, int64_t epoch_a, uint64_t seed_b, int64_t epoch_b,
                           int64_t n)
{
    int64_t same = 0;
    for (int64_t position = 0; position < n; position++)
        same += wispi_order_at(seed_a, epoch_a, n, position) ==
                wispi_order_at(seed_b, epoch_b, n, position);
    return same;
}

/* Two independent permutations agree in one place on average; 12 or more has a chance of 1e-9. */
START_TEST(epochs_and_seeds_differ)
{
    ck_assert_int_eq(count_fixed(1, 0, 1, 0, 10000), 10000);
    ck_assert_int_lt(count_fixed(1, 0, 1, 1, 10000), 12);
    ck_assert_int_lt(count_fixed(1, 7, 2, 7, 10000), 12);
    ck_assert_int_lt(count_fixed(1, 0, (uint64_t)1 << 32 | 1, 0, 10000), 12);
}
END_TEST

/* Which sample stands at a position, over many epochs: chi-square against equal shares, at a limit
 * that a fair order exceeds once in a million draws or so (mean n - 1, deviation sqrt(2 n)). */
static void check_uniform(int64_t n, int64_t position)
{
    enum { EPOCHS = 20000, MOST = 101 };
    int64_t counts[MOST] = {0};
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++)
        counts[wispi_order_at(99, epoch, n, position)]++;
    double expected = (double)EPOCHS / (double)n, chi = 0;
    for (int64_t i = 0; i < n; i++) {
        double difference = (double)counts[i] - expected;
        chi += difference * difference / expected;
    }
    double limit = (double)n - 1 + 5.5 * sqrt(2.0 * (double)n) + 12;
    if (chi > limit)
        ck_abort_msg("n %lld, position %lld: chi-square %.1f, limit %.1f", (long long)n,
                     (long long)position, chi, limit);
}

START_TEST(no_position_prefers_a_sample)
{
    static const int64_t sizes[] = {2, 3, 5, 10, 16, 17, 64, 101};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int64_t position = 0; position < sizes[i]; position += 1 + sizes[i] / 7)
            check_uniform(sizes[i], position);
}
END_TEST

/* Neighbours of the file order must not stay neighbours: the rank correlation of a random order of
 * 10,000 has a standard deviation of 0.01. */
START_TEST(order_has_no_trend)
{
    enum { N = 10000 };
    for (int64_t epoch = 0; epoch < 5; epoch++) {
        double sum = 0;
        for (int64_t position = 0; position < N; position++)
            sum += ((double)position - (N - 1) / 2.0) *
                   ((double)wispi_order_at(3, epoch, N, position) - (N - 1) / 2.0);
        double correlation = sum / ((double)N * N * N / 12.0);
        ck_assert_double_lt(fabs(correlation), 0.055);
    }
}
END_TEST

static void check_local(int64_t n, int64_t window)
{
    uint8_t *seen = calloc((size_t)n, 1);
    ck_assert_ptr_nonnull(seen);
    for (int64_t position = 0; position < n; position++) {
        int64_t index = wisp_order_local(wispi_order_key(5, 3), n, window, position);
        int64_t way = index < position ? position - index : index - position;
        if (index < 0 || index >= n || seen[index] || way > window + window / 2)
            ck_abort_msg("n %lld, window %lld: position %lld gives %lld", (long long)n,
                         (long long)window, (long long)position, (long long)index);
        seen[index] = 1;
    }
    free(seen);
}

START_TEST(local_order_stays_near)
{
    static const int64_t windows[] = {2, 3, 10, 64, 1000};
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        for (int64_t n = 1; n <= 80; n++)
            check_local(n, windows[w]);
        check_local(10007, windows[w]);
    }
}
END_TEST

/* A buffer of a window mixes over about a third of it on average, and differently each epoch. */
START_TEST(local_order_mixes)
{
    enum { N = 100000, WINDOW = 1000 };
    double way = 0;
    int64_t same = 0;
    for (int64_t position = 0; position < N; position++) {
        int64_t a = wisp_order_local(wispi_order_key(1, 0), N, WINDOW, position);
        int64_t b = wisp_order_local(wispi_order_key(1, 1), N, WINDOW, position);
        way += fabs((double)(a - position));
        same += a == b;
    }
    ck_assert_double_gt(way / N, 0.3 * WINDOW);
    ck_assert_double_lt(way / N, 0.7 * WINDOW);
    ck_assert_int_lt(same, N / WINDOW * 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order");
    TCase *tests = tcase_create("order");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_sample_comes_once);
    tcase_add_test(tests, local_order_stays_near);
    tcase_add_test(tests, local_order_mixes);
    tcase_add_test(tests, huge_sets_stay_in_range);
    tcase_add_test(tests, epochs_and_seeds_differ);
    tcase_add_test(tests, no_position_prefers_a_sample);
    tcase_add_test(tests, order_has_no_trend);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
