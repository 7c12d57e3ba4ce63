/* test_statistics.c - the tests themselves are tested: against scipy's numbers
 * (tests/golden/make_statistics_golden.py), and by thousands of simulated comparisons, in which no
 * more differences may be seen than promised when there are none, and as many as promised when
 * there are. Draws have fixed keys: a test passes always or never. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/statistics.h"
#include "report/student_t.h"
#include "wisp/rng.h"

enum { MOST_PAIRS = 64, TRIALS = 4000 };

/* --- the numbers of others --- */

static json_t *golden;

static void open_golden(void)
{
    json_error_t why;
    golden = json_load_file("tests/golden/statistics.json", 0, &why);
    ck_assert_msg(golden != NULL, "%s", why.text);
}

static void close_golden(void)
{
    json_decref(golden);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number %s", key);
    return json_number_value(value);
}

static int32_t numbers(const json_t *object, const char *key, double *out)
{
    const json_t *list = json_object_get(object, key);
    ck_assert_int_le(json_array_size(list), MOST_PAIRS);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = json_number_value(json_array_get(list, i));
    return (int32_t)json_array_size(list);
}

static const json_t *group(const char *name, size_t at_least)
{
    const json_t *list = json_object_get(golden, name);
    ck_assert_uint_ge(json_array_size(list), at_least);
    return list;
}

static void close_to(double value, double expected, double relative, const char *what, size_t i)
{
    ck_assert_msg(fabs(value - expected) <= relative * fabs(expected) + 1e-14,
                  "%s of case %zu: %.15g, not %.15g", what, i, value, expected);
}

START_TEST(tails_are_those_of_scipy)
{
    size_t i;
    json_t *x;
    json_array_foreach(group("tails", 40), i, x)
    {
        const int32_t df = (int32_t)number(x, "df");
        const double t = number(x, "t"), p = number(x, "p");
        close_to(wispi_t_two_sided(df, t), p, 1e-12, "p", i);
        close_to(wispi_t_two_sided(df, -t), p, 1e-12, "p", i);
        if (p > 1e-9 && p < 1) /* 15 decimals are exact, and the inverse needs some digits */
            close_to(wispi_t_critical(df, p), t, 1e-6, "t", i);
    }
}
END_TEST

START_TEST(paired_tests_are_those_of_scipy)
{
    size_t i;
    json_t *x;
    json_array_foreach(group("paired", 25), i, x)
    {
        double a[MOST_PAIRS], b[MOST_PAIRS];
        wispi_paired t;
        const int32_t n = numbers(x, "a", a);
        ck_assert_int_eq(numbers(x, "b", b), n);
        wispi_paired_test(a, b, n, 0.95, &t);
        ck_assert_int_eq(t.n, n);
        ck_assert_int_eq(t.has_spread, 1);
        ck_assert_int_eq(t.flip_draws, 0);
        close_to(t.mean, number(x, "mean"), 1e-9, "mean", i);
        close_to(t.sd, number(x, "sd"), 1e-9, "sd", i);
        close_to(t.low, number(x, "low"), 1e-8, "low", i);
        close_to(t.high, number(x, "high"), 1e-8, "high", i);
        close_to(t.t, number(x, "t"), 1e-8, "t", i);
        close_to(t.p_t, number(x, "p_t"), 1e-8, "p_t", i);
        close_to(t.p_flip, number(x, "p_flip"), 1e-12, "p_flip", i);
        ck_assert(t.p_flip_least <= t.p_flip);
    }
}
END_TEST

/* scipy's noncentral t is itself exact to 1e-5 or so: finer steps of the integral change nothing.
 */
START_TEST(power_is_that_of_the_noncentral_t)
{
    size_t i;
    json_t *x;
    json_array_foreach(group("power", 40), i, x)
    {
        const int32_t n = (int32_t)number(x, "n");
        const double critical = wispi_t_critical(n - 1, number(x, "level"));
        close_to(critical, number(x, "critical"), 1e-9, "critical", i);
        close_to(wispi_t_power(n - 1, number(x, "noncentrality"), critical), number(x, "power"),
                 1e-5, "power", i);
    }
}
END_TEST

