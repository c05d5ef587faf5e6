// The activations: one struct each says the formula, one list at the end names them all, and the
// generic loops (apply.hpp, dense.hpp) do the rest.
//
// An elementwise activation has
//   value(x)                  f(x) for a vector of inputs
//   derivative(x)             f'(x), accurate also where f saturates
//   derivative_of_output(y)   f'(x) from y = f(x), where that is possible; a network then keeps y
//                             alone. Where f saturates it differs from derivative(x) by a rounding
//                             error of y.
// A row activation works along the last axis: forward_row, vjp_row, and jvp_row where its Jacobian
// is not symmetric.
// Formulas and names are those of Keras 3.
#pragma once

#include "linalg/math.hpp"
#include "nn/options.hpp"

namespace pyae {

struct NoFields {
  template <class Visit>
  void fields(Visit&&) {}
};

namespace detail {

// 1/(1+e^-x) from e = e^-|x|, which cannot overflow.
template <class V>
inline V sigmoid_from(V x, V e) {
  return select(x < V{}, e, splat<V>(1)) / (splat<V>(1) + e);
}
template <class V>
inline V sigmoid(V x) {
  return sigmoid_from(x, exp_of_negative(-abs(x)));
}
// sigmoid'(x) = e/(1+e)^2, the same for x and -x
template <class V>
inline V sigmoid_slope(V x) {
  const V e = exp(-abs(x));
  const V one_plus = splat<V>(1) + e;
  return e / (one_plus * one_plus);
}

}  // namespace detail

struct Linear : NoFields {  // x
  static constexpr const char* name = "linear";
  template <class V>
  V value(V x) const {
    return x;
  }
  template <class V>
  V derivative(V) const {
    return splat<V>(1);
  }
  template <class V>
  V derivative_of_output(V) const {
    return splat<V>(1);
  }
};

struct Relu : NoFields {  // max(x, 0)
  static constexpr const char* name = "relu";
  template <class V>
  V value(V x) const {
    return at_least(x, V{});
  }
  template <class V>
  V derivative(V x) const {
    return select(x > V{}, splat<V>(1), V{});
  }
  template <class V>
  V derivative_of_output(V y) const {
    return derivative(y);
  }
};

struct Sigmoid : NoFields {  // 1/(1+e^-x)
  static constexpr const char* name = "sigmoid";
  template <class V>
  V value(V x) const {
    return detail::sigmoid(x);
  }
  template <class V>
  V derivative(V x) const {
    return detail::sigmoid_slope(x);
  }
  template <class V>
  V derivative_of_output(V y) const {
    return y * (splat<V>(1) - y);
  }
};

struct Softplus : NoFields {  // log(1+e^x)
  static constexpr const char* name = "softplus";
  template <class V>
  V value(V x) const {
    return at_least(x, V{}) + log1p_unit(exp(-abs(x)));
  }
  template <class V>
  V derivative(V x) const {
    return detail::sigmoid(x);
  }
  template <class V>
  V derivative_of_output(V y) const {
    return -expm1(-y);  // e^y = 1+e^x, so 1 - e^-y = sigmoid(x)
  }
};

struct Softsign : NoFields {  // x/(1+|x|)
  static constexpr const char* name = "softsign";
  template <class V>
  V value(V x) const {
    return x / (splat<V>(1) + abs(x));
  }
  template <class V>
  V derivative(V x) const {
    const V d = splat<V>(1) + abs(x);
    return splat<V>(1) / (d * d);
  }
  template <class V>
  V derivative_of_output(V y) const {
    const V d = splat<V>(1) - abs(y);
    return d * d;
  }
};

struct Tanh : NoFields {
  static constexpr const char* name = "tanh";
  template <class V>
  V value(V x) const {
    return tanh(x);
  }
  template <class V>
  V derivative(V x) const {  // 1 - tanh^2 = 4e/(1+e)^2, e = e^(-2|x|)
    return splat<V>(4) * detail::sigmoid_slope(splat<V>(2) * x);
  }
  template <class V>
  V derivative_of_output(V y) const {
    return splat<V>(1) - y * y;
  }
};

struct Elu {  // x > 0 ? x : alpha (e^x - 1); Clevert, Unterthiner & Hochreiter 2016
  static constexpr const char* name = "elu";
  double alpha = 1;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("alpha", alpha, kNotNegative);
  }
  template <class V>
  V value(V x) const {
    return select(x > V{}, x, splat<V>(alpha) * expm1(x));
  }
  template <class V>
  V derivative(V x) const {
    return select(x > V{}, splat<V>(1), splat<V>(alpha) * exp(x));
  }
  template <class V>
  V derivative_of_output(V y) const {
    return select(y > V{}, splat<V>(1), y + splat<V>(alpha));
  }
};

