// Matrix decompositions, by Eigen. They are compiled once, for every level the same.
#pragma once

#include "linalg/types.hpp"

namespace pyae {

// Replaces a (rows, columns), row-major, rows >= columns, by the Q of its QR decomposition with
// positive diagonal R: of a normal matrix that is uniform over the matrices with orthonormal
// columns (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
void orthonormalize(double* a, Index rows, Index columns);

}  // namespace pyae
