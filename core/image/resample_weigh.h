/* resample_weigh.h - the weights of 16 pixels at once, as loops that a compiler turns into vectors
 * of whatever width the including file is compiled for.
 *
 * Every sum and product is that of wisp/pixel_math.h in the same order, with the same rounding;
 * only sums begin with and contain a few more zeros. */
#ifndef WISPI_IMAGE_RESAMPLE_WEIGH_H
#define WISPI_IMAGE_RESAMPLE_WEIGH_H

#include <math.h>

#include "image/resample_kernels.h"
#include "wisp/pixel_math.h"

typedef double (*wispi_filter_function)(double distance);

/* `filter` is a constant where this is called, so that it becomes part of the loop. */
WISPI_FLATTEN void wispi_weigh_by(wispi_weight_draft *d, double squeeze, int32_t n,
                                  wispi_filter_function filter)
{
    double sum[WISPI_DRAFT_LANES] = {0};
    for (int32_t i = 0; i < n; i++) {
        double *weight = d->weights + (size_t)i * WISPI_DRAFT_LANES;
        for (int32_t l = 0; l < WISPI_DRAFT_LANES; l++) {
            const double pixel = d->start[l] + i;
            const double w = filter(fabs(wisp_product_f64(pixel - d->center[l] + 0.5, squeeze)));
            weight[l] = pixel >= d->from[l] && pixel < d->to[l] ? w : 0.0;
            sum[l] += weight[l];
        }
    }
    for (int32_t l = 0; l < WISPI_DRAFT_LANES; l++)
        d->divisor[l] = sum[l] != 0.0 ? sum[l] : 1.0;
}

/* What wisp_fixed_weight does. */
static inline void wispi_fix_weights(wispi_weight_draft *d, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double *weight = d->weights + (size_t)i * WISPI_DRAFT_LANES;
        int32_t *fixed = d->fixed + (size_t)i * WISPI_DRAFT_LANES;
        for (int32_t l = 0; l < WISPI_DRAFT_LANES; l++) {
            const double scaled =
                wisp_product_f64(weight[l] / d->divisor[l], (double)(1 << WISP_WEIGHT_BITS));
            fixed[l] = (int32_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
        }
    }
}

static inline void wispi_weigh_lanes(wispi_weight_draft *draft, const wisp_stretch *s, int32_t n)
{
    if (s->filter == WISP_FILTER_BICUBIC)
        wispi_weigh_by(draft, s->squeeze, n, wisp_bicubic_at);
    else if (s->filter == WISP_FILTER_BILINEAR)
        wispi_weigh_by(draft, s->squeeze, n, wisp_bilinear_at);
    else
        wispi_weigh_by(draft, s->squeeze, n, wisp_lanczos_at);
    wispi_fix_weights(draft, n);
}

#endif