struct Selu : NoFields {  // scale elu(x, alpha); Klambauer et al. 2017
  static constexpr const char* name = "selu";
  static constexpr double alpha = 1.6732632423543772848;
  static constexpr double scale = 1.0507009873554804934;
  template <class V>
  V value(V x) const {
    return select(x > V{}, splat<V>(scale) * x, splat<V>(scale * alpha) * expm1(x));
  }
  template <class V>
  V derivative(V x) const {
    return select(x > V{}, splat<V>(scale), splat<V>(scale * alpha) * exp(x));
  }
  template <class V>
  V derivative_of_output(V y) const {
    return select(y > V{}, splat<V>(scale), y + splat<V>(scale * alpha));
  }
};

struct Exponential : NoFields {
  static constexpr const char* name = "exponential";
  template <class V>
  V value(V x) const {
    return exp(x);
  }
  template <class V>
  V derivative(V x) const {
    return exp(x);
  }
  template <class V>
  V derivative_of_output(V y) const {
    return y;
  }
};

struct LeakyRelu {  // x > 0 ? x : negative_slope x; Maas, Hannun & Ng 2013
  static constexpr const char* name = "leaky_relu";
  double negative_slope = 0.2;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("negative_slope", negative_slope, kNotNegative);
  }
  template <class V>
  V value(V x) const {
    return select(x > V{}, x, splat<V>(negative_slope) * x);
  }
  template <class V>
  V derivative(V x) const {
    return select(x > V{}, splat<V>(1), splat<V>(negative_slope));
  }
  template <class V>
  V derivative_of_output(V y) const {
    return derivative(y);
  }
};

struct Relu6 : NoFields {  // min(max(x, 0), 6)
  static constexpr const char* name = "relu6";
  template <class V>
  V value(V x) const {
    return at_most(at_least(x, V{}), splat<V>(6));
  }
  template <class V>
  V derivative(V x) const {
    return select((x > V{}) & (x < splat<V>(6)), splat<V>(1), V{});
  }
  template <class V>
  V derivative_of_output(V y) const {
    return derivative(y);
  }
};

struct Gelu {  // x Phi(x); Hendrycks & Gimpel 2016. approximate: the tanh form
  static constexpr const char* name = "gelu";
  bool approximate = false;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("approximate", approximate, kUnit);
  }
  template <class V>
  V value(V x) const {
    if (!approximate) return x * pyae::normal(x).cumulative;
    return wide(x, [](auto w) { return w * detail::sigmoid(twice_argument(w)); });
  }
  template <class V>
  V derivative(V x) const {
    if (!approximate) {
      const auto [density, cumulative] = pyae::normal(x);
      return cumulative + x * density;
    }
    return wide(x, [](auto w) {
      using W = decltype(w);
      const W u = twice_argument(w);
      const W slope = splat<W>(kTwiceRoot) * (splat<W>(1) + splat<W>(3 * kCubic) * w * w);
      return detail::sigmoid(u) + w * detail::sigmoid_slope(u) * slope;
    });
  }

 private:
  static constexpr double kTwiceRoot = 1.5957691216057307118;  // 2 sqrt(2/pi)
  static constexpr double kCubic = 0.044715;
  // (1 + tanh(u))/2 = sigmoid(2u); this is 2u, held where the sigmoid is 0 or 1 anyway.
  template <class V>
  static V twice_argument(V x) {
    x = at_least(at_most(x, splat<V>(30)), splat<V>(-30));
    return splat<V>(kTwiceRoot) * (x + splat<V>(kCubic) * x * x * x);
  }
  // In float the cubic's rounding error would be a large relative error of the lower tail, so the
  // formula is evaluated in double.
  template <class V, class F>
  static V wide(V x, F&& f) {
    if constexpr (sizeof(Scalar<V>) == 8) {
      return f(x);
    } else {
      constexpr Index lanes = kLanes<float>, half = kLanes<double>;
      float values[lanes];
      store(values, x);
      for (Index part = 0; part < lanes; part += half) {
        double wide_values[half];
        for (Index i = 0; i < half; ++i) wide_values[i] = values[part + i];
        store(wide_values, f(load(wide_values)));
        for (Index i = 0; i < half; ++i) values[part + i] = static_cast<float>(wide_values[i]);
      }
      return load(values);
    }
  }
};

