/* distribution.h - goodness-of-fit tests: Kolmogorov-Smirnov against the uniform law and
 * Pearson's chi-square.
 *
 * Draws have fixed keys, so a test passes always or never; one true law in 10,000 would be called
 * wrong. Continuous parameters come as their own distribution function at the drawn value, which is
 * uniform in [0, 1] under the law. */
#ifndef WISP_TESTS_DISTRIBUTION_H
#define WISP_TESTS_DISTRIBUTION_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static inline int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest distance of the distribution functions times the root of n; above 2.2253 with
 * probability 1e-4 (Kolmogorov's law). Sorts `u`. */
static inline double kolmogorov_smirnov(double *u, int64_t n)
{
    double largest = 0;
    qsort(u, (size_t)n, sizeof *u, compare_doubles);
    for (int64_t i = 0; i < n; i++) {
        const double above = (double)(i + 1) / (double)n - u[i],
                     below = u[i] - (double)i / (double)n;
        largest = fmax(largest, fmax(above, below));
    }
    return largest * sqrt((double)n);
}

static inline int fits_uniform(double *u, int64_t n)
{
    return n > 0 && kolmogorov_smirnov(u, n) < 2.2253;
}

/* Chi-square with `cells` - 1 degrees of freedom, as a standard normal (Wilson and Hilferty 1931);
 * 1e6 when a cell of probability 0 was met. */
static inline double chi_square_deviation(const int64_t *counts, const double *p, int cells)
{
    double n = 0, sum = 0, degrees = -1;
    for (int i = 0; i < cells; i++)
        n += (double)counts[i];
    for (int i = 0; i < cells; i++) {
        const double expected = n * p[i], off = (double)counts[i] - expected;
        if (p[i] > 0) {
            sum += off * off / expected;
            degrees++;
        } else if (counts[i] > 0) {
            return 1e6;
        }
    }
    if (degrees < 1)
        return 0;
    const double spread = 2 / (9 * degrees);
    return (cbrt(sum / degrees) - (1 - spread)) / sqrt(spread);
}

static inline int fits_counts(const int64_t *counts, const double *p, int cells)
{
    return chi_square_deviation(counts, p, cells) < 3.719;
}

#endif
