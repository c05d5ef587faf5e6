#include "linalg/inverse.hpp"

#include <cmath>

namespace pyae {
namespace {

constexpr Index kSmall = 48;

// By Cholesky's decomposition a = L L': a^-1 = L^-T L^-1.
bool invert_small(double* a, Index n) {
  for (Index j = 0; j < n; ++j) {
    for (Index i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (Index k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i == j) {
        if (!(sum > 0) || !std::isfinite(sum)) return false;
        a[j * n + j] = std::sqrt(sum);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
  }
  for (Index j = 0; j < n; ++j) {  // L^-1, column by column
    a[j * n + j] = 1 / a[j * n + j];
    for (Index i = j + 1; i < n; ++i) {
      double sum = 0;
      for (Index k = j; k < i; ++k) sum -= a[i * n + k] * a[k * n + j];
      a[i * n + j] = sum / a[i * n + i];
    }
  }
  for (Index j = 0; j < n; ++j) {
    for (Index i = j; i < n; ++i) {
      double sum = 0;
      for (Index k = i; k < n; ++k) sum += a[k * n + i] * a[k * n + j];
      a[j * n + i] = sum;  // above L^-1, but for the diagonal, whose old value is not needed again
    }
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  }
  return true;
}

bool invert(const Team& team, InverseScratch& scratch, double* a, Index n, double* room) {
  if (n <= kSmall) return invert_small(a, n);
  const Index top = (n / 2 + 15) / 16 * 16, rest = n - top;
  double* const A = room;            // (top, top)
  double* const X = A + top * top;   // (top, rest)
  double* const Y = X + top * rest;  // (top, rest)
  double* const S = Y + top * rest;  // (rest, rest)
  double* const next = S + rest * rest;
  const Operand<double> b{a + top, top, rest, n, 1}, b_transposed{a + top, rest, top, 1, n};
  const auto product = [&](const Operand<double>& left, const Operand<double>& right, double* c,
                           bool accumulate = false) {
    matmul(team, scratch.products, left, right, c, {}, accumulate);
  };
  for (Index i = 0; i < top; ++i) std::copy_n(a + i * n, top, A + i * top);
  if (!invert(team, scratch, A, top, next)) return false;
  product(plain(A, top, top), b, X);
  product(b_transposed, plain(X, top, rest), S);
  for (Index i = 0; i < rest; ++i) {
    const double* d = a + (top + i) * n + top;
    for (Index j = 0; j < rest; ++j) S[i * rest + j] = d[j] - S[i * rest + j];
  }
  if (!invert(team, scratch, S, rest, next)) return false;
  product(plain(X, top, rest), plain(S, rest, rest), Y);
  product(plain(Y, top, rest), transposed(X, top, rest), A, true);
  for (Index i = 0; i < top; ++i) {
    std::copy_n(A + i * top, top, a + i * n);
    for (Index j = 0; j < rest; ++j) {
      a[i * n + top + j] = a[(top + j) * n + i] = -Y[i * rest + j];
    }
  }
  for (Index i = 0; i < rest; ++i) std::copy_n(S + i * rest, rest, a + (top + i) * n + top);
  return true;
}

}  // namespace

bool invert_positive(const Team& team, InverseScratch& scratch, double* a, Index n) {
  // Each call takes as much as its matrix has, and gives half of that to either half in turn.
  double* room = scratch.room.ensure(2 * checked_product(n, n, "a matrix") + 4096);
  return invert(team, scratch, a, n, room);
}

}  // namespace pyae
