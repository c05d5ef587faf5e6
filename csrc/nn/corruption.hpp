// Corruption of training inputs (Vincent et al., "Stacked denoising autoencoders", JMLR 2010), a
// function of (seed, epoch, row, column): fresh at every epoch, the same for any batch or thread.
#pragma once

#include <optional>

#include "linalg/parallel.hpp"
#include "linalg/random.hpp"
#include "nn/options.hpp"

namespace pyae {

namespace detail {
// A word is below this with the given probability.
inline std::uint64_t threshold(double probability) {
  return static_cast<std::uint64_t>(probability * 0x1p32);
}
}  // namespace detail

// Each corruption changes x (n), neighbouring values of a row of which the first is in column j, by
// their random words (n).
struct Gaussian {  // x + stddev n
  static constexpr const char* name = "gaussian";
  double stddev = 0;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("stddev", stddev, kNotNegative);
  }
  template <class T>
  void corrupt(T* x, const std::uint32_t* words, Index n, Index) const {
    constexpr Index kAtOnce = 64;
    for (Index i = 0; i < n; i += kAtOnce) {
      T normals[kAtOnce];
      const Index count = std::min(kAtOnce, n - i);
      to_normals(words + i, normals, (count + 1) / 2 * 2);
      for (Index c = 0; c < count; ++c) x[i + c] += static_cast<T>(stddev) * normals[c];
    }
  }
};

struct Masking {  // 0 with probability rate
  static constexpr const char* name = "masking";
  double rate = 0;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("rate", rate, kUnit);
  }
  template <class T>
  void corrupt(T* x, const std::uint32_t* words, Index n, Index) const {
    const std::uint64_t limit = detail::threshold(rate);
    for (Index i = 0; i < n; ++i) x[i] = words[i] < limit ? T(0) : x[i];
  }
};

struct SaltAndPepper {  // with probability rate the feature's low or high end, half each
  static constexpr const char* name = "salt_and_pepper";
  double rate = 0;
  // Ends for all features; where they are not set, `lows` and `highs` give each feature's own.
  double low = kUnset, high = kUnset;
  std::vector<double> lows, highs;
  static constexpr double kUnset = -1e300;

  template <class Visit>
  void fields(Visit&& visit) {
    visit("rate", rate, kUnit);
    visit("low", low, kAny);
    visit("high", high, kAny);
  }
  bool needs_range() const { return low == kUnset || high == kUnset; }
  template <class T>
  void corrupt(T* x, const std::uint32_t* words, Index n, Index j) const {
    const std::uint64_t half = detail::threshold(rate / 2), full = detail::threshold(rate);
    for (Index i = 0; i < n; ++i) {
      const auto c = static_cast<std::size_t>(j + i);
      if (words[i] < half) {
        x[i] = static_cast<T>(low == kUnset ? lows[c] : low);
      } else if (words[i] < full) {
        x[i] = static_cast<T>(high == kUnset ? highs[c] : high);
      }
    }
  }
};

struct NoCorruption {
  static constexpr const char* name = "none";
  template <class Visit>
  void fields(Visit&&) {}
  template <class T>
  void corrupt(T*, const std::uint32_t*, Index, Index) const {}
};

using Corruption = std::variant<NoCorruption, Gaussian, Masking, SaltAndPepper>;

// nullopt: none.
Corruption make_corruption(const std::optional<Options>& options);

// Corrupts x (count, columns) in place; row i of x is row rows[i] of the data set, or first + i
// where `rows` is null.
template <class T>
void corrupt(const Team& team, const Corruption& corruption, std::uint64_t seed,
             std::uint64_t epoch, const Index* rows, Index first, Index count, Index columns, T* x);

}  // namespace pyae
