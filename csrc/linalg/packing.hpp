// Factors of a product, laid out as its micro-kernel reads them.
#pragma once

#include <cstring>
#include <utility>

#include "linalg/simd.hpp"

namespace pyae {

template <class V, std::size_t... I>
inline V interleave_low(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, static_cast<int>(I % 2 ? sizeof...(I) + I / 2 : I / 2)...);
}
template <class V, std::size_t... I>
inline V interleave_high(V a, V b, std::index_sequence<I...>) {
  constexpr int half = sizeof...(I) / 2;
  return __builtin_shufflevector(
      a, b, static_cast<int>(I % 2 ? sizeof...(I) + half + I / 2 : half + I / 2)...);
}
// A square of as many vectors as a vector has lanes, transposed by log2(lanes) perfect shuffles.
template <class T>
inline void transpose_square(Vec<T>* rows) {
  constexpr Index lanes = kLanes<T>;
  constexpr auto order = std::make_index_sequence<static_cast<std::size_t>(lanes)>();
  for (Index width = 1; width < lanes; width *= 2) {
    Vec<T> next[lanes];
    for (Index i = 0; i < lanes / 2; ++i) {
      next[2 * i] = interleave_low(rows[i], rows[i + lanes / 2], order);
      next[2 * i + 1] = interleave_high(rows[i], rows[i + lanes / 2], order);
    }
    for (Index i = 0; i < lanes; ++i) rows[i] = next[i];
  }
}

// `count` <= Width vectors of length `depth` into packed[p * Width + i], the rest zero. Vector i
// starts at source + i * across, its elements are `along` apart; one of the two is 1. `readable`
// says how many vectors there are from the first on, which may be more than `count`.
//
// Whole vectors are stored also where Width is no multiple of their lanes: what they write too much
// is written over next, and the last ones are stored in part.
template <class T, Index Width>
void pack(const T* source, Index across, Index along, Index count, Index readable, Index depth,
          T* packed) {
  constexpr Index lanes = kLanes<T>, vectors = (Width + lanes - 1) / lanes, span = vectors * lanes;
  constexpr Index overlap = span == Width ? 0 : (span - Width + Width - 1) / Width;
  const auto one_by_one = [&](Index first, Index last) {
    for (Index p = first; p < last; ++p) {
      for (Index i = 0; i < Width; ++i) {
        packed[p * Width + i] = i < count ? source[i * across + p * along] : T(0);
      }
    }
  };
  Index done = 0;
  const Index whole = depth - overlap;  // so many may be stored as whole vectors
  if (across == 1 && count == Width && readable >= span) {
    for (; done < whole; ++done) {
      for (Index v = 0; v < vectors; ++v) {
        store(packed + done * Width + v * lanes, load(source + done * along + v * lanes));
      }
    }
  } else if (along == 1) {
    for (; done + lanes <= whole; done += lanes) {
      for (Index v = 0; v < vectors; ++v) {
        Vec<T> square[lanes];
        for (Index r = 0; r < lanes; ++r) {
          const Index i = v * lanes + r;
          square[r] = i < count ? load(source + i * across + done) : Vec<T>{};
        }
        transpose_square<T>(square);
        for (Index r = 0; r < lanes; ++r) {
          if (vectors == 1 || Width == span) {
            store(packed + (done + r) * Width + v * lanes, square[r]);
          } else {
            store_up_to(packed + (done + r) * Width + v * lanes, square[r],
                        std::min(lanes, Width - v * lanes));
          }
        }
      }
    }
  }
  one_by_one(done, depth);
}

// The nearest bfloat16, ties to even, in the upper half of the word.
inline UintVec<Vec<float>> rounded_bits(Vec<float> x) {
  using U = UintVec<Vec<float>>;
  const U bits = (U)x;
  const U nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return select(x == x, nearest, bits | 0x00400000u);  // NaN stays NaN
}
inline Vec<float> lower_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair << 16); }
inline Vec<float> upper_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair & 0xffff0000u); }

// pack() of rounded values, the neighbours 2p and 2p+1 of a vector in one word: packed[p * Width +
// i].
template <Index Width>
void pack_pairs(const float* source, Index across, Index along, Index count, Index readable,
                Index depth, float* packed) {
  constexpr Index kAtOnce = 32, lanes = kLanes<float>;
  float values[(kAtOnce + 1) * Width + lanes];
  for (Index p = 0; p < depth; p += kAtOnce) {
    const Index n = std::min(kAtOnce, depth - p);
    pack<float, Width>(source + p * along, across, along, count, readable, n, values);
    if (n % 2 != 0) std::fill_n(values + n * Width, Width, 0.0f);
    for (Index q = 0; q < (n + 1) / 2; ++q) {
      const float* even = values + 2 * q * Width;
      map_row(even, even + Width, packed + (p / 2 + q) * Width, Width,
              [](Vec<float> lower, Vec<float> upper) {
                return (Vec<float>)((rounded_bits(lower) >> 16) | rounded_bits(upper));
              });
    }
  }
}

template <class T, Index Width>
void pack_as(bool pairs, const T* source, Index across, Index along, Index count, Index readable,
             Index depth, T* packed) {
  if constexpr (std::is_same_v<T, float>) {
    if (pairs) return pack_pairs<Width>(source, across, along, count, readable, depth, packed);
  }
  pack<T, Width>(source, across, along, count, readable, depth, packed);
}

}  // namespace pyae
