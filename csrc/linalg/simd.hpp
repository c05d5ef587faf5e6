// Vectors as wide as this instruction-set level has them, in the compiler's own vector
// extension: `a * b + c`, `x > y ? a : b` work on whole vectors, and one source serves SSE, AVX2,
// AVX-512 and NEON, but for parts of vectors, which AVX-512 has masks for.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "linalg/types.hpp"

#if defined(PYAE_LEVEL_NEUTRAL)
// What follows has one name and another width at each level, and a module may hold one only: the
// linker would keep either of two inline functions of one name and use it for both.
#error "this file is compiled once, for all levels: it must not see vectors"
#endif

namespace pyae {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

namespace detail {
template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
}  // namespace detail

template <class T>
using Vec = typename detail::VectorOf<T>::type;

template <class V>
using Scalar = std::remove_cv_t<std::remove_reference_t<decltype(std::declval<V>()[0])>>;

// The integers with the width of a floating-point type; a comparison of vectors yields them.
template <class T>
using IntOf = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
template <class T>
using UintOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
template <class V>
using IntVec = Vec<IntOf<Scalar<V>>>;
template <class V>
using UintVec = Vec<UintOf<Scalar<V>>>;

template <class T>
inline constexpr Index kLanes = kVectorBytes / static_cast<Index>(sizeof(T));

// x - 0 is x for every x (0 + x is not: it loses the sign of -0), so this is a plain broadcast.
template <class V>
inline V splat(double value) {
  return static_cast<Scalar<V>>(value) - V{};
}

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof(v));
}
#if defined(__AVX512F__)
// A mask of the first n lanes.
template <class Mask>
inline Mask first_lanes(Index n) {
  return static_cast<Mask>((1u << n) - 1);
}
#endif
// The first n lanes only; the others are zero.
template <class T>
inline Vec<T> load_part(const T* p, Index n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_ps(first_lanes<__mmask16>(n), p);
  } else {
    return (Vec<T>)_mm512_maskz_loadu_pd(first_lanes<__mmask8>(n), p);
  }
#else
  Vec<T> v{};
  std::memcpy(&v, p, static_cast<std::size_t>(n) * sizeof(T));
  return v;
#endif
}
template <class T>
inline void store_part(T* p, Vec<T> v, Index n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, first_lanes<__mmask16>(n), (__m512)v);
  } else {
    _mm512_mask_storeu_pd(p, first_lanes<__mmask8>(n), (__m512d)v);
  }
#else
  std::memcpy(p, &v, static_cast<std::size_t>(n) * sizeof(T));
#endif
}

template <class V, class M>
inline V select(M mask, V if_true, V if_false) {
  return mask ? if_true : if_false;
}
// A NaN in the first argument comes through both.
template <class V>
inline V at_most(V x, V limit) {
  return select(x > limit, limit, x);
}
template <class V>
inline V at_least(V x, V limit) {
  return select(x < limit, limit, x);
}
template <class V>
inline V abs(V x) {
  using S = Scalar<V>;
  constexpr auto mask = static_cast<IntOf<S>>(~(UintOf<S>(1) << (8 * sizeof(S) - 1)));
  return (V)((IntVec<V>)x & mask);
}
template <class V>
inline V copy_sign(V magnitude, V sign) {
  using S = Scalar<V>;
  constexpr auto bit = static_cast<IntOf<S>>(UintOf<S>(1) << (8 * sizeof(S) - 1));
  return (V)(((IntVec<V>)magnitude & ~bit) | ((IntVec<V>)sign & bit));
}
// -1, 0 or 1, as NumPy's sign.
template <class V>
inline V sign(V x) {
  return select(x > V{}, splat<V>(1), select(x < V{}, splat<V>(-1), x));
}
template <class V>
inline V sqrt(V x) {
  using S = Scalar<V>;
  // One instruction: the compiler recognises the loop.
  for (Index i = 0; i < kLanes<S>; ++i) {
    if constexpr (sizeof(S) == 4) {
      x[i] = __builtin_sqrtf(x[i]);
    } else {
      x[i] = __builtin_sqrt(x[i]);
    }
  }
  return x;
}

// Every lane's own bit pattern says whether it is finite (neither infinite nor NaN).
template <class V>
inline IntVec<V> is_finite(V x) {
  return abs(x) <= splat<V>(std::numeric_limits<Scalar<V>>::max());
}
template <class M>
inline bool any(M mask) {
  bool found = false;
  for (Index i = 0; i < static_cast<Index>(sizeof(M) / sizeof(mask[0])); ++i) found |= mask[i] != 0;
  return found;
}
// Lanes are added pairwise, in an order that is always the same.
template <class V>
inline Scalar<V> horizontal_sum(V v) {
  constexpr Index lanes = kLanes<Scalar<V>>;
  Scalar<V> parts[lanes];
  std::memcpy(parts, &v, sizeof(v));
  for (Index width = lanes / 2; width > 0; width /= 2) {
    for (Index i = 0; i < width; ++i) parts[i] += parts[i + width];
  }
  return parts[0];
}
template <class V>
inline Scalar<V> horizontal_max(V v) {
  Scalar<V> result = v[0];
  for (Index i = 1; i < kLanes<Scalar<V>>; ++i) result = v[i] > result ? v[i] : result;
  return result;
}

// n lanes, all of them as a rule; `n == kLanes` is a branch that is always predicted but at the
// end.
template <class T>
inline Vec<T> load_up_to(const T* p, Index n) {
  return n == kLanes<T> ? load(p) : load_part(p, n);
}
// The same for any n: of none, all lanes are zero.
template <class T>
inline Vec<T> load_at_most(const T* p, Index n) {
  return n >= kLanes<T> ? load(p) : n > 0 ? load_part(p, n) : Vec<T>{};
}
template <class T>
inline void store_up_to(T* p, Vec<T> v, Index n) {
  if (n == kLanes<T>) {
    store(p, v);
  } else {
    store_part(p, v, n);
  }
}

// The one elementwise loop: f(offset, count) for vector after vector, count < kLanes in the last.
// Its body is there once, which halves the time that formulas take to compile.
template <class T, class F>
inline void for_lanes(Index n, F&& f) {
  for (Index i = 0; i < n; i += kLanes<T>) f(i, std::min(kLanes<T>, n - i));
}

// y[i] = f(x[i]), also in place.
template <class T, class F>
inline void map_row(const T* x, T* y, Index n, F&& f) {
  for_lanes<T>(
      n, [&](Index i, Index count) { store_up_to(y + i, f(load_up_to(x + i, count)), count); });
}
// z[i] = f(x[i], y[i]), also in place.
template <class T, class F>
inline void map_row(const T* x, const T* y, T* z, Index n, F&& f) {
  for_lanes<T>(n, [&](Index i, Index count) {
    store_up_to(z + i, f(load_up_to(x + i, count), load_up_to(y + i, count)), count);
  });
}

}  // namespace pyae
