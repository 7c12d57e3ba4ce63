/* test_embedding_statistics.c - the deviation and the effective rank of embeddings against NumPy's
 * singular values, what collapsed ones give, and eigenvalues that are known in closed form. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "train/embedding_statistics.h"
#include "train/symmetric_eigen.h"
#include "wisp/options.h"

enum { MOST = 200 * 64 };

static float x[MOST];

/* As tests/golden/embedding_statistics.py has it. */
static void fill(int32_t rows, int32_t dim, float shift)
{
    for (int32_t i = 0; i < rows; i++)
        for (int32_t d = 0; d < dim; d++)
            x[i * dim + d] = (float)((i * 7919 + d * 104729 + i * d * 31) % 1009) / 1009.0f - shift;
}

static wispi_embedding_statistics statistics_of(int32_t rows, int32_t dim)
{
    wispi_embedding_statistics of = {-1, -1};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_embedding_statistics_of(x, rows, dim, &of, &err), WISP_OK);
    return of;
}

/* Printed by tests/golden/embedding_statistics.py. */
static const struct {
    int32_t rows, dim;
    float shift;
    double std, rank;
} golden[] = {
    {40, 12, 0, 0.509570995, 7.418361995},
    {12, 40, 0, 0.468680611, 8.331894809},
    {40, 12, 0.5f, 0.967713097, 9.412764371},
    {200, 64, 0.5f, 0.992473964, 61.369687918},
};

START_TEST(values_are_those_of_numpy)
{
    fill(golden[_i].rows, golden[_i].dim, golden[_i].shift);
    const wispi_embedding_statistics of = statistics_of(golden[_i].rows, golden[_i].dim);
    ck_assert_double_eq_tol(of.std, golden[_i].std, 1e-7);
    ck_assert_double_eq_tol(of.rank, golden[_i].rank, 1e-6);
}
END_TEST

START_TEST(one_point_has_rank_1_and_no_deviation)
{
    fill(200, 64, 0);
    for (int32_t i = 1; i < 200; i++)
        memcpy(x + i * 64, x, 64 * sizeof *x);
    const wispi_embedding_statistics of = statistics_of(200, 64);
    ck_assert_double_eq_tol(of.rank, 1, 1e-4);
    ck_assert_double_lt(of.std, 1e-4);
}
END_TEST

/* Both ends of a line are two directions, but one dimension. */
START_TEST(a_line_has_rank_1_and_deviation_1)
{
    fill(200, 64, 0);
    for (int32_t i = 1; i < 200; i++)
        for (int32_t d = 0; d < 64; d++)
            x[i * 64 + d] = x[d] * (i % 2 ? -1.0f : 2.0f);
    const wispi_embedding_statistics of = statistics_of(200, 64);
    ck_assert_double_eq_tol(of.rank, 1, 1e-4);
    ck_assert_double_gt(of.std, 0.8);
}
END_TEST

/* Rows along the axes, all of one length: rank n exactly, and a deviation that a pen gives. */
START_TEST(axes_have_full_rank)
{
    memset(x, 0, sizeof x);
    for (int32_t i = 0; i < 64; i++)
        x[i * 64 + i] = 3;
    const wispi_embedding_statistics of = statistics_of(64, 64);
    ck_assert_double_eq_tol(of.rank, 64, 1e-9);
    ck_assert_double_eq_tol(of.std, sqrt(1.0 / 64 - 1.0 / 4096) * 8, 1e-12);
}
END_TEST

START_TEST(a_dead_network_has_rank_0)
{
    memset(x, 0, sizeof x);
    const wispi_embedding_statistics of = statistics_of(20, 64);
    ck_assert(of.rank == 0 && of.std == 0);
}
END_TEST

START_TEST(what_is_not_finite_gives_nan)
{
    const float bad[] = {NAN, INFINITY};
    fill(40, 12, 0);
    x[17] = bad[_i];
    const wispi_embedding_statistics of = statistics_of(40, 12);
    ck_assert(isnan(of.std) && isnan(of.rank));
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    wispi_embedding_statistics of = {-1, -1};
    wisp_error err = {0};
    fill(40, 12, 0);
    for (int64_t nth = 1; nth <= 2; nth++) {
        wispi_fail_allocation(nth);
        ck_assert_int_eq(wispi_embedding_statistics_of(x, 40, 12, &of, &err), WISP_E_NOMEM);
        ck_assert(of.std == -1 && of.rank == -1);
    }
    wispi_fail_allocation(-1);
}
END_TEST