START_TEST(detectable_effects_are_those_of_the_noncentral_t)
{
    size_t i;
    json_t *x;
    json_array_foreach(group("detectable", 12), i, x)
    {
        const int32_t n = (int32_t)number(x, "n");
        const double level = number(x, "level"), power = number(x, "power");
        close_to(wispi_detectable(n, 1, level, power), number(x, "effect"), 1e-5, "effect", i);
        close_to(wispi_detectable(n, 0.4, level, power), 0.4 * number(x, "effect"), 1e-5, "effect",
                 i);
    }
}
END_TEST

static int32_t whole_pairs(const json_t *pairs, double *a, double *b)
{
    int32_t n = 0;
    size_t k;
    json_t *pair;
    json_array_foreach(pairs, k, pair)
    {
        if (json_is_null(json_object_get(pair, "a")) || json_is_null(json_object_get(pair, "b")))
            continue;
        a[n] = number(pair, "a");
        b[n++] = number(pair, "b");
    }
    return n;
}

/* The page's example was written with scipy, to six digits. */
START_TEST(the_example_of_the_page_is_right)
{
    size_t i;
    json_t *x;
    json_error_t why;
    wisp_error err = {0};
    double p[8], adjusted[8];
    int32_t judged = 0;
    json_t *example = json_load_file("tests/report/comparison_example.json", 0, &why);
    ck_assert_msg(example != NULL, "%s", why.text);
    const json_t *metrics = json_object_get(example, "metrics");
    const double tests = number(json_object_get(example, "family"), "tests");
    ck_assert_uint_eq(json_array_size(metrics), 4);
    json_array_foreach(metrics, i, x)
    {
        double a[MOST_PAIRS], b[MOST_PAIRS];
        const int32_t n = whole_pairs(json_object_get(x, "pairs"), a, b);
        const int is_judged = json_is_string(json_object_get(x, "verdict"));
        wispi_paired t;
        ck_assert_int_eq(n, (int32_t)number(x, "n"));
        wispi_paired_test(a, b, n, 0.95, &t);
        const struct {
            const char *key;
            double value;
        } all[] = {{"mean", t.mean},     {"sd", t.sd},
                   {"low", t.low},       {"high", t.high},
                   {"t", t.t},           {"p_t", t.p_t},
                   {"p_flip", t.p_flip}, {"p_flip_least", t.p_flip_least}};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            close_to(all[k].value, number(x, all[k].key), 1e-5, all[k].key, i);
        if (!is_judged)
            continue;
        close_to(wispi_detectable(n, t.sd, 0.05 / tests, 0.8), number(x, "detectable"), 1e-5,
                 "detectable", i);
        p[judged] = t.p_t;
        adjusted[judged++] = number(x, "p_adjusted");
    }
    ck_assert_double_eq(tests, judged);
    ck_assert_int_eq(wispi_holm(p, judged, &err), WISP_OK);
    for (i = 0; i < (size_t)judged; i++)
        close_to(p[i], adjusted[i], 1e-5, "p_adjusted", i);
    json_decref(example);
}
END_TEST

/* Critical values as every table has them, and the power of ten pairs at one standard deviation. */
START_TEST(values_of_tables)
{
    static const struct {
        int32_t df;
        double level, critical;
    } table[] = {{1, 0.05, 12.706}, {2, 0.05, 4.303},  {4, 0.05, 2.776},  {9, 0.05, 2.262},
                 {4, 0.01, 4.604},  {9, 0.01, 3.250},  {19, 0.05, 2.093}, {30, 0.001, 3.646},
                 {3, 0.1, 2.353},   {120, 0.05, 1.980}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const double critical = wispi_t_critical(table[i].df, table[i].level);
        ck_assert_double_eq_tol(critical, table[i].critical, 0.0006);
        close_to(wispi_t_two_sided(table[i].df, -critical), table[i].level, 1e-10, "p", i);
        close_to(wispi_t_power(table[i].df, 0, critical), table[i].level, 1e-7, "level", i);
    }
    ck_assert_double_eq_tol(wispi_t_power(9, sqrt(10), wispi_t_critical(9, 0.05)), 0.8031, 6e-5);
}
END_TEST

/* What R's p.adjust(p, "holm") gives; ties, and a p that is capped at 1. */
START_TEST(corrections_are_those_of_holm)
{
    static const double p[2][4] = {{0.01, 0.04, 0.03, 0.005}, {0.02, 0.5, 0.02, 0.6}};
    static const double expected[2][4] = {{0.03, 0.06, 0.06, 0.02}, {0.08, 1, 0.08, 1}};
    wisp_error err = {0};
    for (size_t i = 0; i < 2; i++) {
        double adjusted[4];
        memcpy(adjusted, p[i], sizeof adjusted);
        ck_assert_int_eq(wispi_holm(adjusted, 4, &err), WISP_OK);
        for (int k = 0; k < 4; k++)
            close_to(adjusted[k], expected[i][k], 1e-12, "adjusted p", i);
    }
}
END_TEST

