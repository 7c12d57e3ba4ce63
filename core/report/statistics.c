#include "report/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "report/student_t.h"
#include "wisp/rng.h"

/* The largest difference that rounding to nine digits can make up. */
static double rounding_of(const double *a, const double *b, int32_t n)
{
    double largest = 0;
    for (int32_t i = 0; i < n; i++)
        largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    return 1e-8 * largest;
}

static double difference(const double *a, const double *b, int32_t i, double rounding)
{
    const double d = b[i] - a[i];
    return fabs(d) <= rounding ? 0 : d;
}

/* --- sign flips: were the arms the same, each difference could as well have the other sign --- */

typedef struct flips {
    const double *a, *b;
    int32_t n;
    double rounding, reached; /* |sum| from which on a pattern counts */
} flips;

/* Patterns of the signs from `i` on whose sums are as extreme as the one that was seen. */
static int64_t count_extreme(const flips *f, int32_t i, double sum)
{
    if (i == f->n)
        return fabs(sum) >= f->reached;
    const double d = difference(f->a, f->b, i, f->rounding);
    return count_extreme(f, i + 1, sum + d) + count_extreme(f, i + 1, sum - d);
}

/* By symmetry the first sign may stay. */
static double count_all(const flips *f)
{
    const double first = difference(f->a, f->b, 0, f->rounding);
    return ldexp((double)count_extreme(f, 1, first), 1 - f->n);
}

/* The pattern that was seen counts as a draw, so that p is never too small. */
static double draw_some(const flips *f)
{
    wisp_rng rng = wisp_rng_begin(wisp_rng_stream(0, WISP_STREAM_TASK));
    int64_t extreme = 1;
    for (int64_t draw = 0; draw < WISPI_FLIPS_DRAWN; draw++) {
        double sum = 0;
        uint32_t signs = 0;
        for (int32_t i = 0; i < f->n; i++, signs >>= 1) {
            const double d = difference(f->a, f->b, i, f->rounding);
            if (i % 32 == 0)
                signs = wisp_rng_u32(&rng);
            sum += signs & 1 ? d : -d;
        }
        extreme += fabs(sum) >= f->reached;
    }
    return (double)extreme / (1 + WISPI_FLIPS_DRAWN);
}

static void flip_signs(const double *a, const double *b, int32_t n, double rounding,
                       wispi_paired *out)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += difference(a, b, i, rounding);
    /* Sums that are equal but for rounding are equally extreme. */
    const flips f = {a, b, n, rounding, fabs(sum) - n * rounding};
    const int draws = n > WISPI_FLIPS_COUNTED;
    out->p_flip = draws ? draw_some(&f) : count_all(&f);
    out->p_flip_least = draws ? 1.0 / (1 + WISPI_FLIPS_DRAWN) : ldexp(1, 1 - n);
    out->flip_draws = draws ? WISPI_FLIPS_DRAWN : 0;
}

/* --- the t test --- */

static void sum_up(const double *a, const double *b, int32_t n, double rounding, wispi_paired *out)
{
    double sum = 0, squares = 0, low = INFINITY, high = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        const double d = difference(a, b, i, rounding);
        sum += d;
        low = fmin(low, d);
        high = fmax(high, d);
    }
    out->mean = sum / n;
    for (int32_t i = 0; i < n; i++)
        squares += pow(difference(a, b, i, rounding) - out->mean, 2);
    out->has_spread = high - low > 2 * rounding;
    out->sd = n < 2 ? NAN : out->has_spread ? sqrt(squares / (n - 1)) : 0;
}

void wispi_paired_test(const double *a, const double *b, int32_t n, double confidence,
                       wispi_paired *out)
{
    const double rounding = rounding_of(a, b, n);
    *out = (wispi_paired){.n = n, .low = NAN, .high = NAN, .t = NAN, .p_t = NAN};
    sum_up(a, b, n, rounding, out);
    flip_signs(a, b, n, rounding, out);
    if (!out->has_spread)
        return;
    const double error = out->sd / sqrt(n);
    const double reach = wispi_t_critical(n - 1, 1 - confidence) * error;
    out->low = out->mean - reach;
    out->high = out->mean + reach;
    out->t = out->mean / error;
    out->p_t = wispi_t_two_sided(n - 1, out->t);
}

/* --- what could have been seen --- */

/* Power grows with the noncentrality, which is the true difference in standard errors. */
double wispi_detectable(int32_t n, double sd, double level, double power)
{
    const double critical = wispi_t_critical(n - 1, level);
    if (n < 2 || !(sd > 0) || !isfinite(critical))
        return NAN;
    double low = 0, high = 1;
    while (wispi_t_power(n - 1, high, critical) < power) {
        low = high;
        high *= 2;
        if (high > 1e9)
            return NAN;
    }
    while (high - low > 1e-9 * high) {
        const double middle = (low + high) / 2;
        *(wispi_t_power(n - 1, middle, critical) < power ? &low : &high) = middle;
    }
    return (low + high) / 2 * sd / sqrt(n);
}

/* --- many tests --- */

static int ascending(const void *a, const void *b)
{
    const double x = **(double *const *)a, y = **(double *const *)b;
    return (x > y) - (x < y);
}

wisp_status wispi_holm(double *p, int32_t n, wisp_error *err)
{
    double **order = wispi_alloc_array((size_t)n, sizeof *order), reached = 0;
    if (!order)
        return wisp_fail(err, WISP_E_NOMEM, "no memory to correct %d tests", n);
    for (int32_t i = 0; i < n; i++)
        order[i] = &p[i];
    qsort(order, (size_t)n, sizeof *order, ascending);
    for (int32_t i = 0; i < n; i++) {
        reached = fmax(reached, fmin(1, (n - i) * *order[i]));
        *order[i] = reached;
    }
    wispi_free(order);
    return WISP_OK;
}