/* 2 on the diagonal, -1 beside it: 2 - 2 cos(k pi / (n + 1)), and a sine as eigenvector. What lies
 * above the diagonal must not matter. */
START_TEST(the_second_difference_has_cosines)
{
    enum { N = 50 };
    static double a[N * N], values[N], vectors[N * N];
    wisp_error err = {0};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i * N + j] = i == j ? 2 : i == j + 1 ? -1 : i < j ? 99 : 0;
    ck_assert_int_eq(wispi_symmetric_eigen(a, N, values, vectors, &err), WISP_OK);
    for (int k = 1; k <= N; k++) {
        const double turn = k * acos(-1.0) / (N + 1), length = sqrt(2.0 / (N + 1));
        const double *v = vectors + (k - 1) * N;
        const double sign = v[0] * sin(turn) > 0 ? 1 : -1;
        double most = -1, least = 1;
        ck_assert_double_eq_tol(values[k - 1], 2 - 2 * cos(turn), 1e-13);
        for (int i = 0; i < N; i++) {
            ck_assert_double_eq_tol(v[i], sign * length * sin((i + 1) * turn), 1e-12);
            most = v[i] > most ? v[i] : most;
            least = v[i] < least ? v[i] : least;
        }
        ck_assert_double_gt(most, -least - 1e-12);
    }
    ck_assert_int_eq(wispi_symmetric_eigen(a, N, values, NULL, &err), WISP_OK);
    ck_assert_double_eq_tol(values[0], 2 - 2 * cos(acos(-1.0) / (N + 1)), 1e-13);
}
END_TEST

START_TEST(a_matrix_that_is_not_finite_is_refused)
{
    const double a[4] = {1, 0, NAN, 1};
    double values[2] = {7, 7};
    wisp_error err = {0};
    ck_assert_int_eq(wispi_symmetric_eigen(a, 2, values, NULL, &err), WISP_E_NONFINITE);
    ck_assert_int_eq(wispi_symmetric_eigen(a, 0, values, NULL, &err), WISP_E_INVALID);
    ck_assert(values[0] == 7 && values[1] == 7);
}
END_TEST

START_TEST(products_are_of_columns_or_of_rows)
{
    const float m[6] = {1, 2, 3, 4, 5, 6};
    const double of_columns[9] = {17, 22, 27, 22, 29, 36, 27, 36, 45};
    const double of_rows[4] = {14, 32, 32, 77};
    double g[9];
    wisp_error err = {0};
    ck_assert_int_eq(wispi_gram_matrix(m, 2, 3, 0, g, &err), WISP_OK);
    ck_assert_int_eq(memcmp(g, of_columns, sizeof of_columns), 0);
    ck_assert_int_eq(wispi_gram_matrix(m, 2, 3, 1, g, &err), WISP_OK);
    ck_assert_int_eq(memcmp(g, of_rows, sizeof of_rows), 0);
    ck_assert_int_eq(wispi_gram_matrix(m, 0, 3, 1, g, &err), WISP_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embedding_statistics");
    TCase *tests = tcase_create("all");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, values_are_those_of_numpy, 0, (int)WISP_COUNT(golden));
    tcase_add_test(tests, one_point_has_rank_1_and_no_deviation);
    tcase_add_test(tests, a_line_has_rank_1_and_deviation_1);
    tcase_add_test(tests, axes_have_full_rank);
    tcase_add_test(tests, a_dead_network_has_rank_0);
    tcase_add_loop_test(tests, what_is_not_finite_gives_nan, 0, 2);
    tcase_add_test(tests, no_memory_is_an_error);
    tcase_add_test(tests, the_second_difference_has_cosines);
    tcase_add_test(tests, a_matrix_that_is_not_finite_is_refused);
    tcase_add_test(tests, products_are_of_columns_or_of_rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
