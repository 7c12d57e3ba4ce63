/* Maps, principal axes and neighbours against scikit-learn's (tests/golden/make_map_golden.py). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "golden_reader.h"
#include "loader/host_table.h"
#include "report/near_images.h"
#include "report/neighbour_map.h"
#include "report/principal_axes.h"

#define GOLDEN "tests/golden/neighbour_map.safetensors"

typedef struct dump {
    golden_file file;
    golden_tensor points;
    int64_t n, dim;
    float *floats;
    wispi_map_request request;
} dump;

static dump open_dump(void)
{
    dump d;
    memset(&d, 0, sizeof d);
    d.file = golden_open(GOLDEN);
    d.points = golden_get(&d.file, "points");
    d.n = d.points.desc.shape[0];
    d.dim = d.points.desc.shape[1];
    d.floats = malloc((size_t)d.points.count * sizeof *d.floats);
    for (int64_t i = 0; i < d.points.count; i++)
        d.floats[i] = (float)d.points.v[i];
    d.request = (wispi_map_request){
        d.points.v, d.n, d.dim, atof(golden_metadata(&d.file, "perplexity")), 1000, NULL};
    return d;
}

static void close_dump(dump *d)
{
    free(d->floats);
    free(d->points.v);
    golden_close(&d->file);
}

static double number(const dump *d, const char *name)
{
    golden_tensor t = golden_get(&d->file, name);
    const double value = t.v[0];
    free(t.v);
    return value;
}

/* Rank of point j among the others by distance from point i, from 1 on. */
static int64_t rank_of(const double *x, int64_t n, int64_t dim, int64_t i, int64_t j)
{
    double *squares = calloc((size_t)n, sizeof *squares);
    int64_t rank = 1;
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < dim; c++)
            squares[k] += pow(x[i * dim + c] - x[k * dim + c], 2);
    for (int64_t k = 0; k < n; k++)
        rank += k != i && k != j && squares[k] < squares[j];
    free(squares);
    return rank;
}

/* Venna and Kaski 2001: how far the map's neighbours are from being neighbours. */
static double trustworthiness(const dump *d, const double *map, int64_t k)
{
    double penalty = 0;
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t j = 0; j < d->n; j++) {
            if (i == j || rank_of(map, d->n, 2, i, j) > k)
                continue;
            const int64_t rank = rank_of(d->points.v, d->n, d->dim, i, j);
            penalty += rank > k ? (double)(rank - k) : 0;
        }
    return 1 - penalty * 2 / (double)(d->n * k * (2 * d->n - 3 * k - 1));
}

static double *start_of(const dump *d)
{
    double variances[2], whole, *map = malloc((size_t)d->n * 2 * sizeof *map);
    ck_assert_int_eq(wispi_principal_axes(d->floats, d->n, d->dim, 2, map, variances, &whole, NULL),
                     WISP_OK);
    return map;
}

/* The same neighbourhoods: scikit-learn's map has the divergence that scikit-learn says. */
START_TEST(divergence_is_scikit_learns)
{
    dump d = open_dump();
    golden_tensor map = golden_get(&d.file, "map");
    double divergence = 0;
    ck_assert_int_eq(wispi_neighbour_map_judge(&d.request, map.v, &divergence, NULL), WISP_OK);
    ck_assert_double_eq_tol(divergence, number(&d, "divergence"), 2e-4);
    free(map.v);
    close_dump(&d);
}
END_TEST

/* No worse than scikit-learn's by what it minimises, and by what it does not know of. */
START_TEST(map_is_as_good_as_scikit_learns)
{
    dump d = open_dump();
    const int64_t k = atol(golden_metadata(&d.file, "neighbours"));
    golden_tensor theirs = golden_get(&d.file, "map");
    ck_assert_double_eq_tol(trustworthiness(&d, theirs.v, k), number(&d, "trustworthiness"), 1e-9);
    double divergence = 0, *map = start_of(&d);
    ck_assert_double_lt(trustworthiness(&d, map, k), number(&d, "trustworthiness") - 0.02);
    ck_assert_int_eq(wispi_neighbour_map(&d.request, map, &divergence, NULL), WISP_OK);
    ck_assert_double_le(divergence, 1.03 * number(&d, "divergence"));
    ck_assert_double_ge(trustworthiness(&d, map, k), number(&d, "trustworthiness") - 0.005);
    free(map);
    free(theirs.v);
    close_dump(&d);
}
END_TEST

