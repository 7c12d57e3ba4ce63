#include "train/embedding_statistics.h"

#include <math.h>

#include "base/memory.h"
#include "train/symmetric_eigen.h"

static int is_finite(const float *x, int64_t n)
{
    int finite = 1;
    for (int64_t i = 0; i < n; i++)
        finite &= isfinite(x[i]) != 0;
    return finite;
}

/* Adds a row of length 1 and its squares; one of zeros has no direction and adds nothing. */
static void add_direction(const float *row, int32_t dim, double *sum, double *squares)
{
    double length = 0;
    for (int32_t d = 0; d < dim; d++)
        length += (double)row[d] * row[d];
    if (length == 0)
        return;
    length = sqrt(length);
    for (int32_t d = 0; d < dim; d++) {
        const double value = row[d] / length;
        sum[d] += value;
        squares[d] += value * value;
    }
}

static wisp_status find_std(const float *x, int32_t rows, int32_t dim, double *std, wisp_error *err)
{
    double *sums = wispi_alloc_array(2 * (size_t)dim, sizeof *sums);
    if (!sums)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the embeddings' deviation");
    for (int32_t i = 0; i < rows; i++)
        add_direction(x + (int64_t)i * dim, dim, sums, sums + dim);
    double all = 0;
    for (int32_t d = 0; d < dim; d++) {
        const double mean = sums[d] / rows, variance = sums[dim + d] / rows - mean * mean;
        all += variance > 0 ? sqrt(variance) : 0;
    }
    *std = all / dim * sqrt(dim);
    wispi_free(sums);
    return WISP_OK;
}

/* exp of the entropy of the roots of `values`, divided by their sum. Eigenvalues of products are
 * squares of singular values; rounding leaves some below 0. */
static double rank_of(const double *values, int32_t n)
{
    double sum = 0, entropy = 0;
    for (int32_t i = 0; i < n; i++)
        sum += values[i] > 0 ? sqrt(values[i]) : 0;
    if (sum == 0)
        return 0;
    for (int32_t i = 0; i < n; i++) {
        const double p = values[i] > 0 ? sqrt(values[i]) / sum : 0;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    return exp(entropy);
}

static wisp_status find_rank(const float *x, int32_t rows, int32_t dim, double *rank,
                             wisp_error *err)
{
    const int of_rows = rows < dim;
    const int32_t n = of_rows ? rows : dim;
    double *products = wispi_alloc_array((size_t)n * ((size_t)n + 1), sizeof *products);
    if (!products)
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the embeddings' rank");
    double *values = products + (size_t)n * (size_t)n;
    wisp_status status = wispi_gram_matrix(x, rows, dim, of_rows, products, err);
    if (status == WISP_OK)
        status = wispi_symmetric_eigen(products, n, values, NULL, err);
    if (status == WISP_OK)
        *rank = rank_of(values, n);
    wispi_free(products);
    return status;
}

wisp_status wispi_embedding_statistics_of(const float *x, int32_t rows, int32_t dim,
                                          wispi_embedding_statistics *statistics, wisp_error *err)
{
    wispi_embedding_statistics found = {NAN, NAN};
    if (is_finite(x, (int64_t)rows * dim)) {
        WISP_TRY(find_std(x, rows, dim, &found.std, err));
        WISP_TRY(find_rank(x, rows, dim, &found.rank, err));
    }
    *statistics = found;
    return WISP_OK;
}
