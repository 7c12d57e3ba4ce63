/* statistics.h - what paired numbers show. docs/compare.md explains all of it.
 *
 * The numbers are those of metrics.jsonl, which have nine digits: differences that are smaller
 * than that count as none. All functions are [any]. */
#ifndef WISPI_REPORT_STATISTICS_H
#define WISPI_REPORT_STATISTICS_H

#include <stdint.h>

#include "wisp/status.h"

enum {
    WISPI_FLIPS_COUNTED = 20,   /* up to so many pairs all patterns of signs are counted ... */
    WISPI_FLIPS_DRAWN = 1 << 17 /* ... of more pairs so many patterns are drawn */
};

typedef struct wispi_paired {
    int32_t n;
    int32_t has_spread;  /* 0: all differences are the same, or there is one alone */
    double mean, sd;     /* of the differences b - a; sd NaN: there is one alone */
    double low, high;    /* t interval of the mean; NaN: no spread, as p_t and t */
    double t, p_t;       /* paired t test, two-sided */
    double p_flip;       /* sign-flip test, two-sided */
    double p_flip_least; /* what p_flip would be at the least for so many pairs */
    int64_t flip_draws;  /* 0: all patterns were counted */
} wispi_paired;

/* `confidence` is the interval's, such as 0.95. All values must be finite, n at least 1. Equal
 * values give equal results: what is drawn is drawn from a fixed key. */
void wispi_paired_test(const double *a, const double *b, int32_t n, double confidence,
                       wispi_paired *out);

/* The true difference that n pairs, whose differences are normal with this standard deviation,
 * show at `level` with the probability `power`, by the two-sided t test. NaN: n < 2, or sd is not
 * above 0. */
double wispi_detectable(int32_t n, double sd, double level, double power);

/* Holm's step-down correction, in place: each p becomes the lowest level of all tests together at
 * which it would be rejected. */
wisp_status wispi_holm(double *p, int32_t n, wisp_error *err);

#endif
