/* attention_rows.h - the loops of scaled dot-product attention, for queries, keys and values that
 * lie in tensors of their own (attention.c) or side by side in one (self_attention.c).
 *
 *   s[i,j] = scale * q[i] . k[j],   p[i,j] = exp(s[i,j] - lse[i]),   y[i] = sum over j of p[i,j]
 * v[j]
 *
 * for each sample and head, lse[i] being the log of the sum of exp(s[i,j]) over j. Head h has the
 * channels [h*width, (h+1)*width). */
#ifndef WISPI_OPS_ATTENTION_ROWS_H
#define WISPI_OPS_ATTENTION_ROWS_H

#include <math.h>

#include "ops/rule.h"

typedef struct wispi_attention {
    int64_t batch, n_queries, n_keys, heads, width;
    int64_t stride; /* from one token of q, k or v to the next */
    double scale;
    double *q, *k, *v;
} wispi_attention;

static inline wisp_status wispi_attention_heads(const wispi_rule *rule,
                                                const wisp_attention_attrs *attrs, int64_t channels)
{
    if (attrs->heads < 1 || channels % attrs->heads)
        return wispi_rule_fail(rule, WISP_E_SHAPE, "%lld channels do not divide into %d heads",
                               (long long)channels, attrs->heads);
    if (!isfinite(attrs->scale))
        return wispi_rule_fail(rule, WISP_E_INVALID, "scale is not a finite number");
    return WISP_OK;
}

static inline double wispi_dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Row of token t, head h in q, k or v. */
static inline double *wispi_head_row(const wispi_attention *a, double *x, int64_t tokens, int64_t b,
                                     int64_t t, int64_t h)
{
    return x + (b * tokens + t) * a->stride + h * a->width;
}

static inline double wispi_score(const wispi_attention *a, int64_t b, int64_t h, int64_t i,
                                 int64_t j)
{
    return a->scale * wispi_dot(wispi_head_row(a, a->q, a->n_queries, b, i, h),
                                wispi_head_row(a, a->k, a->n_keys, b, j, h), a->width);
}

static inline double wispi_log_sum_exp(const wispi_attention *a, int64_t b, int64_t h, int64_t i)
{
    double largest = wispi_score(a, b, h, i, 0), sum = 0;
    for (int64_t j = 1; j < a->n_keys; j++)
        largest = fmax(largest, wispi_score(a, b, h, i, j));
    for (int64_t j = 0; j < a->n_keys; j++)
        sum += exp(wispi_score(a, b, h, i, j) - largest);
    return largest + log(sum);
}

/* -> y (B,Tq,C), zero before; lse (B,heads,Tq) */
static inline void wispi_attend(const wispi_attention *a, double *y, double *lse)
{
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < a->n_queries; i++) {
                double *row = y + ((b * a->n_queries + i) * a->heads + h) * a->width;
                const double log_sum = wispi_log_sum_exp(a, b, h, i);
                for (int64_t j = 0; j < a->n_keys; j++) {
                    const double p = exp(wispi_score(a, b, h, i, j) - log_sum);
                    const double *v = wispi_head_row(a, a->v, a->n_keys, b, j, h);
                    for (int64_t c = 0; c < a->width; c++)
                        row[c] += p * v[c];
                }
                if (lse)
                    lse[(b * a->heads + h) * a->n_queries + i] = log_sum;
            }
}

/* dy, y (B,Tq,C), lse (B,heads,Tq) -> d, whose q, k, v lie like those of `a` and are zero before.
 * With dp[i,j] = dy[i] . v[j]: ds[i,j] = p[i,j] * (dp[i,j] - sum over j of p * dp), and that sum is
 * dy[i] . y[i]. */
static inline void wispi_attend_grad(const wispi_attention *a, const double *dy, const double *y,
                                     const double *lse, const wispi_attention *d)
{
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < a->n_queries; i++) {
                const int64_t at = ((b * a->n_queries + i) * a->heads + h) * a->width;
                const double mean_dp = wispi_dot(dy + at, y + at, a->width);
                const double log_sum = lse[(b * a->heads + h) * a->n_queries + i];
                const double *q = wispi_head_row(a, a->q, a->n_queries, b, i, h);
                double *dq = wispi_head_row(d, d->q, d->n_queries, b, i, h);
                for (int64_t j = 0; j < a->n_keys; j++) {
                    const double *k = wispi_head_row(a, a->k, a->n_keys, b, j, h);
                    const double *v = wispi_head_row(a, a->v, a->n_keys, b, j, h);
                    double *dk = wispi_head_row(d, d->k, d->n_keys, b, j, h);
                    double *dv = wispi_head_row(d, d->v, d->n_keys, b, j, h);
                    const double p = exp(wispi_score(a, b, h, i, j) - log_sum);
                    const double ds = p * (wispi_dot(dy + at, v, a->width) - mean_dp);
                    for (int64_t c = 0; c < a->width; c++) {
                        dq[c] += a->scale * ds * k[c];
                        dk[c] += a->scale * ds * q[c];
                        dv[c] += p * dy[at + c];
                    }
                }
            }
}

#endif
