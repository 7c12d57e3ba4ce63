/* log_sum_exp.h - the normaliser of softmax and of the cross-entropies. */
#ifndef WISPI_OPS_LOG_SUM_EXP_H
#define WISPI_OPS_LOG_SUM_EXP_H

#include <math.h>
#include <stdint.h>

/* log sum_k exp(x[k] * scale), with the largest exponent taken out so that nothing overflows. */
static inline double wispi_log_sum_exp(const double *x, double scale, int64_t K)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < K; k++)
        max = x[k] * scale > max ? x[k] * scale : max;
    for (int64_t k = 0; k < K; k++)
        sum += exp(x[k] * scale - max);
    return max + log(sum);
}

#endif
