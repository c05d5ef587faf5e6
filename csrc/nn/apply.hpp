// The generic loops over whole matrices: y = f(x) and dx = f'(x) dy for any activation.
#pragma once

#include "linalg/parallel.hpp"
#include "nn/activations.hpp"

namespace pyae {

// Elements that one piece of an elementwise pass takes; small enough for the first-level cache.
inline constexpr Index kPassGrain = 4096;
inline Index rows_of_pass(Index columns) {
  return std::max<Index>(1, kPassGrain / std::max<Index>(columns, 1));
}

// y = f(x), both (rows, columns); in place when y == x.
template <class T>
void activate(const Team& team, const Activation& activation, const T* x, T* y, Index rows,
              Index columns);

// dx = dy * f'(x). `x` is the input where the activation needs it or `accurate` is asked for;
// otherwise the output y is enough and x may be null. In place when dx == dy.
template <class T>
void activate_vjp(const Team& team, const Activation& activation, const T* x, const T* y,
                  const T* dy, T* dx, Index rows, Index columns, bool accurate = false);

// ry = J rx for a row activation's Jacobian J at the output y; in place when ry == rx.
template <class T>
void activate_rows_jvp(const Team& team, const Activation& activation, const T* y, const T* rx,
                       T* ry, Index rows, Index columns);

}  // namespace pyae