/* --- what cannot be tested in the usual way --- */

START_TEST(one_pair_has_a_difference_and_no_more)
{
    const double a = 70, b = 71.5;
    wispi_paired t;
    wispi_paired_test(&a, &b, 1, 0.95, &t);
    ck_assert_double_eq(t.mean, 1.5);
    ck_assert_int_eq(t.has_spread, 0);
    ck_assert(isnan(t.sd) && isnan(t.p_t) && isnan(t.low) && isnan(t.high));
    ck_assert_double_eq(t.p_flip, 1);
    ck_assert(isnan(wispi_detectable(1, 1, 0.05, 0.8)));
}
END_TEST

/* 63.52 - 63.48 and 70.04 - 70.00 are the same difference, though not to the last bit. */
START_TEST(differences_without_spread_have_no_t_test)
{
    const double a[] = {63.48, 70.00, 61.11, 3.33}, b[] = {63.52, 70.04, 61.15, 3.37};
    wispi_paired t;
    wispi_paired_test(a, b, 4, 0.95, &t);
    ck_assert_int_eq(t.has_spread, 0);
    ck_assert(isnan(t.p_t) && isnan(t.low));
    ck_assert_double_eq(t.sd, 0);
    ck_assert_double_eq_tol(t.mean, 0.04, 1e-12);
    ck_assert_double_eq(t.p_flip, 0.125);
    ck_assert_double_eq(t.p_flip_least, 0.125);
    ck_assert(isnan(wispi_detectable(4, t.sd, 0.05, 0.8)));
}
END_TEST

START_TEST(equal_values_differ_nowhere)
{
    const double a[] = {63.48, 70.00, 61.11};
    wispi_paired t;
    wispi_paired_test(a, a, 3, 0.95, &t);
    ck_assert_int_eq(t.has_spread, 0);
    ck_assert_double_eq(t.mean, 0);
    ck_assert_double_eq(t.p_flip, 1);
    ck_assert(isnan(t.p_t));
}
END_TEST

/* Twenty of 25 differences are +1, the others -1: binomial tails say how rare that is. */
START_TEST(many_flips_are_drawn)
{
    double a[25] = {0}, b[25], tail = 0, chance = ldexp(1, -25);
    wispi_paired t;
    for (int i = 0; i < 25; i++)
        b[i] = i % 5 ? 1 : -1;
    wispi_paired_test(a, b, 25, 0.95, &t);
    for (int k = 0; k <= 5; k++) {
        tail += chance;
        chance *= (25.0 - k) / (k + 1);
    }
    ck_assert_int_gt(t.flip_draws, 100000);
    ck_assert_double_eq_tol(t.p_flip, 2 * tail, 4 * sqrt(2 * tail / (double)t.flip_draws));
    ck_assert(t.p_flip >= t.p_flip_least && t.p_flip_least > 0);
    wispi_paired again;
    wispi_paired_test(a, b, 25, 0.95, &again);
    ck_assert_double_eq(again.p_flip, t.p_flip);
}
END_TEST

START_TEST(nonsense_gives_no_number)
{
    ck_assert(isnan(wispi_t_two_sided(0, 1)));
    ck_assert(isnan(wispi_t_two_sided(4, NAN)));
    ck_assert_double_eq_tol(wispi_t_two_sided(4, INFINITY), 0, 1e-15);
    ck_assert(isnan(wispi_t_critical(4, 0)));
    ck_assert(isnan(wispi_t_critical(4, 1)));
    ck_assert(isnan(wispi_t_power(4, INFINITY, 2)));
    ck_assert(isnan(wispi_detectable(5, NAN, 0.05, 0.8)));
    ck_assert(isnan(wispi_detectable(5, 0, 0.05, 0.8)));
}
END_TEST

START_TEST(without_memory_nothing_is_corrected)
{
    double p[] = {0.01, 0.5};
    wisp_error err = {0};
    wispi_fail_allocation(1);
    ck_assert_int_eq(wispi_holm(p, 2, &err), WISP_E_NOMEM);
    ck_assert_double_eq(p[0], 0.01);
}
END_TEST