struct Silu : NoFields {  // x sigmoid(x); Elfwing, Uchibe & Doya 2018 (swish)
  static constexpr const char* name = "silu";
  template <class V>
  V value(V x) const {
    return x * detail::sigmoid(x);
  }
  template <class V>
  V derivative(V x) const {
    return detail::sigmoid(x) + x * detail::sigmoid_slope(x);
  }
};

struct Mish : NoFields {  // x tanh(softplus(x)); Misra 2020
  static constexpr const char* name = "mish";
  // With e = e^x: tanh(log(1+e)) = n/(n+2), n = e (e+2). Beyond 20 (40 in double) it is 1.
  template <class V>
  V value(V x) const {
    const V e = bounded_exp(x);
    const V n = e * (e + splat<V>(2));
    return x * (n / (n + splat<V>(2)));
  }
  template <class V>
  V derivative(V x) const {
    const V e = bounded_exp(x);
    const V n = e * (e + splat<V>(2));
    const V d = n + splat<V>(2);
    return n / d + x * (splat<V>(4) * e * (splat<V>(1) + e) / (d * d));
  }

 private:
  template <class V>
  static V bounded_exp(V x) {
    return exp(at_most(x, splat<V>(sizeof(Scalar<V>) == 4 ? 20 : 40)));
  }
};

struct HardSigmoid : NoFields {  // clip(x/6 + 1/2, 0, 1)
  static constexpr const char* name = "hard_sigmoid";
  template <class V>
  V value(V x) const {
    return at_most(at_least(x / splat<V>(6) + splat<V>(0.5), V{}), splat<V>(1));
  }
  template <class V>
  V derivative(V x) const {
    return select(abs(x) < splat<V>(3), splat<V>(1.0 / 6), V{});
  }
  template <class V>
  V derivative_of_output(V y) const {
    return select((y > V{}) & (y < splat<V>(1)), splat<V>(1.0 / 6), V{});
  }
};

namespace detail {

template <class T>
inline T row_max(const T* x, Index n) {
  Vec<T> most = splat<Vec<T>>(-std::numeric_limits<double>::infinity());
  const auto take = [&](Vec<T> v) { most = select(v > most, v, most); };
  Index i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) take(load(x + i));
  T result = horizontal_max(most);
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}
// Sum of f(offset, count) over the vectors of a row; lanes past the row's end count as 0.
template <class T, class F>
inline T row_sum(Index n, F&& f) {
  Vec<T> total{};
  for_lanes<T>(n, [&](Index i, Index count) {
    const Vec<T> v = f(i, count);
    if (count == kLanes<T>) {
      total += v;
    } else {
      T part[kLanes<T>] = {};
      store_part(part, v, count);
      total += load(part);
    }
  });
  return horizontal_sum(total);
}
// sum e^(x - max) and its logarithm. The greatest term is 1 and stays out of the sum that the
// logarithm is taken of, so that a small one keeps its digits.
template <class T>
struct ExpSum {
  T sum, log;
};
template <class T>
inline ExpSum<T> exp_sum(const T* x, Index n, T most) {
  using V = Vec<T>;
  Index greatest = 0;  // how many there are
  const T others = row_sum<T>(n, [&](Index i, Index count) {
    const V v = load_up_to(x + i, count);
    for (Index lane = 0; lane < count; ++lane) greatest += v[lane] == most;
    return select(v == splat<V>(most), V{}, exp(v - splat<V>(most)));
  });
  const T above_one = others + static_cast<T>(greatest - 1);
  return {T(1) + above_one, log1p(splat<V>(above_one))[0]};
}

}  // namespace detail

