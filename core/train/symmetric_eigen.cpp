// symmetric_eigen.cpp - the one file that knows Eigen; no exception and no C++ type leaves it.
#include "train/symmetric_eigen.h"

#include <new>

#define EIGEN_DONT_PARALLELIZE // the order of sums must not depend on who else computes
#include <Eigen/Eigenvalues>

namespace
{

using rows_f = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using rows_d = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using column = Eigen::VectorXd;

void gram(const float *x, int32_t rows, int32_t columns, int of_rows, double *g)
{
    const rows_d all = Eigen::Map<const rows_f>(x, rows, columns).cast<double>();
    const int32_t n = of_rows ? rows : columns;
    rows_d products = rows_d::Zero(n, n);
    if (of_rows)
        products.selfadjointView<Eigen::Lower>().rankUpdate(all);
    else
        products.selfadjointView<Eigen::Lower>().rankUpdate(all.transpose());
    Eigen::Map<rows_d>(g, n, n) = products.selfadjointView<Eigen::Lower>();
}

// An eigenvector is one up to its sign; this one is always the same.
void orient(Eigen::MatrixXd &vectors)
{
    for (Eigen::Index i = 0; i < vectors.cols(); i++) {
        Eigen::Index largest = 0;
        vectors.col(i).cwiseAbs().maxCoeff(&largest);
        if (vectors(largest, i) < 0)
            vectors.col(i) = -vectors.col(i);
    }
}

bool decompose(const rows_d &matrix, double *values, double *vectors)
{
    const Eigen::Index n = matrix.rows();
    Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
        matrix, vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
    if (solver.info() != Eigen::Success)
        return false;
    if (vectors) {
        Eigen::MatrixXd oriented = solver.eigenvectors();
        orient(oriented);
        Eigen::Map<rows_d>(vectors, n, n) = oriented.transpose();
    }
    Eigen::Map<column>(values, n) = solver.eigenvalues();
    return true;
}

} // namespace

extern "C" wisp_status wispi_gram_matrix(const float *x, int32_t rows, int32_t columns, int of_rows,
                                         double *g, wisp_error *err)
{
    if (rows < 1 || columns < 1)
        return wisp_fail(err, WISP_E_INVALID, "products of a matrix of %d x %d", (int)rows,
                         (int)columns);
    try {
        gram(x, rows, columns, of_rows, g);
    } catch (const std::bad_alloc &) {
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the products of a matrix of %d x %d",
                         (int)rows, (int)columns);
    }
    return WISP_OK;
}

extern "C" wisp_status wispi_symmetric_eigen(const double *a, int32_t n, double *values,
                                             double *vectors, wisp_error *err)
{
    if (n < 1)
        return wisp_fail(err, WISP_E_INVALID, "eigenvalues of a matrix of size %d", (int)n);
    try {
        rows_d matrix = Eigen::Map<const rows_d>(a, n, n).triangularView<Eigen::Lower>();
        if (!matrix.allFinite())
            return wisp_fail(err, WISP_E_NONFINITE, "the matrix is not finite");
        if (!decompose(matrix, values, vectors))
            return wisp_fail(err, WISP_E_NONFINITE, "the eigenvalues do not converge");
    } catch (const std::bad_alloc &) {
        return wisp_fail(err, WISP_E_NOMEM, "no memory for the eigenvalues of a matrix of size %d",
                         (int)n);
    }
    return WISP_OK;
}
