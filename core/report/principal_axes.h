/* principal_axes.h - the directions along which points vary most: principal component analysis. */
#ifndef WISPI_REPORT_PRINCIPAL_AXES_H
#define WISPI_REPORT_PRINCIPAL_AXES_H

#include <stdint.h>

#include "wisp/status.h"

/* Coordinates (n, axes) of n points (n, dim) along the first axes, measured from their mean. Axes
 * beyond those that there are give 0. `variances` (axes) are sums of squares divided by n - 1;
 * `whole` is that of all axes. */
wisp_status wispi_principal_axes(const float *points, int64_t n, int64_t dim, int32_t axes,
                                 double *coordinates, double *variances, double *whole,
                                 wisp_error *err);

#endif
