#include "report/principal_axes.h"

#include <math.h>

#include "base/memory.h"
#include "train/symmetric_eigen.h"

enum { MOST = 1 << 15 };

/* Points from their mean, and of the two matrices with the same eigenvalues the smaller one: of
 * products of values, or of points. */
typedef struct analysis {
    int32_t n, dim, size, of_points;
    float *centred;                      /* (n, dim) */
    double *products, *values, *vectors; /* (size, size), (size), (size, size) */
} analysis;

static void centre(analysis *a, const float *points)
{
    for (int32_t j = 0; j < a->dim; j++) {
        double sum = 0;
        for (int64_t i = 0; i < a->n; i++)
            sum += (double)points[i * a->dim + j];
        for (int64_t i = 0; i < a->n; i++)
            a->centred[i * a->dim + j] = (float)((double)points[i * a->dim + j] - sum / a->n);
    }
}

static void project(const analysis *a, int32_t axis, int32_t axes, double *coordinates)
{
    const int32_t which = a->size - 1 - axis; /* eigenvalues ascend */
    const double *vector = a->vectors + (int64_t)which * a->size;
    const double length = a->values[which] > 0 ? sqrt(a->values[which]) : 0;
    for (int64_t i = 0; i < a->n; i++) {
        double sum = 0;
        for (int32_t j = 0; !a->of_points && j < a->dim; j++)
            sum += vector[j] * (double)a->centred[i * a->dim + j];
        coordinates[i * axes + axis] = a->of_points ? vector[i] * length : sum;
    }
}

static void write_axes(const analysis *a, int32_t axes, double *coordinates, double *variances,
                       double *whole)
{
    const double degrees = a->n > 1 ? a->n - 1 : 1;
    *whole = 0;
    for (int32_t i = 0; i < a->size; i++)
        *whole += fmax(a->values[i], 0) / degrees;
    for (int32_t axis = 0; axis < axes; axis++) {
        const int exists = axis < a->size;
        variances[axis] = exists ? fmax(a->values[a->size - 1 - axis], 0) / degrees : 0;
        if (exists)
            project(a, axis, axes, coordinates);
        for (int64_t i = 0; !exists && i < a->n; i++)
            coordinates[i * axes + axis] = 0;
    }
}

static wisp_status analyse(analysis *a, const float *points, wisp_error *err)
{
    const size_t size = (size_t)a->size;
    a->centred = wispi_alloc_array((size_t)a->n, (size_t)a->dim * sizeof *a->centred);
    a->products = wispi_alloc_array(size, size * sizeof *a->products);
    a->vectors = wispi_alloc_array(size, size * sizeof *a->vectors);
    a->values = wispi_alloc_array(size, sizeof *a->values);
    if (!a->centred || !a->products || !a->vectors || !a->values)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the principal axes of %d points", a->n);
    centre(a, points);
    WISP_TRY(wispi_gram_matrix(a->centred, a->n, a->dim, a->of_points, a->products, err));
    return wispi_symmetric_eigen(a->products, a->size, a->values, a->vectors, err);
}

wisp_status wispi_principal_axes(const float *points, int64_t n, int64_t dim, int32_t axes,
                                 double *coordinates, double *variances, double *whole,
                                 wisp_error *err)
{
    if (n < 1 || dim < 1 || n > MOST || dim > MOST)
        return wisp_fail(err, WISP_E_INVALID, "principal axes of %lld points of %lld values",
                         (long long)n, (long long)dim);
    analysis a = {.n = (int32_t)n, .dim = (int32_t)dim, .of_points = n < dim};
    a.size = a.of_points ? a.n : a.dim;
    const wisp_status status = analyse(&a, points, err);
    if (status == WISP_OK)
        write_axes(&a, axes, coordinates, variances, whole);
    wispi_free(a.centred);
    wispi_free(a.products);
    wispi_free(a.vectors);
    wispi_free(a.values);
    return status;
}
