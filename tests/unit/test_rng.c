/* test_rng.c - Philox4x32-10 against published vectors, and the distributions made from it. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wisp/rng.h"

/* The three "philox4x32 10" lines of tests/kat_vectors in the Random123 distribution (D. E. Shaw
 * Research): counter, key, expected output. The last uses the digits of pi. */
START_TEST(published_vectors)
{
    static const struct {
        uint32_t counter[4];
        wisp_rng_key key;
        uint32_t expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {{0xffffffff, 0xffffffff}},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {{0xa4093822, 0x299f31d0}},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int v = 0; v < 3; v++) {
        uint32_t out[4];
        wisp_philox(vectors[v].counter, vectors[v].key, out);
        for (int i = 0; i < 4; i++)
            ck_assert_msg(out[i] == vectors[v].expected[i], "vector %d word %d: %08x, not %08x", v,
                          i, out[i], vectors[v].expected[i]);
    }
}
END_TEST

/* The sequence is the blocks of counters 0, 1, 2 ...; the counter carries into its next word. */
START_TEST(sequence_is_the_blocks_in_order)
{
    wisp_rng_key key = {{0, 0}};
    wisp_rng rng = wisp_rng_begin(key);
    ck_assert_uint_eq(wisp_rng_u32(&rng), 0x6627e8d5);
    for (int i = 1; i < 4; i++)
        wisp_rng_u32(&rng);
    uint32_t one[4] = {1, 0, 0, 0}, out[4];
    wisp_philox(one, key, out);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(wisp_rng_u32(&rng), out[i]);
    rng.counter[0] = UINT32_MAX;
    rng.used = 4;
    wisp_rng_u32(&rng);
    ck_assert_uint_eq(rng.counter[0], 0);
    ck_assert_uint_eq(rng.counter[1], 1);
}
END_TEST

START_TEST(uniform_is_uniform)
{
    enum { N = 1000000, BINS = 100 };
    static int bins[BINS];
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(1, WISP_STREAM_VIEW));
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double u = wisp_rng_uniform(&rng);
        if (!(u >= 0 && u < 1))
            ck_abort_msg("draw %d is %g", i, u);
        sum += u;
        squares += u * u;
        bins[(int)(u * BINS)]++;
    }
    /* Four standard errors: 1/sqrt(12 N) for the mean, sqrt(4/45/N) for the mean square. */
    ck_assert_double_eq_tol(sum / N, 0.5, 4 * sqrt(1.0 / 12 / N));
    ck_assert_double_eq_tol(squares / N, 1.0 / 3, 4 * sqrt(4.0 / 45 / N));
    double chi = 0;
    for (int b = 0; b < BINS; b++)
        chi += pow(bins[b] - (double)N / BINS, 2) / ((double)N / BINS);
    ck_assert_msg(chi > 45 && chi < 175, "chi-square of 99 degrees of freedom is %g", chi);
}
END_TEST

/* Includes sizes where a plain modulo would be visibly biased. */
START_TEST(below_is_unbiased)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 10, 1000003, 0x80000001u, 0xC0000000u, UINT32_MAX};
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(2, WISP_STREAM_ORDER));
    for (int s = 0; s < 9; s++) {
        enum { N = 300000, BINS = 3 };
        uint32_t n = sizes[s];
        double bins[BINS] = {0}, sum = 0;
        for (int i = 0; i < N; i++) {
            uint32_t value = wisp_rng_below(&rng, n);
            if (value >= n)
                ck_abort_msg("%u below %u", value, n);
            bins[(uint64_t)value * BINS / n]++;
            sum += value;
        }
        double mean = (n - 1.0) / 2, spread = sqrt(((double)n * n - 1) / 12);
        ck_assert_msg(fabs(sum / N - mean) <= 4 * spread / sqrt(N), "below %u: mean %g, not %g", n,
                      sum / N, mean);
        for (int b = 0; b < BINS && n >= 1000; b++)
            ck_assert_msg(fabs(bins[b] - N / 3.0) < 4 * sqrt(N * 2.0 / 9),
                          "below %u: third %d has %g", n, b, bins[b]);
    }
}
END_TEST

START_TEST(normal_has_the_right_moments)
{
    enum { N = 400000 };
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(3, WISP_STREAM_INIT));
    double m1 = 0, m2 = 0, m4 = 0, inside = 0;
    for (int i = 0; i < N; i++) {
        double x = wisp_rng_normal(&rng);
        if (!isfinite(x))
            ck_abort_msg("draw %d is %g", i, x);
        m1 += x;
        m2 += x * x;
        m4 += x * x * x * x;
        inside += fabs(x) < 1;
    }
    ck_assert_double_eq_tol(m1 / N, 0, 4 / sqrt(N));
    ck_assert_double_eq_tol(m2 / N, 1, 4 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(m4 / N, 3, 4 * sqrt(96.0 / N));
    ck_assert_double_eq_tol(inside / N, erf(sqrt(0.5)), 4 * sqrt(0.22 / N));
}
END_TEST

START_TEST(streams_and_derived_keys_differ)
{
    enum { N = 2000 };
    static wisp_rng_key keys[3 * N];
    wisp_rng_key root = wisp_rng_stream(0, WISP_STREAM_VIEW);
    for (uint64_t i = 0; i < N; i++) {
        keys[3 * i] = wisp_rng_derive(root, i, 1);
        keys[3 * i + 1] = wisp_rng_derive(root, i << 32, 2);
        keys[3 * i + 2] = wisp_rng_stream(i, WISP_STREAM_INIT);
    }
    for (int i = 0; i < 3 * N; i++)
        for (int j = 0; j < i; j++)
            if (memcmp(&keys[i], &keys[j], sizeof keys[i]) == 0)
                ck_abort_msg("keys %d and %d", i, j);
}
END_TEST

START_TEST(range_stays_inside)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(4, WISP_STREAM_VIEW));
    double low = 1e9, high = -1e9;
    for (int i = 0; i < 100000; i++) {
        double x = wisp_rng_range(&rng, -2.5, 4.0);
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    ck_assert(low >= -2.5 && low < -2.499 && high < 4.0 && high > 3.999);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *tests = tcase_create("rng");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, published_vectors);
    tcase_add_test(tests, sequence_is_the_blocks_in_order);
    tcase_add_test(tests, uniform_is_uniform);
    tcase_add_test(tests, below_is_unbiased);
    tcase_add_test(tests, normal_has_the_right_moments);
    tcase_add_test(tests, streams_and_derived_keys_differ);
    tcase_add_test(tests, range_stays_inside);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
