#include "report/near_images.h"

#include <math.h>

static double dot(const float *a, const float *b, int64_t n)
{
    enum { LANES = 8 };
    double lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lanes[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    for (int l = 0; l < LANES; l++)
        sum += lanes[l];
    return sum;
}

/* Into its place among the k best. */
static void offer(wispi_near_image *best, int32_t k, wispi_near_image fresh)
{
    int32_t at = k;
    while (at > 0 && (best[at - 1].index < 0 || best[at - 1].cosine < fresh.cosine))
        at--;
    if (at == k)
        return;
    for (int32_t i = k - 1; i > at; i--)
        best[i] = best[i - 1];
    best[at] = fresh;
}

void wispi_near_images(const float *query, const float *bank, int64_t n, int64_t dim, int64_t self,
                       int32_t k, wispi_near_image *out)
{
    const double own = sqrt(dot(query, query, dim));
    for (int32_t i = 0; i < k; i++)
        out[i] = (wispi_near_image){-1, 0};
    for (int64_t i = 0; i < n; i++) {
        const float *row = bank + i * dim;
        const double length = own * sqrt(dot(row, row, dim));
        const double cosine = dot(query, row, dim) / (length > 1e-12 ? length : 1e-12);
        if (i != self && isfinite(cosine))
            offer(out, k, (wispi_near_image){i, cosine});
    }
}
