// Sums over arrays, cut into pieces by size and added in order: the same bits for any thread count.
#pragma once

#include <array>

#include "linalg/parallel.hpp"
#include "linalg/simd.hpp"

namespace pyae {

// Sum of f over x (n): vectors within a piece, double between pieces. f(0) must be 0.
template <class T, class F>
double ordered_sum(const Team& team, const T* x, Index n, const F& f) {
  constexpr Index kPieces = 64;
  std::array<double, kPieces> partial{};
  const Index grain = std::max<Index>(1024, (n + kPieces - 1) / kPieces);
  team.for_ranges(n, grain, 0.3, [&](Index begin, Index end) {
    Vec<T> total{};
    double sum = 0;
    Index since = 0;
    for_lanes<T>(end - begin, [&](Index i, Index count) {
      total += f(load_up_to(x + begin + i, count));
      if (++since == 64) {  // short vector sums lose less to rounding
        sum += static_cast<double>(horizontal_sum(total));
        total = Vec<T>{};
        since = 0;
      }
    });
    partial[static_cast<std::size_t>(begin / grain)] =
        sum + static_cast<double>(horizontal_sum(total));
  });
  double total = 0;
  for (const double part : partial) total += part;
  return total;
}

// The sum of f(i) over i = 0 ... n-1 in double, the same bits for any number of threads.
template <class F>
double ordered_total(const Team& team, Index n, const F& f) {
  constexpr Index kPieces = 64, kChains = 8;  // sums side by side, so that none waits for another
  std::array<double, kPieces> partial{};
  const Index grain = std::max<Index>(4096, (n + kPieces - 1) / kPieces);
  team.for_ranges(n, grain, 0.5, [&](Index begin, Index end) {
    double chains[kChains] = {};
    Index i = begin;
    for (; i + kChains <= end; i += kChains) {
      for (Index c = 0; c < kChains; ++c) chains[c] += f(i + c);
    }
    for (; i < end; ++i) chains[0] += f(i);
    double& sum = partial[static_cast<std::size_t>(begin / grain)];
    for (const double chain : chains) sum += chain;
  });
  double total = 0;
  for (const double part : partial) total += part;
  return total;
}

// out[j] = sum over rows of x[i, j]; threads share the columns.
template <class T>
void column_sums(const Team& team, const T* x, Index rows, Index columns, T* out) {
  constexpr Index lanes = kLanes<T>, grain = 4 * lanes;
  team.for_ranges(columns, grain, 0.2 * static_cast<double>(rows), [&](Index begin, Index end) {
    if (end - begin == grain) {
      Vec<T> sums[4] = {};
      for (Index i = 0; i < rows; ++i) {
        const T* row = x + i * columns + begin;
        for (Index v = 0; v < 4; ++v) sums[v] += load(row + v * lanes);
      }
      for (Index v = 0; v < 4; ++v) store(out + begin + v * lanes, sums[v]);
      return;
    }
    for (Index j = begin; j < end; j += lanes) {
      const Index count = std::min(lanes, end - j);
      Vec<T> sum{};
      for (Index i = 0; i < rows; ++i) sum += load_part(x + i * columns + j, count);
      store_part(out + j, sum, count);
    }
  });
}

}  // namespace pyae
