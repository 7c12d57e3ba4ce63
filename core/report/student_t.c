/* student_t.c - for whole degrees of freedom the distribution is a finite sum (Abramowitz and
 * Stegun, 26.7.3 and 26.7.4), and the noncentral one a smooth integral. */
#include "report/student_t.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* P(|T| < t) with t = sqrt(df) * tan(angle). */
static double between(int32_t df, double angle)
{
    const int odd = df % 2;
    const double c = cos(angle), square = c * c;
    double term = odd ? c : 1, sum = df == 1 ? 0 : term;
    for (int32_t k = 1; k <= (df - 2 - odd) / 2; k++) {
        term *= square * (2 * k - 1 + odd) / (2 * k + odd);
        sum += term;
    }
    return odd ? 2 / pi * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double wispi_t_two_sided(int32_t df, double t)
{
    if (df < 1 || isnan(t))
        return NAN;
    return fmax(0, 1 - between(df, atan(fabs(t) / sqrt(df))));
}

double wispi_t_critical(int32_t df, double level)
{
    if (df < 1 || !(level > 0 && level < 1))
        return NAN;
    double low = 0, high = pi / 2;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        *(1 - between(df, middle) > level ? &low : &high) = middle;
    }
    return sqrt(df) * tan((low + high) / 2);
}

/* --- the noncentral distribution: a normal over the root of chi square / df --- */

typedef struct noncentral {
    int32_t df;
    double noncentrality, edge; /* of the normal, for each unit of the root of chi square */
    double log_scale;
} noncentral;

static double normal_above(double z)
{
    return 0.5 * erfc(z / sqrt(2));
}

static double integrand(const noncentral *t, double x)
{
    const double power = t->df > 1 ? (t->df - 1) * log(x) : 0;
    const double density = x > 0 || t->df == 1 ? exp(power - x * x / 2 + t->log_scale) : 0;
    return density * (normal_above(t->edge * x - t->noncentrality) +
                      normal_above(t->edge * x + t->noncentrality));
}

double wispi_t_power(int32_t df, double noncentrality, double critical)
{
    enum { PIECES = 2000 }; /* of Simpson's rule; even */
    if (df < 1 || !isfinite(noncentrality) || !(critical > 0) || !isfinite(critical))
        return NAN;
    int sign;
    const noncentral t = {df, fabs(noncentrality), critical / sqrt(df),
                          (1 - df / 2.0) * log(2) - lgamma_r(df / 2.0, &sign)};
    /* Nothing is left above: of chi square, or of the normal. */
    const double top = fmin(sqrt(df) + 9, (t.noncentrality + 9) / t.edge), h = top / PIECES;
    double sum = integrand(&t, 0) + integrand(&t, top);
    for (int i = 1; i < PIECES; i++)
        sum += (i % 2 ? 4 : 2) * integrand(&t, i * h);
    return sum * h / 3;
}
