#include "linalg/decompositions.hpp"

#include <Eigen/QR>

namespace pyae {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void orthonormalize(double* a, Index rows, Index columns) {
  Eigen::Map<Matrix> matrix(a, rows, columns);
  const Eigen::HouseholderQR<Matrix> qr(matrix);
  matrix = qr.householderQ() * Matrix::Identity(rows, columns);
  for (Index j = 0; j < columns; ++j) {
    if (qr.matrixQR()(j, j) < 0) matrix.col(j) *= -1;
  }
}

}  // namespace pyae
