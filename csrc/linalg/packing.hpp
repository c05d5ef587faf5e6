// Factors of a product, laid out as its micro-kernel reads them.
#pragma once

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

// How vectors are read, all `depth` long: as they are, a value in a place.
template <class T>
struct AsFloats {
  static Index places(Index depth) { return depth; }
  // Place p of vectors that stand next to each other, their values `along` apart, of which so many
  // are `readable`.
  static Vec<T> across(const T* source, Index along, Index p, Index, Index readable) {
    return load_at_most(source + p * along, readable);
  }
  // The places from p on of a vector whose values stand next to each other.
  static Vec<T> along(const T* source, Index p, Index depth) {
    return load_at_most(source + p, depth - p);
  }
};

// The nearest bfloat16, ties to even, in the upper half of the word; NaN stays NaN.
inline UintVec<Vec<float>> rounded_bits(Vec<float> x) {
  using U = UintVec<Vec<float>>;
  const U bits = (U)x;
  const U nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return select(x == x, nearest, bits | 0x00400000u);
}
inline Vec<float> lower_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair << 16); }
inline Vec<float> upper_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair & 0xffff0000u); }
inline Vec<float> pair_of(Vec<float> lower, Vec<float> upper) {
  return (Vec<float>)((rounded_bits(lower) >> 16) | rounded_bits(upper));
}

template <class V, std::size_t... I>
inline V every_second(V a, V b, int first, std::index_sequence<I...>) {
  return first == 0 ? __builtin_shufflevector(a, b, static_cast<int>(2 * I)...)
                    : __builtin_shufflevector(a, b, static_cast<int>(2 * I + 1)...);
}

// Rounded to bfloat16, the neighbours 2p and 2p+1 in one place; the last may be alone.
struct AsPairs {
  static Index places(Index depth) { return (depth + 1) / 2; }
  static Vec<float> across(const float* source, Index along, Index p, Index depth, Index readable) {
    const float* lower = source + 2 * p * along;
    return pair_of(load_at_most(lower, readable),
                   2 * p + 1 < depth ? load_at_most(lower + along, readable) : Vec<float>{});
  }
  static Vec<float> along(const float* source, Index p, Index depth) {
    constexpr auto order = std::make_index_sequence<static_cast<std::size_t>(kLanes<float>)>();
    const Vec<float> first = load_at_most(source + 2 * p, depth - 2 * p);
    const Vec<float> second =
        load_at_most(source + 2 * p + kLanes<float>, depth - 2 * p - kLanes<float>);
    return pair_of(every_second(first, second, 0, order), every_second(first, second, 1, order));
  }
};

// Width vectors of length `depth` into packed[p * Width + i], of which `readable` ones, more or
// less than Width, are there; zeros stand for the others. Vector i starts at source + i * across,
// its elements are `along` apart; one of the two is 1.
template <class How, class T, Index Width>
void pack_as(const T* source, Index across, Index along, Index readable, Index depth, T* packed) {
  constexpr Index lanes = kLanes<T>, vectors = (Width + lanes - 1) / lanes;
  // Whole vectors are stored also where Width is no multiple of their lanes: what the last one of a
  // place writes too much, the first one of the next place writes over. In the last places they are
  // stored in part.
  constexpr Index excess = vectors * lanes - Width, overlap = (excess + Width - 1) / Width;
  const Index places = How::places(depth);
  const auto put = [&](Index p, Index v, Vec<T> values) {
    T* to = packed + p * Width + v * lanes;
    if (p + overlap < places) {
      store(to, values);
    } else {
      store_up_to(to, values, std::min(lanes, Width - v * lanes));
    }
  };
  if (across == 1) {
    for (Index p = 0; p < places; ++p) {
      for (Index v = 0; v < vectors; ++v) {
        put(p, v, How::across(source + v * lanes, along, p, depth, readable - v * lanes));
      }
    }
    return;
  }
  for (Index p = 0; p < places; p += lanes) {
    const Index rows = std::min(lanes, places - p);
    for (Index v = vectors; v-- > 0;) {  // the first one last
      Vec<T> square[lanes];
      for (Index r = 0; r < lanes; ++r) {
        const Index i = v * lanes + r;
        square[r] =
            i < std::min(Width, readable) ? How::along(source + i * across, p, depth) : Vec<T>{};
      }
      transpose_square<T>(square);
      for (Index r = 0; r < rows; ++r) put(p + r, v, square[r]);
    }
  }
}

template <class T, Index Width>
void pack(bool pairs, const T* source, Index across, Index along, Index readable, Index depth,
          T* packed) {
  if constexpr (std::is_same_v<T, float>) {
    if (pairs) {
      return pack_as<AsPairs, T, Width>(source, across, along, readable, depth, packed);
    }
  }
  pack_as<AsFloats<T>, T, Width>(source, across, along, readable, depth, packed);
}

}  // namespace pyae
