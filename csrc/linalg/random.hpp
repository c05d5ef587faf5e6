// Counter-based random numbers: a number is a function of (seed, purpose, position), so it does
// not matter which thread draws it, or when. Philox4x32-10, Salmon, Moraes, Dror & Shaw, "Parallel
// random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once

#include <array>
#include <cstdint>

#include "linalg/math.hpp"

namespace pyae {

// What a number is drawn for: streams never overlap.
enum class Stream : std::uint32_t {
  shuffle = 0,
  noise = 1,
  init = 2,
  init_choice = 3,
  curvature = 4
};

class Random {
 public:
  using Block = std::array<std::uint32_t, 4>;

  // `turn` is the epoch (or the layer), `attempt` numbers the draws of a rejection method.
  Random(std::uint64_t seed, Stream stream, std::uint64_t turn, std::uint32_t attempt = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        turn_(static_cast<std::uint32_t>(turn)),
        stream_(static_cast<std::uint32_t>(stream) | (attempt << 8)) {}

  // Four 32-bit words.
  Block block(std::uint64_t index) const {
    std::uint32_t words[4];
    blocks<1>(index, words);
    return {words[0], words[1], words[2], words[3]};
  }

  // N consecutive blocks at once, which the compiler turns into vector code: words[4 n + i].
  template <int N>
  void blocks(std::uint64_t first, std::uint32_t* words) const {
    std::uint32_t x0[N], x1[N], x2[N], x3[N];
    for (int n = 0; n < N; ++n) {
      const std::uint64_t index = first + static_cast<std::uint64_t>(n);
      x0[n] = static_cast<std::uint32_t>(index);
      x1[n] = static_cast<std::uint32_t>(index >> 32);
      x2[n] = turn_;
      x3[n] = stream_;
    }
    std::uint32_t k0 = key_[0], k1 = key_[1];
    for (int round = 0; round < 10; ++round) {
      for (int n = 0; n < N; ++n) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53} * x0[n];
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * x2[n];
        x0[n] = static_cast<std::uint32_t>(p1 >> 32) ^ x1[n] ^ k0;
        x1[n] = static_cast<std::uint32_t>(p1);
        x2[n] = static_cast<std::uint32_t>(p0 >> 32) ^ x3[n] ^ k1;
        x3[n] = static_cast<std::uint32_t>(p0);
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    for (int n = 0; n < N; ++n) {
      words[4 * n] = x0[n];
      words[4 * n + 1] = x1[n];
      words[4 * n + 2] = x2[n];
      words[4 * n + 3] = x3[n];
    }
  }

  // The k-th integer in [0, m), m < 2^32: the high part of a 64-bit number times m.
  std::uint64_t bounded(std::uint64_t k, std::uint64_t m) const {
    const Block b = block(k / 2);
    return scale_to(b, k % 2, m);
  }
  static std::uint64_t scale_to(const Block& b, std::uint64_t half, std::uint64_t m) {
    const std::uint64_t high = b[2 * half], low = b[2 * half + 1];
    return (high * m + ((low * m) >> 32)) >> 32;
  }

 private:
  std::uint32_t key_[2];
  std::uint32_t turn_, stream_;
};

// A uniform number in (0, 1) from a word.
inline double to_uniform(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }

// Standard normals from words, Box & Muller (1958): words (u0, u1) give sqrt(-2 ln u0) times
// (cos, sin)(2 pi u1). `count` is a multiple of 2.
template <class T>
inline void to_normals(const std::uint32_t* words, T* normals, Index count) {
  constexpr Index lanes = kLanes<T>;
  for (Index start = 0; start < count; start += 2 * lanes) {
    const Index pairs = std::min(lanes, (count - start) / 2);
    T radius[lanes] = {}, turn[lanes] = {};
    for (Index i = 0; i < pairs; ++i) {
      radius[i] = static_cast<T>(to_uniform(words[start + 2 * i]));
      turn[i] = static_cast<T>(to_uniform(words[start + 2 * i + 1]));
    }
    for (Index i = pairs; i < lanes; ++i) radius[i] = 1;
    const Vec<T> r = sqrt(splat<Vec<T>>(-2) * log(load(radius)));
    const auto [sin, cos] = circle(load(turn));
    store(radius, r * cos);
    store(turn, r * sin);
    for (Index i = 0; i < pairs; ++i) {
      normals[start + 2 * i] = radius[i];
      normals[start + 2 * i + 1] = turn[i];
    }
  }
}

// Fisher & Yates: every permutation of the n values with the same probability.
inline void shuffle(std::uint64_t seed, std::uint64_t epoch, Index* values, Index n) {
  const Random random(seed, Stream::shuffle, epoch);
  constexpr int kAtOnce = 8;
  std::uint32_t words[4 * kAtOnce];
  std::uint64_t first = ~std::uint64_t{0};
  for (Index i = n - 1; i > 0; --i) {
    const auto k = static_cast<std::uint64_t>(i);
    const std::uint64_t start = k / 2 / kAtOnce * kAtOnce;
    if (start != first) random.blocks<kAtOnce>(first = start, words);
    const std::uint32_t* w = words + 4 * (k / 2 - start);
    const auto j = static_cast<Index>(Random::scale_to({w[0], w[1], w[2], w[3]}, k % 2, k + 1));
    std::swap(values[i], values[j]);
  }
}

}  // namespace pyae