START_TEST(threads_change_no_bit)
{
    dump d = open_dump();
    d.request.steps = 300;
    double *alone = start_of(&d), *many = start_of(&d);
    ck_assert_int_eq(wispi_neighbour_map(&d.request, alone, NULL, NULL), WISP_OK);
    wispi_pool *pool = wispi_pool_create(3, NULL);
    wispi_host_set_pool(pool);
    ck_assert_int_eq(wispi_neighbour_map(&d.request, many, NULL, NULL), WISP_OK);
    wispi_host_set_pool(NULL);
    wispi_pool_destroy(pool);
    ck_assert_mem_eq(alone, many, (size_t)d.n * 2 * sizeof *alone);
    free(alone);
    free(many);
    close_dump(&d);
}
END_TEST

START_TEST(odd_points_have_a_map)
{
    double points[40 * 3] = {0}, map[40 * 2] = {0};
    wispi_map_request request = {points, 40, 3, 10, 400, NULL};
    ck_assert_int_eq(wispi_neighbour_map(&request, map, NULL, NULL), WISP_OK); /* all the same */
    for (int i = 0; i < 80; i++)
        ck_assert(isfinite(map[i]));
    for (int i = 0; i < 120; i++)
        points[i] = i % 7 == 0 ? 1e12 : (double)(i % 5);
    for (int i = 0; i < 80; i++)
        map[i] = (double)(i % 11);
    ck_assert_int_eq(wispi_neighbour_map(&request, map, NULL, NULL), WISP_OK);
    for (int i = 0; i < 80; i++)
        ck_assert(isfinite(map[i]));
    request.n = 3;
    ck_assert_int_eq(wispi_neighbour_map(&request, map, NULL, NULL), WISP_E_INVALID);
    const volatile int stop = 1;
    request.n = 40;
    request.stop = &stop;
    ck_assert_int_eq(wispi_neighbour_map(&request, map, NULL, NULL), WISP_E_STOPPED);
}
END_TEST

/* --- principal axes --- */

/* Up to the sign of each axis. */
static void compare_axes(const float *x, int64_t n, int64_t dim, const dump *d, const char *what,
                         const char *variances_name)
{
    enum { AXES = 5 };
    double variances[AXES], whole = 0, *mine = malloc((size_t)n * AXES * sizeof *mine);
    golden_tensor theirs = golden_get(&d->file, what),
                  spread = golden_get(&d->file, variances_name);
    ck_assert_int_eq(wispi_principal_axes(x, n, dim, AXES, mine, variances, &whole, NULL), WISP_OK);
    for (int a = 0; a < AXES; a++) {
        ck_assert_double_eq_tol(variances[a] / spread.v[a], 1, 1e-5);
        const double sign = mine[a] * theirs.v[a] < 0 ? -1 : 1;
        for (int64_t i = 0; i < n; i++)
            ck_assert_double_eq_tol(sign * mine[i * AXES + a], theirs.v[i * AXES + a], 2e-4);
    }
    if (n == d->n)
        ck_assert_double_eq_tol(variances[0] / whole, number(d, "pca_shares"), 1e-6);
    free(mine);
    free(theirs.v);
    free(spread.v);
}

START_TEST(axes_are_scikit_learns)
{
    dump d = open_dump();
    compare_axes(d.floats, d.n, d.dim, &d, "pca", "pca_variances");
    compare_axes(d.floats, 20, d.dim, &d, "few", "few_variances"); /* fewer points than values */
    close_dump(&d);
}
END_TEST

