/* The cpu backend's own exp, log, tanh, logistic and normal functions against the C library in
 * double, over the range of float; and its bf16 rounding against rounding done the long way. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "../../plugins/backends/cpu/vector/cpu_elementary.h"

/* |a - exact| in units of the last place of a float of exact's size. */
static double ulp_error(float a, double exact)
{
    if (fabs(exact) > 3.4028235e38)
        return isinf(a) && (a > 0) == (exact > 0) ? 0 : INFINITY;
    if (!isfinite(a))
        return INFINITY;
    const float size = (float)fabs(exact);
    const double unit = size < 1.17549435e-38f ? 1.401298464e-45
                                               : (double)nextafterf(size, INFINITY) - (double)size;
    return fabs((double)a - exact) / unit;
}

typedef struct worst {
    double error;
    float at;
} worst;

static void note(worst *w, float x, float a, double exact)
{
    const double error = ulp_error(a, exact);
    if (!(error <= w->error)) {
        w->error = error;
        w->at = x;
    }
}

#define CHECK_WORST(w, limit)                                                                      \
    ck_assert_msg((w).error <= (limit), "%g ulp at %a, allowed %g", (w).error, (double)(w).at,     \
                  (double)(limit))

/* Every 997th float, of both signs. */
#define FOR_FLOATS(x)                                                                              \
    for (uint32_t bits = 0; bits < 0xff800000u; bits += 997)                                       \
        for (float x = cpu_float_of_bits(bits), once = 1; once > 0 && isfinite(x); once = 0)

START_TEST(exp_is_within_two_ulp)
{
    worst whole = {0, 0}, low = {0, 0};
    FOR_FLOATS(x)
    {
        note(&whole, x, cpu_exp(x), exp((double)x));
        if (x <= 88.0f && x >= -87.3f)
            note(&low, x, cpu_exp_low(x), exp((double)x));
    }
    CHECK_WORST(whole, 2);
    CHECK_WORST(low, 2);
    ck_assert_float_eq(cpu_exp(INFINITY), INFINITY);
    ck_assert_float_eq(cpu_exp(-INFINITY), 0.0f);
    ck_assert_float_eq(cpu_exp_low(-INFINITY), 0.0f);
    ck_assert_float_eq(cpu_exp(0.0f), 1.0f);
    ck_assert_float_nan(cpu_exp(NAN));
    ck_assert_float_nan(cpu_exp_low(NAN));
}
END_TEST

START_TEST(log_is_within_two_ulp)
{
    worst w = {0, 0};
    FOR_FLOATS(x)
    {
        if (x > 0)
            note(&w, x, cpu_log(x), log((double)x));
    }
    CHECK_WORST(w, 2);
    ck_assert_float_eq(cpu_log(0.0f), -INFINITY);
    ck_assert_float_eq(cpu_log(INFINITY), INFINITY);
    ck_assert_float_nan(cpu_log(-1.0f));
    ck_assert_float_nan(cpu_log(NAN));
}
END_TEST

START_TEST(tanh_and_sigmoid_are_within_three_ulp)
{
    worst t = {0, 0}, s = {0, 0};
    FOR_FLOATS(x)
    {
        note(&t, x, cpu_tanh(x), tanh((double)x));
        if (x > -87.0f)
            note(&s, x, cpu_sigmoid(x), 1 / (1 + exp(-(double)x)));
    }
    CHECK_WORST(t, 3);
    CHECK_WORST(s, 3);
    ck_assert_float_eq(cpu_tanh(-INFINITY), -1.0f);
    ck_assert_float_nan(cpu_tanh(NAN));
    ck_assert_float_nan(cpu_sigmoid(NAN));
}
END_TEST

/* The relative error of the tail grows with the rounding of x * x; it is far below the ulp of
 * what gelu adds it to. */
START_TEST(normal_distribution_is_close)
{
    double worst_middle = 0, worst_tail = 0, worst_density = 0;
    for (double v = -12.5; v < 12.5; v += 1.0 / 4096) {
        const float x = (float)v;
        float density;
        const double got = (double)cpu_normal(x, &density);
        const double exact = 0.5 * erfc(-(double)x / sqrt(2.0));
        const double bell = exp(-0.5 * (double)x * (double)x) * 0.39894228040143267794;
        worst_middle = fmax(worst_middle, fabs(got - exact));
        worst_tail = fmax(worst_tail, fabs(got - exact) / exact);
        worst_density = fmax(worst_density, fabs((double)density - bell) / bell);
    }
    ck_assert_double_lt(worst_middle, 2.4e-7); /* two ulp at 1 */
    ck_assert_double_lt(worst_tail, 1e-5);
    ck_assert_double_lt(worst_density, 1e-5);
}
END_TEST

/* The nearest bf16 by search among the two neighbours. */
static uint16_t nearest_bf16(float f)
{
    const uint16_t below = (uint16_t)(cpu_bits_of_float(f) >> 16);
    if (isinf(f))
        return below;
    const double low = (double)cpu_from_bf16(below);
    const uint16_t above = (uint16_t)(below + 1);
    double high = (double)cpu_from_bf16(above);
    if (isinf(high)) /* what would come after the largest finite number */
        high = high > 0 ? ldexp(1.0, 128) : -ldexp(1.0, 128);
    const double to_low = fabs((double)f - low), to_high = fabs(high - (double)f);
    if (to_low != to_high)
        return to_low < to_high ? below : above;
    return below & 1 ? above : below;
}

START_TEST(bf16_rounds_to_nearest_even)
{
    int64_t n_wrong = 0;
    float wrong = 0;
    FOR_FLOATS(x)
    {
        if (cpu_to_bf16(x) != nearest_bf16(x)) {
            n_wrong++;
            wrong = x;
        }
    }
    for (uint32_t i = 0; i < 0xff80u; i++) { /* ties */
        const float x = cpu_float_of_bits(i << 16 | 0x8000u);
        if (isfinite(x) && cpu_to_bf16(x) != nearest_bf16(x)) {
            n_wrong++;
            wrong = x;
        }
    }
    ck_assert_msg(n_wrong == 0, "%lld values, such as %a", (long long)n_wrong, (double)wrong);
    ck_assert_uint_eq(cpu_to_bf16(INFINITY), 0x7f80u);
    ck_assert_uint_eq(cpu_to_bf16(-INFINITY), 0xff80u);
    ck_assert_float_nan(cpu_from_bf16(cpu_to_bf16(NAN)));
    ck_assert_float_nan(cpu_from_bf16(cpu_to_bf16(-NAN)));
    ck_assert_float_nan(cpu_from_bf16(cpu_to_bf16(cpu_float_of_bits(0x7fffffffu))));
    ck_assert_float_nan(cpu_from_bf16(cpu_to_bf16(cpu_float_of_bits(0xffffffffu))));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_elementary");
    TCase *c = tcase_create("functions");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, exp_is_within_two_ulp);
    tcase_add_test(c, log_is_within_two_ulp);
    tcase_add_test(c, tanh_and_sigmoid_are_within_three_ulp);
    tcase_add_test(c, normal_distribution_is_close);
    tcase_add_test(c, bf16_rounds_to_nearest_even);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
