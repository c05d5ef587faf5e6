// Sums over arrays, cut into pieces by size and added in order: the same bits for any thread count.
#pragma once

#include <array>

#include "linalg/parallel.hpp"
#include "linalg/simd.hpp"

namespace pyae {

// The sum of f(begin, end) over [0, n), cut into ranges of at least `least`; `work` is that of an
// item, in nanoseconds.
template <class F>
double sum_of_ranges(const Team& team, Index n, Index least, double work, const F& f) {
  constexpr Index kPieces = 64;
  std::array<double, kPieces> partial{};
  const Index grain = std::max(least, (n + kPieces - 1) / kPieces);
  team.for_ranges(n, grain, work, [&](Index begin, Index end) {
    partial[static_cast<std::size_t>(begin / grain)] = f(begin, end);
  });
  double total = 0;
  for (const double part : partial) total += part;
  return total;
}

// Sum of f over x (n): vectors within a piece, double between pieces. f(0) must be 0.
template <class T, class F>
double ordered_sum(const Team& team, const T* x, Index n, const F& f) {
  return sum_of_ranges(team, n, 1024, 0.3, [&](Index begin, Index end) {
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
    return sum + static_cast<double>(horizontal_sum(total));
  });
}

// The sum of f(i) over i = 0 ... n-1 in double, the same bits for any number of threads.
template <class F>
double ordered_total(const Team& team, Index n, const F& f) {
  constexpr Index kChains = 8;  // sums side by side, so that none waits for another
  return sum_of_ranges(team, n, 4096, 0.5, [&](Index begin, Index end) {
    double chains[kChains] = {};
    Index i = begin;
    for (; i + kChains <= end; i += kChains) {
      for (Index c = 0; c < kChains; ++c) chains[c] += f(i + c);
    }
    for (; i < end; ++i) chains[0] += f(i);
    double sum = 0;
    for (const double chain : chains) sum += chain;
    return sum;
  });
}

template <class T>
double dot(const Team& team, const T* a, const T* b, Index n) {
  return ordered_total(
      team, n, [=](Index i) { return static_cast<double>(a[i]) * static_cast<double>(b[i]); });
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
