/* symmetric_eigen.h - eigenvalues and eigenvectors of symmetric matrices, by Eigen.
 *
 * For what is said about a set of embeddings: effective rank, principal components. One thread; the
 * same matrix gives the same bits on the same machine. */
#ifndef WISPI_TRAIN_SYMMETRIC_EIGEN_H
#define WISPI_TRAIN_SYMMETRIC_EIGEN_H

#include "wisp/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Products of all pairs of columns of x (rows, columns), row-major: g (columns, columns) = x^T x.
 * Of pairs of rows with `of_rows`: g (rows, rows) = x x^T. Sums are in double precision. */
wisp_status wispi_gram_matrix(const float *x, int32_t rows, int32_t columns, int of_rows, double *g,
                              wisp_error *err);

/* The symmetric matrix a (n, n), of which only the lower triangle is read, is the sum of values[i]
 * v_i v_i^T: values[n] in ascending order; v_i, of length 1, is row i of vectors (n, n), with its
 * largest coordinate positive. `vectors` NULL: values alone. WISP_E_NONFINITE for a matrix that is
 * not finite. Both outputs are written only on success. */
wisp_status wispi_symmetric_eigen(const double *a, int32_t n, double *values, double *vectors,
                                  wisp_error *err);

#ifdef __cplusplus
}
#endif
#endif
