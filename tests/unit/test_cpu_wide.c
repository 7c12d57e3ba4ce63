/* The cpu backend's powers of two, GELU and its slope of sixteen values at a time, against the C
 * library in double: where AVX-512 is. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "../../plugins/backends/cpu/cpu_wide.h"

#ifdef CPU_WIDE_INLINE

#define WIDE_TARGET __attribute__((target("avx512f,avx512dq,fma")))

typedef struct results {
    double power, gelu, slope;
} results;

WIDE_TARGET static results approximate(float x, int rough)
{
    const __m512 v = _mm512_set1_ps(x);
    const results r = {
        (double)_mm512_cvtss_f32(rough ? cpu_wide_exp2(v, 1) : cpu_wide_exp2(v, 0)),
        (double)_mm512_cvtss_f32(rough ? cpu_wide_gelu(v, 1) : cpu_wide_gelu(v, 0)),
        (double)_mm512_cvtss_f32(rough ? cpu_wide_gelu_slope(v, 1) : cpu_wide_gelu_slope(v, 0))};
    return r;
}

static results exact(double x)
{
    const double below = 0.5 * erfc(-x / sqrt(2)), density = exp(-x * x / 2) / sqrt(2 * M_PI);
    const results r = {exp2(x), x * below, below + x * density};
    return r;
}

static int is_missing(void)
{
    return !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("fma");
}

/* Relative to a power; to GELU as well, down to where it is nothing; slopes pass through 0. The
 * rounding of x^2 counts by its size in exp(-x^2 / 2). */
static void compare(int rough, double relative, double nothing)
{
    for (double at = -126; at <= 126; at += 0.00937) {
        const float x = (float)at;
        const results a = approximate(x, rough), b = exact((double)x);
        ck_assert_msg(fabs(a.power - b.power) <= relative * b.power, "2^%g is %g", at, a.power);
        const double far = relative * (1 + at * at / 8);
        ck_assert_msg(fabs(a.gelu - b.gelu) <= far * fabs(b.gelu) + nothing, "%g: %g not %g", at,
                      a.gelu, b.gelu);
        ck_assert_msg(fabs(a.slope - b.slope) <= far * (fabs(b.slope) + 0.1) + nothing,
                      "slope at %g: %g not %g", at, a.slope, b.slope);
    }
}

START_TEST(exact_values_are_within_f32)
{
    if (!is_missing())
        compare(0, 1e-6, 1e-30);
}
END_TEST

START_TEST(rough_values_are_within_bf16)
{
    if (!is_missing())
        compare(1, 3e-4, 1e-6);
}
END_TEST

START_TEST(extremes_stay)
{
    for (int rough = 0; rough < 2 && !is_missing(); rough++) {
        const results none = approximate(NAN, rough), high = approximate(INFINITY, rough);
        ck_assert_double_nan(none.power);
        ck_assert_double_nan(none.gelu);
        ck_assert_double_nan(none.slope);
        ck_assert_double_infinite(high.power);
        ck_assert_double_infinite(high.gelu);
        ck_assert_double_eq(approximate(-INFINITY, rough).power, 0);
        ck_assert_double_eq(approximate(0, rough).gelu, 0);
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, exact_values_are_within_f32);
    tcase_add_test(tests, rough_values_are_within_bf16);
    tcase_add_test(tests, extremes_stay);
}

#else

static void add_tests(TCase *tests)
{
    (void)tests;
}

#endif

int main(void)
{
    Suite *suite = suite_create("cpu_wide");
    TCase *tests = tcase_create("values");
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
