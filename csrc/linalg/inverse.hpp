// The inverse of a symmetric positive definite matrix, by halves, so that nearly all of its work is
// products: of [A B; B' D], with X = A^-1 B and S = D - B' X, it is
// [A^-1 + X S^-1 X', -X S^-1; -S^-1 X', S^-1].
#pragma once

#include "linalg/matmul.hpp"

namespace pyae {

struct InverseScratch {
  Buffer<double> room;
  MatmulScratch<double> products;
};

// Replaces a (n, n) by its inverse; false, and nothing of use in a, where a is not positive
// definite to the precision of double.
bool invert_positive(const Team& team, InverseScratch& scratch, double* a, Index n);

}  // namespace pyae
