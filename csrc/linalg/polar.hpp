// The orthogonal factor of a matrix, nearly, by products alone: u v' of x = u s v'.
#pragma once

#include "linalg/matmul.hpp"

namespace pyae {

template <class T>
struct PolarScratch {
  MatmulScratch<T> products;
  Buffer<T> other;             // (rows, columns)
  Buffer<T> gram, polynomial;  // (side, side), side being the lesser of both
};

// x (rows, columns), divided by its Frobenius norm, goes through so many steps of the Polar
// Express: its singular vectors stay, and its singular values come near to 1. Zeros stay zeros.
// False when the norm is not finite; x is then as it was.
template <class T>
bool orthogonalize(const Team& team, PolarScratch<T>& scratch, T* x, Index rows, Index columns,
                   Index steps);

}  // namespace pyae
