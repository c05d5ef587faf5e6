// Elementary functions on whole vectors, float and double, branch-free, accurate to a few ulp over
// the whole range including subnormal results; NaN comes through, infinities are the right ones.
// Each function reduces its argument to a small interval and sums a polynomial there.
// Sources: argument reductions as in fdlibm (Sun Microsystems, 1993) and Muller, "Elementary
// Functions" (3rd ed., 2016); the normal distribution's polynomial was fitted for this file with
// 60-digit arithmetic (Chebyshev interpolation).
#pragma once

#include "linalg/simd.hpp"

namespace pyae {

// c0 + x (c1 + x (c2 + ...)), Horner's scheme.
template <class V>
inline V polynomial(V, double c0) {
  return splat<V>(c0);
}
template <class V, class... More>
inline V polynomial(V x, double c0, More... more) {
  return splat<V>(c0) + x * polynomial(x, more...);
}

namespace detail {

template <class V>
inline constexpr bool kSingle = sizeof(Scalar<V>) == 4;
template <class V>
inline constexpr int kMantissaBits = kSingle<V> ? 23 : 52;
template <class V>
inline constexpr int kBias = kSingle<V> ? 127 : 1023;

// Adding 1.5 * 2^mantissa rounds to an integer, which then stands in the lowest bits.
template <class V>
inline constexpr double kRounder = kSingle<V> ? 12582912.0 : 6755399441055744.0;

// 2^n for an integral n of either sign, within the normal exponents.
template <class V>
inline V power_of_two(V n) {
  const V shifted = n + splat<V>(kRounder<V> + kBias<V>);
  return (V)((UintVec<V>)shifted << kMantissaBits<V>);
}

// ln 2 in two parts; the first has few bits, so that a small integer times it is exact.
template <class V>
inline constexpr double kLn2High = kSingle<V> ? 0.693359375 : 6.93147180369123816490e-01;
template <class V>
inline constexpr double kLn2Low = kSingle<V> ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;

// x = n ln 2 + r, |r| <= ln 2 / 2
template <class V>
struct ExpReduction {
  V n, r;
};
template <class V>
inline ExpReduction<V> reduce_exp(V x) {
  const V rounder = splat<V>(kRounder<V>);
  const V n = (x * splat<V>(1.4426950408889634074) + rounder) - rounder;
  return {n, (x - n * splat<V>(kLn2High<V>)) - n * splat<V>(kLn2Low<V>)};
}
// e^r - 1 on the reduced interval: r + r^2 (1/2! + r/3! + ...)
template <class V>
inline V expm1_reduced(V r) {
  V tail;
  if constexpr (kSingle<V>) {
    tail = polynomial(r, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040);
  } else {
    tail = polynomial(r, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320,
                      1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800.);
  }
  return r + r * r * tail;
}

}  // namespace detail

template <class V>
inline V exp(V x) {
  x = at_least(at_most(x, splat<V>(detail::kSingle<V> ? 89 : 710)),
               splat<V>(detail::kSingle<V> ? -104.5 : -746));
  const auto [n, r] = detail::reduce_exp(x);
  // 2^n in two factors, so that results near both ends neither overflow nor vanish early.
  const V rounder = splat<V>(detail::kRounder<V>);
  const V half = (n * splat<V>(0.5) + rounder) - rounder;
  const V y = splat<V>(1) + detail::expm1_reduced(r);
  return y * detail::power_of_two(half) * detail::power_of_two(n - half);
}

// e^x for x <= 0, in fewer operations: the exponent n is added in place, 64 (512) too large, and
// one product takes that back, into subnormal results too.
template <class V>
inline V exp_of_negative(V x) {
  using U = UintVec<V>;
  constexpr int lift = detail::kSingle<V> ? 64 : 512;
  const auto [n, r] = detail::reduce_exp(at_least(x, splat<V>(detail::kSingle<V> ? -104.5 : -746)));
  const V y = splat<V>(1) + detail::expm1_reduced(r);
  const V lifted = n + splat<V>(detail::kRounder<V> + lift);
  return (V)((U)y + ((U)lifted << detail::kMantissaBits<V>)) *
         splat<V>(detail::kSingle<V> ? 0x1p-64 : 0x1p-512);
}

// e^x - 1 without cancellation: 2^n (e^r - 1) + (2^n - 1), doubled from half so that n = 128 fits.
template <class V>
inline V expm1(V x) {
  x = at_least(at_most(x, splat<V>(detail::kSingle<V> ? 89 : 710)),
               splat<V>(detail::kSingle<V> ? -20 : -40));
  const auto [n, r] = detail::reduce_exp(x);
  const V scale = detail::power_of_two(n - splat<V>(1));
  const V y = scale * detail::expm1_reduced(r) + (scale - splat<V>(0.5));
  return y + y;
}

namespace detail {

// ln(2^k (1+f)) + correction, 1+f in [sqrt(1/2), sqrt(2)): with s = f/(2+f),
// ln(1+f) = 2 atanh(s) = f - s (f - R), R = 2 s^2 (1/3 + s^2/5 + s^4/7 + ...), in fdlibm's order.
template <class V>
inline V log_of_parts(V k, V f, V correction) {
  const V s = f / (splat<V>(2) + f);
  const V q = s * s;
  V series;
  if constexpr (kSingle<V>) {
    series = polynomial(q, 2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11);
  } else {
    series = polynomial(q, 2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15, 2. / 17,
                        2. / 19, 2. / 21, 2. / 23);
  }
  const V half_square = splat<V>(0.5) * f * f;
  const V low = k * splat<V>(kLn2Low<V>) + correction;
  return k * splat<V>(kLn2High<V>) + (f - (half_square - (s * (half_square + q * series) + low)));
}

// x = 2^k m, m in [sqrt(1/2), sqrt(2)), for normal positive x
template <class V>
struct Decomposition {
  V k, m;
};
template <class V>
inline Decomposition<V> decompose(V x) {
  using U = UintVec<V>;
  using S = Scalar<V>;
  constexpr int bits = kMantissaBits<V>;
  constexpr UintOf<S> sqrt_half = kSingle<V> ? 0x3f3504f3u : UintOf<S>(0x3fe6a09e667f3bcdull);
  constexpr UintOf<S> mantissa = (UintOf<S>(1) << bits) - 1;
  const U shifted = (U)x - sqrt_half;  // its exponent field is k, in two's complement
  const U biased = (shifted + (UintOf<S>(kBias<V>) << bits)) >> bits;
  // A small integer under the exponent of 2^mantissa is that integer, added to 2^mantissa.
  const V offset = splat<V>(kSingle<V> ? 8388608.0 : 4503599627370496.0);
  const V k = ((V)(biased | (U)offset) - offset) - splat<V>(kBias<V>);
  return {k, (V)((shifted & mantissa) + sqrt_half)};
}

}  // namespace detail

template <class V>
inline V log(V x) {
  using S = Scalar<V>;
  const auto subnormal = x < splat<V>(std::numeric_limits<S>::min());
  const V scale = splat<V>(detail::kSingle<V> ? 33554432.0 : 18014398509481984.0);  // 2^25, 2^54
  const V normal = select(subnormal, x * scale, x);
  auto [k, m] = detail::decompose(normal);
  k = k - select(subnormal, splat<V>(detail::kSingle<V> ? 25 : 54), V{});
  V y = detail::log_of_parts(k, m - splat<V>(1), V{});
  y = select(x == V{}, splat<V>(-std::numeric_limits<double>::infinity()), y);
  return select(x < V{}, splat<V>(std::numeric_limits<double>::quiet_NaN()),
                select(x < splat<V>(std::numeric_limits<double>::infinity()), y, x));
}

// ln(1+x): the logarithm of u = 1+x as rounded, and what the rounding lost, over u.
template <class V>
inline V log1p(V x) {
  const V one = splat<V>(1);
  const V infinity = splat<V>(std::numeric_limits<double>::infinity());
  const V u = one + x;
  const V lost = select(x > one, one - (u - x), x - (u - one));
  const auto [k, m] = detail::decompose(u);
  V y = detail::log_of_parts(k, m - one, lost / u);
  y = select(x == -one, -infinity, y);
  y = select(x < -one, splat<V>(std::numeric_limits<double>::quiet_NaN()), y);
  return select(x < infinity, y, x);
}

namespace detail {
// 2 atanh(s) = ln((1+s)/(1-s)) for 0 <= s <= 1/3
template <class V>
inline V log1p_series(V s) {
  const V q = s * s;
  if constexpr (kSingle<V>) {
    return s * polynomial(q, 2., 2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15);
  } else {
    return s * polynomial(q, 2., 2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15, 2. / 17,
                          2. / 19, 2. / 21, 2. / 23, 2. / 25, 2. / 27, 2. / 29, 2. / 31, 2. / 33);
  }
}
}  // namespace detail

// ln(1+x) for 0 <= x <= 1, where no exponent needs taking apart: s = x/(2+x) <= 1/3.
template <class V>
inline V log1p_unit(V x) {
  return detail::log1p_series(x / (splat<V>(2) + x));
}

// tanh |x| = m/(m+2), m = e^(2|x|) - 1
template <class V>
inline V tanh(V x) {
  const V m = expm1(at_most(splat<V>(2) * abs(x), splat<V>(detail::kSingle<V> ? 20 : 42)));
  return copy_sign(m / (m + splat<V>(2)), x);
}

namespace detail {

// e^(-x^2/2): x^2 is split into a part that has no rounding error and a small rest, since an error
// in the exponent becomes an error of the whole result.
template <class V>
inline V half_gauss(V x) {
  using S = Scalar<V>;
  constexpr auto mask = static_cast<IntOf<S>>(~((UintOf<S>(1) << (kSingle<V> ? 13 : 28)) - 1));
  x = at_most(abs(x), splat<V>(kSingle<V> ? 16 : 40));
  const V high = (V)((IntVec<V>)x & mask);
  return exp(splat<V>(-0.5) * high * high) * exp(splat<V>(-0.5) * (x - high) * (x + high));
}

}  // namespace detail

// The normal distribution: its density phi(x) and its cumulative Phi(x) = (1 + erf(x/sqrt 2))/2,
// relative accuracy in the lower tail too.
template <class V>
struct Normal {
  V density, cumulative;
};
template <class V>
inline Normal<V> normal(V x) {
  const V a = abs(x);
  const V gauss = detail::half_gauss(x);
  // Phi(-a) e^(a^2/2) (1+a) is smooth in u = (a-4)/(a+4), which maps [0, inf) to [-1, 1).
  const V u = (at_most(a, splat<V>(100)) - splat<V>(4)) / (at_most(a, splat<V>(100)) + splat<V>(4));
  V smooth;
  if constexpr (detail::kSingle<V>) {
    smooth = polynomial(u, 0.47205320636, -0.096703477043, 0.013999649972, 0.028600353381,
                        -0.032198086441, 0.01793621404, -0.0050008404391, -0.00028618668904,
                        0.00069030348566, -9.3022028186e-5, -8.0593274012e-5, 1.9342954949e-5,
                        7.5006795844e-6, -2.0844333082e-6);
  } else {
    smooth =
        polynomial(u, 0.47205320650984468384, -0.096703477326526067853, 0.01399963472442433408,
                   0.028600364053577479348, -0.032197837428022096311, 0.01793609747886887713,
                   -0.0050023785925100653326, -0.00028562308681310787979, 0.00069489712189260663219,
                   -0.000094430339415091362516, -0.000087853303858989181464,
                   0.00002125044674173956223, 0.000013627394945294359967, -3.4333718995988235409e-6,
                   -2.6144093179311889812e-6, 4.067167266942881535e-7, 5.5483262381580291121e-7,
                   -1.2364768549008422938e-9, -1.1446694396262876271e-7, -1.7932620813836053163e-8,
                   2.0256580239221758584e-8, 5.4749178675576187938e-9, -2.6176016337489069396e-9,
                   -6.7636479549759012066e-10, 1.7866004318192313551e-10);
  }
  const V tail = gauss * smooth / (splat<V>(1) + a);
  return {gauss * splat<V>(0.39894228040143267794),
          select(x > V{}, splat<V>(1) - tail, select(x <= V{}, tail, x))};  // x: NaN
}

// sin and cos of 2 pi u, u in [0, 1]: turns are reduced to an eighth exactly.
template <class V>
struct Circle {
  V sin, cos;
};
template <class V>
inline Circle<V> circle(V u) {
  const V rounder = splat<V>(detail::kRounder<V>);
  const V quarter = (u * splat<V>(4) + rounder) - rounder;  // 0, 1, 2, 3 or 4
  const V angle = (u - quarter * splat<V>(0.25)) * splat<V>(6.28318530717958647692);
  const V q = angle * angle;
  const V s = angle * polynomial(q, 1, -1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800,
                                 1. / 6227020800., -1. / 1307674368000.);
  const V c = polynomial(q, 1, -1. / 2, 1. / 24, -1. / 720, 1. / 40320, -1. / 3628800,
                         1. / 479001600., -1. / 87178291200., 1. / 20922789888000.);
  const auto swapped = (quarter == splat<V>(1)) | (quarter == splat<V>(3));
  const auto minus_sin = (quarter == splat<V>(2)) | (quarter == splat<V>(3));
  const auto minus_cos = (quarter == splat<V>(1)) | (quarter == splat<V>(2));
  const V sin = select(swapped, c, s), cos = select(swapped, s, c);
  return {select(minus_sin, -sin, sin), select(minus_cos, -cos, cos)};
}

}  // namespace pyae