struct Softmax : NoFields {  // e^(x-max) / sum e^(x-max) along the row
  static constexpr const char* name = "softmax";
  template <class T>
  void forward_row(const T* x, T* y, Index n) const {
    const Vec<T> most = splat<Vec<T>>(detail::row_max(x, n));
    const T total = detail::row_sum<T>(n, [&](Index i, Index count) {
      const Vec<T> e = exp(load_up_to(x + i, count) - most);
      store_up_to(y + i, e, count);
      return e;
    });
    map_row(y, y, n, [&](Vec<T> e) { return e / splat<Vec<T>>(total); });
  }
  template <class T>
  void vjp_row(const T* y, const T* dy, T* dx, Index n) const {
    const T dot = detail::row_sum<T>(n, [&](Index i, Index count) {
      return load_up_to(y + i, count) * load_up_to(dy + i, count);
    });
    map_row(y, dy, dx, n, [&](Vec<T> yv, Vec<T> d) { return yv * (d - splat<Vec<T>>(dot)); });
  }
};

struct LogSoftmax : NoFields {  // x - log sum e^x along the row
  static constexpr const char* name = "log_softmax";
  template <class T>
  void forward_row(const T* x, T* y, Index n) const {
    const T most = detail::row_max(x, n);
    const T log_total = detail::exp_sum(x, n, most).log;
    map_row(x, y, n,
            [&](Vec<T> v) { return (v - splat<Vec<T>>(most)) - splat<Vec<T>>(log_total); });
  }
  template <class T>
  void vjp_row(const T* y, const T* dy, T* dx, Index n) const {
    const T total =
        detail::row_sum<T>(n, [&](Index i, Index count) { return load_up_to(dy + i, count); });
    map_row(y, dy, dx, n, [&](Vec<T> yv, Vec<T> d) { return d - exp(yv) * splat<Vec<T>>(total); });
  }
  template <class T>
  void jvp_row(const T* y, const T* rx, T* ry, Index n) const {
    const T mean = detail::row_sum<T>(n, [&](Index i, Index count) {
      return exp(load_up_to(y + i, count)) * load_up_to(rx + i, count);
    });
    map_row(rx, ry, n, [&](Vec<T> r) { return r - splat<Vec<T>>(mean); });
  }
};

namespace detail {

template <class T>
inline bool any_nan(const T* x, Index n) {
  IntVec<Vec<T>> found{};
  for_lanes<T>(n, [&](Index i, Index count) {
    const Vec<T> v = load_up_to(x + i, count);
    found |= v != v;
  });
  return any(found);
}

template <class T>
inline Index count_from(const T* x, Index n, T low) {
  IntVec<Vec<T>> found{};  // minus the number, lane by lane
  for_lanes<T>(n, [&](Index i, Index count) {
    found += load_up_to(x + i, count) >= splat<Vec<T>>(static_cast<double>(low));
  });
  Index total = 0;
  for (Index lane = 0; lane < kLanes<T>; ++lane) total -= found[lane];
  return total;
}

// The least number t >= bound > 0 that at most k of the numbers x (n) reach - or, where equal
// numbers leave no such choice, the greatest that more than k reach. Positive floating-point
// numbers are ordered as their bits are, which are bisected; counting takes whole vectors, without
// branches.
template <class T>
inline T bisect_for(const T* x, Index n, Index k, T bound) {
  using Bits = UintOf<T>;
  const auto bits = [](T value) {
    Bits b;
    std::memcpy(&b, &value, sizeof(b));
    return b;
  };
  if (count_from(x, n, bound) <= k) return bound;
  Bits low = bits(bound), high = bits(row_max(x, n)) + 1;
  while (high - low > 1) {
    const Bits middle = low + (high - low) / 2;
    T value;
    std::memcpy(&value, &middle, sizeof(value));
    const Index count = count_from(x, n, value);
    if (count == k) return value;
    (count > k ? low : high) = middle;
  }
  T value;
  std::memcpy(&value, &low, sizeof(value));
  return value;
}

// The same for any long row, with the smallest positive number for a bound. The row is cut into at
// least 3k groups; what k of their maxima reach is a bound that few of the row's numbers reach.
template <class T>
inline T bisect_row_for(const T* x, Index n, Index k) {
  using V = Vec<T>;
  constexpr Index lanes = kLanes<T>;
  const T least = std::numeric_limits<T>::denorm_min();
  const Index vectors = n / (4 * std::max(k, lanes));  // that a group has; each lane is a group
  if (vectors < 4) return bisect_for(x, n, k, least);
  static thread_local std::vector<T> scratch;
  if (scratch.size() < static_cast<std::size_t>(n)) scratch.resize(static_cast<std::size_t>(n));
  T* const found = scratch.data();
  Index groups = 0;
  for (Index i = 0; i + vectors * lanes <= n; i += vectors * lanes, groups += lanes) {
    V most = load(x + i);
    for (Index v = 1; v < vectors; ++v) {
      const V next = load(x + i + v * lanes);
      most = select(next > most, next, most);
    }
    store(found + groups, most);
  }
  const T bound = bisect_for(found, groups, k, least);
  if (count_from(found, groups, bound) < k) return bisect_for(x, n, k, least);
  Index count = 0;
  for_lanes<T>(n, [&](Index i, Index part) {
    const V v = load_up_to(x + i, part);
    if (!any(v >= splat<V>(static_cast<double>(bound)))) return;
    for (Index lane = 0; lane < part; ++lane) {
      if (v[lane] >= bound) found[count++] = v[lane];
    }
  });
  return bisect_for(found, count, k, bound);
}

}  // namespace detail