START_TEST(missing_axes_are_zero)
{
    const float points[2][3] = {{1, 2, 3}, {3, 2, 1}};
    double out[2 * 4], variances[4], whole = 0;
    ck_assert_int_eq(wispi_principal_axes(points[0], 2, 3, 4, out, variances, &whole, NULL),
                     WISP_OK);
    ck_assert_double_eq_tol(fabs(out[0]), sqrt(2), 1e-6);
    ck_assert_double_eq_tol(out[0], -out[4], 1e-6);
    ck_assert_double_eq_tol(variances[0], 4, 1e-6);
    ck_assert_double_eq_tol(whole, 4, 1e-6);
    for (int a = 2; a < 4; a++)
        ck_assert_double_eq(out[a], 0);
    ck_assert_int_eq(wispi_principal_axes(points[0], 0, 3, 4, out, variances, &whole, NULL),
                     WISP_E_INVALID);
}
END_TEST

/* --- neighbours --- */

START_TEST(neighbours_are_scikit_learns)
{
    dump d = open_dump();
    golden_tensor cosine = golden_get(&d.file, "near_cosine");
    golden_tensor index = golden_get(&d.file, "near_index");
    for (int64_t i = 0; i < 100; i++) {
        wispi_near_image near[5];
        wispi_near_images(d.floats + (100 + i) * d.dim, d.floats, 100, d.dim, -1, 5, near);
        for (int k = 0; k < 5; k++) {
            ck_assert_int_eq(near[k].index, (int64_t)index.v[i * 5 + k]);
            ck_assert_double_eq_tol(near[k].cosine, cosine.v[i * 5 + k], 1e-6);
        }
    }
    free(cosine.v);
    free(index.v);
    close_dump(&d);
}
END_TEST

START_TEST(few_or_broken_neighbours)
{
    const float query[2] = {1, 0};
    const float bank[4][2] = {{2, 0}, {NAN, 1}, {0, 0}, {1, 1}};
    wispi_near_image near[4];
    wispi_near_images(query, bank[0], 4, 2, 0, 4, near);
    ck_assert_int_eq(near[0].index, 3);
    ck_assert_int_eq(near[1].index, 2); /* of length 0: at right angles to all */
    ck_assert_int_eq(near[2].index, -1);
    wispi_near_images(query, bank[0], 4, 2, -1, 1, near);
    ck_assert_int_eq(near[0].index, 0);
    ck_assert_double_eq_tol(near[0].cosine, 1, 1e-9);
}
END_TEST

/* --- memory --- */

START_TEST(lack_of_memory_is_told)
{
    dump d = open_dump();
    d.request.steps = 5;
    d.request.n = 50;
    d.request.perplexity = 10;
    int failures = 0;
    for (int64_t nth = 0; nth < 60; nth++) {
        double map[100], variances[2], whole = 0;
        memset(map, 0, sizeof map);
        wispi_fail_allocation(nth);
        wisp_status status =
            wispi_principal_axes(d.floats, 50, d.dim, 2, map, variances, &whole, NULL);
        if (status == WISP_OK)
            status = wispi_neighbour_map(&d.request, map, NULL, NULL);
        wispi_fail_allocation(-1);
        ck_assert(status == WISP_OK || status == WISP_E_NOMEM);
        failures += status == WISP_E_NOMEM;
    }
    ck_assert_int_ge(failures, 13);
    ck_assert_int_lt(failures, 60);
    close_dump(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("neighbour_map");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, divergence_is_scikit_learns);
    tcase_add_test(tests, map_is_as_good_as_scikit_learns);
    tcase_add_test(tests, threads_change_no_bit);
    tcase_add_test(tests, odd_points_have_a_map);
    tcase_add_test(tests, axes_are_scikit_learns);
    tcase_add_test(tests, missing_axes_are_zero);
    tcase_add_test(tests, neighbours_are_scikit_learns);
    tcase_add_test(tests, few_or_broken_neighbours);
    tcase_add_test(tests, lack_of_memory_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