/* --- simulated comparisons --- */

/* What makes one seed's result differ from another's. */
enum { NORMAL, UNIFORM, SKEWED, COUNTED, N_NOISES };

static double noise(wisp_rng *rng, int kind)
{
    switch (kind) {
    case UNIFORM:
        return wisp_rng_range(rng, -2, 2);
    case SKEWED: /* exponential: one arm's noise is far from symmetric, the difference is not */
        return -log(1 - wisp_rng_uniform(rng));
    case COUNTED: /* of 10,000 test images */
        return round(100 * wisp_rng_normal(rng)) / 100;
    default:
        return wisp_rng_normal(rng);
    }
}

/* Pairs share what their seed gives to both arms, which is larger than what is each arm's own. */
static void simulate(wisp_rng *rng, int kind, int32_t n, double effect, wispi_paired *t)
{
    double a[MOST_PAIRS], b[MOST_PAIRS];
    for (int32_t i = 0; i < n; i++) {
        const double seed = 70 + 3 * wisp_rng_normal(rng);
        a[i] = seed + noise(rng, kind);
        b[i] = seed + noise(rng, kind) + effect;
    }
    wispi_paired_test(a, b, n, 0.95, t);
}

static wisp_rng begin_trials(int test, int kind, int32_t n)
{
    return wisp_rng_begin(wisp_rng_derive(wisp_rng_stream(20, WISP_STREAM_TASK),
                                          (uint64_t)(100 * test + kind), (uint64_t)n));
}

START_TEST(equal_arms_are_told_apart_once_in_twenty)
{
    static const int32_t seeds[] = {3, 5, 10};
    for (int kind = 0; kind < N_NOISES; kind++)
        for (size_t k = 0; k < 3; k++) {
            wisp_rng rng = begin_trials(1, kind, seeds[k]);
            int told = 0, outside = 0;
            for (int i = 0; i < TRIALS; i++) {
                wispi_paired t;
                simulate(&rng, kind, seeds[k], 0, &t);
                told += t.p_t <= 0.05;
                outside += t.low > 0 || t.high < 0;
            }
            const double rate = (double)told / TRIALS;
            ck_assert_msg(rate >= 0.03 && rate <= 0.07, "noise %d, %d seeds: %.4f", kind,
                          (int)seeds[k], rate);
            ck_assert_int_eq(told, outside); /* the interval says the same */
        }
}
END_TEST

/* Its level is exact whatever the noise: with n pairs, p is at most k / 2^(n-1) with just that
 * chance. */
START_TEST(sign_flips_keep_their_level_under_any_noise)
{
    for (int kind = 0; kind < COUNTED; kind++) { /* counted values have ties, which p may exceed */
        wisp_rng rng = begin_trials(2, kind, 8);
        int five = 0, ten = 0;
        for (int i = 0; i < TRIALS; i++) {
            wispi_paired t;
            simulate(&rng, kind, 8, 0, &t);
            five += t.p_flip <= 6 / 128.0;
            ten += t.p_flip <= 13 / 128.0;
        }
        const double spread = 3.5 * sqrt(0.1 / TRIALS);
        ck_assert_double_eq_tol((double)five / TRIALS, 6 / 128.0, spread);
        ck_assert_double_eq_tol((double)ten / TRIALS, 13 / 128.0, spread);
    }
}
END_TEST

START_TEST(five_seeds_cannot_be_significant_by_flips)
{
    wisp_rng rng = begin_trials(3, NORMAL, 5);
    for (int i = 0; i < 200; i++) {
        wispi_paired t;
        simulate(&rng, NORMAL, 5, 100, &t);
        ck_assert_double_eq(t.p_flip, 0.0625);
        ck_assert_double_eq(t.p_flip_least, 0.0625);
    }
}
END_TEST

/* Differences have the standard deviation sqrt(2). */
static double share_seen(int32_t n, double effect, double level, int test)
{
    wisp_rng rng = begin_trials(test, NORMAL, n);
    int seen = 0;
    for (int i = 0; i < TRIALS; i++) {
        wispi_paired t;
        simulate(&rng, NORMAL, n, effect, &t);
        seen += t.p_t <= level;
    }
    return (double)seen / TRIALS;
}