struct TopK {  // max(x, 0) of the row's k largest, else 0; Makhzani & Frey 2013, Gao et al. 2024
  static constexpr const char* name = "top_k";
  Index k = 32;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("k", k, kAtLeastOne);
  }
  template <class T>
  void forward_row(const T* x, T* y, Index n) const {
    if (detail::any_nan(x, n)) {
      std::fill_n(y, n, std::numeric_limits<T>::quiet_NaN());
      return;
    }
    if (k >= n) {
      map_row(x, y, n, [](Vec<T> v) { return at_least(v, Vec<T>{}); });
      return;
    }
    const T least = detail::bisect_row_for(x, n, k);
    Index surplus = detail::count_from(x, n, least) - k;
    map_row(x, y, n, [&](Vec<T> v) {
      return select(v >= splat<Vec<T>>(static_cast<double>(least)), v, Vec<T>{});
    });
    for (Index i = n; surplus > 0;) {  // of equal values the first are taken
      if (y[--i] != least) continue;
      y[i] = T(0);
      --surplus;
    }
  }
  template <class T>
  void vjp_row(const T* y, const T* dy, T* dx, Index n) const {
    map_row(y, dy, dx, n, [](Vec<T> yv, Vec<T> d) { return select(yv > Vec<T>{}, d, Vec<T>{}); });
  }
};

// The table: to add an activation, write its struct above and its name here.
using Activation =
    std::variant<Linear, Relu, Sigmoid, Softmax, Softplus, Softsign, Tanh, Selu, Elu, Exponential,
                 LeakyRelu, Relu6, Gelu, Silu, Mish, LogSoftmax, HardSigmoid, TopK>;

namespace detail {
template <class A, class = void>
inline constexpr bool kFromOutput = false;
template <class A>
inline constexpr bool
    kFromOutput<A, std::void_t<decltype(std::declval<A>().derivative_of_output(Vec<float>{}))>> =
        true;
template <class A, class = void>
inline constexpr bool kRowwise = false;
template <class A>
inline constexpr bool kRowwise<A, std::void_t<decltype(std::declval<A>().forward_row(
                                      (const float*)nullptr, (float*)nullptr, Index{}))>> = true;
template <class A, class = void>
inline constexpr bool kHasJvp = false;
template <class A>
inline constexpr bool
    kHasJvp<A, std::void_t<decltype(std::declval<A>().jvp_row(
                   (const float*)nullptr, (const float*)nullptr, (float*)nullptr, Index{}))>> =
        true;
}  // namespace detail

inline bool is_rowwise(const Activation& activation) {
  return std::visit([](const auto& a) { return detail::kRowwise<std::decay_t<decltype(a)>>; },
                    activation);
}
// Whether back-propagation needs the input x, the output y being not enough.
inline bool needs_input(const Activation& activation) {
  return std::visit(
      [](const auto& a) {
        using A = std::decay_t<decltype(a)>;
        return !detail::kRowwise<A> && !detail::kFromOutput<A>;
      },
      activation);
}
inline const char* name_of(const Activation& activation) {
  return std::visit([](const auto& a) { return a.name; }, activation);
}

}  // namespace pyae
