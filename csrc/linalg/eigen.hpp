// Eigen, for the files that need more than a product: decompositions and small dense algebra.
#pragma once

#include <Eigen/Core>

#include "linalg/types.hpp"

namespace pyae {

static_assert(sizeof(Eigen::Index) == sizeof(Index));

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using MatrixMap = Eigen::Map<Matrix<T>>;

}  // namespace pyae