START_TEST(planted_effects_are_seen_as_often_as_theory_says)
{
    static const int32_t seeds[] = {3, 5, 10};
    static const double effects[] = {0.5, 1.5, 3};
    for (size_t k = 0; k < 3; k++) {
        const int32_t n = seeds[k];
        for (int e = 0; e < 3; e++) {
            const double theory =
                wispi_t_power(n - 1, effects[e] / sqrt(2) * sqrt(n), wispi_t_critical(n - 1, 0.05));
            const double spread = 3.5 * sqrt(theory * (1 - theory) / TRIALS) + 1e-9;
            ck_assert_double_eq_tol(share_seen(n, effects[e], 0.05, 10 + e), theory, spread);
        }
    }
}
END_TEST

START_TEST(the_detectable_effect_is_seen_four_times_in_five)
{
    static const int32_t seeds[] = {3, 5, 10};
    for (size_t k = 0; k < 3; k++)
        for (int tests = 1; tests <= 4; tests += 3) {
            const double level = 0.05 / tests;
            const double effect = wispi_detectable(seeds[k], sqrt(2), level, 0.8);
            ck_assert_double_eq_tol(share_seen(seeds[k], effect, level, 20 + tests), 0.8,
                                    3.5 * sqrt(0.16 / TRIALS));
        }
}
END_TEST

/* Of `tests` comparisons the first `real` have an effect; the share of families in which one of
 * the others is called a difference. */
static double family_error(int tests, int real)
{
    wisp_rng rng = begin_trials(30, real, tests);
    wisp_error err = {0};
    int wrong = 0;
    for (int i = 0; i < TRIALS; i++) {
        double p[8];
        int any = 0;
        for (int k = 0; k < tests; k++) {
            wispi_paired t;
            simulate(&rng, NORMAL, 5, k < real ? 4 : 0, &t);
            p[k] = t.p_t;
        }
        ck_assert_int_eq(wispi_holm(p, tests, &err), WISP_OK);
        for (int k = real; k < tests; k++)
            any |= p[k] <= 0.05;
        wrong += any;
    }
    return (double)wrong / TRIALS;
}

START_TEST(a_family_is_wrong_once_in_twenty)
{
    const double alone = family_error(1, 0), four = family_error(4, 0);
    ck_assert(alone >= 0.03 && alone <= 0.07);
    ck_assert(four >= 0.03 && four <= 0.07); /* uncorrected it would be 18 % */
    ck_assert(family_error(4, 2) <= 0.06);
    ck_assert(family_error(8, 0) <= 0.06);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statistics");
    TCase *others = tcase_create("others' numbers");
    tcase_add_checked_fixture(others, open_golden, close_golden);
    tcase_add_test(others, tails_are_those_of_scipy);
    tcase_add_test(others, paired_tests_are_those_of_scipy);
    tcase_add_test(others, power_is_that_of_the_noncentral_t);
    tcase_add_test(others, detectable_effects_are_those_of_the_noncentral_t);
    suite_add_tcase(suite, others);
    TCase *known = tcase_create("known");
    tcase_add_test(known, the_example_of_the_page_is_right);
    tcase_add_test(known, values_of_tables);
    tcase_add_test(known, corrections_are_those_of_holm);
    suite_add_tcase(suite, known);
    TCase *odd = tcase_create("odd");
    tcase_add_test(odd, one_pair_has_a_difference_and_no_more);
    tcase_add_test(odd, differences_without_spread_have_no_t_test);
    tcase_add_test(odd, equal_values_differ_nowhere);
    tcase_add_test(odd, many_flips_are_drawn);
    tcase_add_test(odd, nonsense_gives_no_number);
    tcase_add_test(odd, without_memory_nothing_is_corrected);
    suite_add_tcase(suite, odd);
    TCase *simulated = tcase_create("simulated");
    tcase_set_timeout(simulated, 120);
    tcase_add_test(simulated, equal_arms_are_told_apart_once_in_twenty);
    tcase_add_test(simulated, sign_flips_keep_their_level_under_any_noise);
    tcase_add_test(simulated, five_seeds_cannot_be_significant_by_flips);
    tcase_add_test(simulated, planted_effects_are_seen_as_often_as_theory_says);
    tcase_add_test(simulated, the_detectable_effect_is_seen_four_times_in_five);
    tcase_add_test(simulated, a_family_is_wrong_once_in_twenty);
    suite_add_tcase(suite, simulated);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
