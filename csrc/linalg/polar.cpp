#include "linalg/polar.hpp"

#include <cmath>
#include <limits>

#include "linalg/reductions.hpp"

namespace pyae {
namespace {

// x becomes a x + b x^3 + c x^5.
struct Quintic {
  double a, b, c;
};

// Of Amsel, Persson, Musco & Gower, "The Polar Express", 2025 (arXiv:2505.16932): each is the odd
// quintic nearest to 1 on what those before it made of [0.001, 1]. Further ones are like the last.
constexpr Quintic kPolarExpress[] = {
    {8.28721201814563, -23.595886519098837, 17.300387312530933},
    {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
    {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
    {3.3184196573706015, -2.488488024314874, 0.51004894012372},
    {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
    {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
    {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
    {1.875, -1.25, 0.375},
};
constexpr Index kDifferent = sizeof(kPolarExpress) / sizeof(kPolarExpress[0]);

Quintic quintic_of(Index step) {
  if (step >= kDifferent - 1) return kPolarExpress[kDifferent - 1];
  // Outside of the interval the polynomials grow: rounding errors must not lead there.
  constexpr double kSafety = 1.01, kSquare = kSafety * kSafety;
  const auto [a, b, c] = kPolarExpress[step];
  return {a / kSafety, b / (kSafety * kSquare), c / (kSafety * kSquare * kSquare)};
}

// A tile of A A becomes one of a I + b A + c A A.
template <class T>
struct QuadraticEpilogue {
  Quintic p;
  const T* gram;  // A (side, side)
  Index side;

  static void apply(const void* context, Index row, Index column, Index rows, Index columns,
                    T* tile, Index stride) {
    const auto& self = *static_cast<const QuadraticEpilogue*>(context);
    const auto b = splat<Vec<T>>(self.p.b), c = splat<Vec<T>>(self.p.c);
    for (Index i = row; i < row + rows; ++i, tile += stride) {
      map_row(tile, self.gram + i * self.side + column, tile, columns,
              [=](Vec<T> square, Vec<T> own) { return c * square + b * own; });
      if (i >= column && i < column + columns) tile[i - column] += static_cast<T>(self.p.a);
    }
  }
};

}  // namespace

template <class T>
bool orthogonalize(const Team& team, PolarScratch<T>& scratch, T* x, Index rows, Index columns,
                   Index steps) {
  const Index n = rows * columns, side = std::min(rows, columns);
  const double norm = std::sqrt(dot(team, x, x, n));
  if (!std::isfinite(norm)) return false;
  T* gram = scratch.gram.ensure(side * side);
  T* polynomial = scratch.polynomial.ensure(side * side);
  // The two take turns, so that the last step ends in x.
  T *from = x, *to = scratch.other.ensure(n);
  const double scale = 1 / std::max(norm, static_cast<double>(std::numeric_limits<T>::min()));
  T* start = steps % 2 == 0 ? x : to;
  team.for_ranges(n, 16384, 0.3, [=](Index begin, Index end) {
    map_row(x + begin, start + begin, end - begin,
            [=](Vec<T> v) { return splat<Vec<T>>(scale) * v; });
  });
  if (start != x) std::swap(from, to);

  for (Index step = 0; step < steps; ++step, std::swap(from, to)) {
    const Operand<T> whole = plain<T>(from, rows, columns);
    const Operand<T> turned = transposed<T>(from, rows, columns);
    // Of x x' and x' x the smaller one: p(x x') x = x p(x' x).
    const bool wide = rows <= columns;
    matmul(team, scratch.products, wide ? whole : turned, wide ? turned : whole, gram);
    const Operand<T> square = plain<T>(gram, side, side);
    const QuadraticEpilogue<T> quadratic{quintic_of(step), gram, side};
    matmul(team, scratch.products, square, square, polynomial,
           Epilogue<T>{&quadratic, QuadraticEpilogue<T>::apply, gram});
    const Operand<T> factor = plain<T>(polynomial, side, side);
    matmul(team, scratch.products, wide ? factor : whole, wide ? whole : factor, to);
  }
  return true;
}

template bool orthogonalize(const Team&, PolarScratch<float>&, float*, Index, Index, Index);
template bool orthogonalize(const Team&, PolarScratch<double>&, double*, Index, Index, Index);

}  // namespace pyae
