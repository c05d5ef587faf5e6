// The losses: one struct each says the formula, one list names them all, one loop (loss_rows) does
// the rest. t is the target, p the prediction.
//
// A loss declares
//   domain            the targets it is defined for; it drives validation and the tests' data
//   canonical_link    the activation with which it is computed from the logits z, where
//                     dL/dz = f(z) - t (null: none)
// and is either elementwise, value(t, p) and gradient(t, p) per feature, averaged over the features
// when `mean_over_features`, or works on rows: row(t, p, n, dp, scale) returns the sample's loss
// and, where dp is given, writes scale * dL/dp. An elementwise one that is convex in p also has
// curvature(t, p), its second derivative (output_curvature.hpp). Formulas and names are those of
// Keras 3; eps = 1e-7.
#pragma once

#include "nn/apply.hpp"

namespace pyae {

struct Domain {
  double low = -kInfinity, high = kInfinity;
  bool classes = false;  // one integer a sample, in [0, number of outputs)
};
inline constexpr Domain kReal{};
inline constexpr Domain kProbability{0, 1};
inline constexpr Domain kCount{0, kInfinity};
inline constexpr Domain kClass{0, kInfinity, true};

struct ElementwiseLoss : NoFields {
  static constexpr Domain domain = kReal;
  static constexpr const char* canonical_link = nullptr;
  static constexpr bool mean_over_features = true;
};

template <class V>
struct ValueAndGradient {
  V value, gradient;
};

namespace detail {

// log of q clipped to [eps, 1-eps], from q and r = 1-q, so that neither end loses digits.
template <class V>
inline V clipped_log(V q, V r) {
  const V eps = splat<V>(kEpsilon);
  return select(q > splat<V>(0.5), log1p(-at_least(r, eps)), log(at_least(q, eps)));
}
template <class V>
inline V smoothed(V t, double label_smoothing) {
  return t * splat<V>(1 - label_smoothing) + splat<V>(label_smoothing / 2);
}

}  // namespace detail

// Binary cross-entropy from logits z: max(z, 0) - z t + log(1 + e^-|z|), and sigmoid(z) - t. Both
// need e = e^-|z|. Logarithms are taken of products: with q = (1+e_1)(1+e_2)... - 1, which
// grows by e + q e, log(1+q) is the sum of all log(1+e_k), and small e_k lose no digits.
struct BinaryCrossentropyOfLogits {
  static constexpr bool mean_over_features = true;
  double label_smoothing;
  template <class V>
  static V exponential(V z) {
    return exp_of_negative(-abs(z));
  }
  template <class V>
  static V with_factor(V q, V e) {
    return q + (e + q * e);
  }
  template <class V>
  ValueAndGradient<V> without_logarithm(V t, V z, V e) const {
    t = detail::smoothed(t, label_smoothing);
    const V one = splat<V>(1);
    return {at_least(z, V{}) - z * t, select(z < V{}, e, one) / (one + e) - t};
  }
};

struct BinaryCrossentropy : ElementwiseLoss {
  static constexpr const char* name = "binary_crossentropy";
  static constexpr Domain domain = kProbability;
  static constexpr const char* canonical_link = "sigmoid";
  bool from_logits = false;
  double label_smoothing = 0;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("from_logits", from_logits, kUnit);
    visit("label_smoothing", label_smoothing, kUnit);
  }
  BinaryCrossentropyOfLogits of_logits() const { return {label_smoothing}; }
  template <class V>
  V value(V t, V p) const {
    t = detail::smoothed(t, label_smoothing);
    const V q = splat<V>(1) - p;
    return -(t * detail::clipped_log(p, q) + (splat<V>(1) - t) * detail::clipped_log(q, p));
  }
  template <class V>
  V gradient(V t, V p) const {
    t = detail::smoothed(t, label_smoothing);
    const V q = splat<V>(1) - p, eps = splat<V>(kEpsilon);
    return select((p >= eps) & (q >= eps), (p - t) / (p * q), V{});
  }
  template <class V>
  V curvature(V t, V p) const {
    t = detail::smoothed(t, label_smoothing);
    const V q = splat<V>(1) - p, eps = splat<V>(kEpsilon);
    const V inside = t / (p * p) + (splat<V>(1) - t) / (q * q);
    return select((p >= eps) & (q >= eps), inside, V{});
  }
};

struct Poisson : ElementwiseLoss {  // p - t log(p + eps)
  static constexpr const char* name = "poisson";
  static constexpr Domain domain = kCount;
  template <class V>
  V value(V t, V p) const {
    return p - t * log(p + splat<V>(kEpsilon));
  }
  template <class V>
  V gradient(V t, V p) const {
    return splat<V>(1) - t / (p + splat<V>(kEpsilon));
  }
  template <class V>
  V curvature(V t, V p) const {
    const V q = p + splat<V>(kEpsilon);
    return t / (q * q);
  }
};

struct KLDivergence : ElementwiseLoss {  // sum t log(t/p), both clipped to [eps, 1]
  static constexpr const char* name = "kl_divergence";
  static constexpr Domain domain = kProbability;
  static constexpr bool mean_over_features = false;
  template <class V>
  V value(V t, V p) const {
    t = clipped(t);
    return t * log(t / clipped(p));
  }
  template <class V>
  V gradient(V t, V p) const {
    return select((p >= splat<V>(kEpsilon)) & (p <= splat<V>(1)), -clipped(t) / p, V{});
  }
  template <class V>
  V curvature(V t, V p) const {
    return select((p >= splat<V>(kEpsilon)) & (p <= splat<V>(1)), clipped(t) / (p * p), V{});
  }

 private:
  template <class V>
  static V clipped(V x) {
    return at_most(at_least(x, splat<V>(kEpsilon)), splat<V>(1));
  }
};

struct MeanSquaredError : ElementwiseLoss {
  static constexpr const char* name = "mean_squared_error";
  template <class V>
  V value(V t, V p) const {
    return (p - t) * (p - t);
  }
  template <class V>
  V gradient(V t, V p) const {
    return splat<V>(2) * (p - t);
  }
  template <class V>
  V curvature(V, V) const {
    return splat<V>(2);
  }
};

struct MeanAbsoluteError : ElementwiseLoss {
  static constexpr const char* name = "mean_absolute_error";
  template <class V>
  V value(V t, V p) const {
    return abs(p - t);
  }
  template <class V>
  V gradient(V t, V p) const {
    return sign(p - t);
  }
};

struct MeanAbsolutePercentageError : ElementwiseLoss {  // 100 |t-p| / max(|t|, eps)
  static constexpr const char* name = "mean_absolute_percentage_error";
  template <class V>
  V value(V t, V p) const {
    return splat<V>(100) * abs(t - p) / at_least(abs(t), splat<V>(kEpsilon));
  }
  template <class V>
  V gradient(V t, V p) const {
    return splat<V>(100) * sign(p - t) / at_least(abs(t), splat<V>(kEpsilon));
  }
};

struct MeanSquaredLogarithmicError : ElementwiseLoss {  // (log1p(max(t,eps)) - log1p(max(p,eps)))^2
  static constexpr const char* name = "mean_squared_logarithmic_error";
  static constexpr Domain domain = kCount;
  template <class V>
  V value(V t, V p) const {
    const V e = difference(t, p);
    return e * e;
  }
  template <class V>
  V gradient(V t, V p) const {
    return select(p >= splat<V>(kEpsilon), splat<V>(2) * difference(t, p) / (splat<V>(1) + p), V{});
  }

 private:
  template <class V>
  static V difference(V t, V p) {
    const V eps = splat<V>(kEpsilon);
    return log1p(at_least(p, eps)) - log1p(at_least(t, eps));
  }
};

struct Huber : ElementwiseLoss {  // e^2/2 within delta, delta |e| - delta^2/2 outside; Huber 1964
  static constexpr const char* name = "huber";
  double delta = 1;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("delta", delta, kPositive);
  }
  template <class V>
  V value(V t, V p) const {
    const V e = abs(p - t), d = splat<V>(delta);
    return select(e <= d, splat<V>(0.5) * e * e, d * e - splat<V>(0.5) * d * d);
  }
  template <class V>
  V gradient(V t, V p) const {
    const V d = splat<V>(delta);
    return at_least(at_most(p - t, d), -d);
  }
  template <class V>
  V curvature(V t, V p) const {
    return select(abs(p - t) <= splat<V>(delta), splat<V>(1), V{});
  }
};

struct LogCosh : ElementwiseLoss {  // log cosh e
  static constexpr const char* name = "log_cosh";
  // e + log(1 + e^-2e) - log 2 cancels near 0; there cosh e - 1 = m^2/(2 (m+1)), m = e^|e| - 1.
  template <class V>
  V value(V t, V p) const {
    const V e = abs(p - t);
    const V m = expm1(at_most(e, splat<V>(2)));
    const V small = log1p(m * m / (splat<V>(2) * (m + splat<V>(1))));
    const V large = e + log1p_unit(exp(splat<V>(-2) * e)) - splat<V>(0.69314718055994530942);
    return select(e < splat<V>(1), small, large);
  }
  template <class V>
  V gradient(V t, V p) const {
    return tanh(p - t);
  }
  template <class V>
  V curvature(V t, V p) const {
    return splat<V>(4) * detail::sigmoid_slope(splat<V>(2) * (p - t));  // 1 - tanh^2
  }
};

struct RowLoss : NoFields {
  static constexpr Domain domain = kReal;
  static constexpr const char* canonical_link = nullptr;
};

namespace detail {

// Sum of the target times -log of the normalised, clipped prediction; gradient where asked.
// target(i, count) gives the (smoothed) targets of a vector of classes.
template <class T, class Target>
inline T crossentropy_row(const T* p, Index n, T* dp, T scale, const Target& target) {
  using V = Vec<T>;
  const T total = row_sum<T>(n, [&](Index i, Index count) { return load_up_to(p + i, count); });
  const V norm = splat<V>(total == T(0) ? T(1) : total);
  const V eps = splat<V>(kEpsilon);
  const T loss = row_sum<T>(n, [&](Index i, Index count) {
    const V q = load_up_to(p + i, count) / norm;
    return -target(i, count) * clipped_log(q, splat<V>(1) - q);
  });
  if (dp == nullptr) return loss;
  const auto slope = [&](Index i, Index count, V q) {  // dL/dq
    const V inside = target(i, count) / q;
    return select((q >= eps) & (splat<V>(1) - q >= eps), -inside, V{});
  };
  const T mean_slope = row_sum<T>(n, [&](Index i, Index count) {
    const V q = load_up_to(p + i, count) / norm;
    return q * slope(i, count, q);
  });
  for (Index i = 0; i < n; i += kLanes<T>) {
    const Index count = std::min(kLanes<T>, n - i);
    const V q = load_up_to(p + i, count) / norm;
    const V d = (slope(i, count, q) - splat<V>(mean_slope)) / norm;
    store_up_to(dp + i, d * splat<V>(scale), count);
  }
  return loss;
}

// The same from logits z: sum_j t_j (log sum e^z - z_j), and softmax(z) sum(t) - t.
template <class T, class Target>
inline T crossentropy_row_from_logits(const T* z, Index n, T* dz, T scale, const Target& target) {
  using V = Vec<T>;
  const T most = row_max(z, n);
  const ExpSum<T> sum = exp_sum(z, n, most);
  const T loss = row_sum<T>(n, [&](Index i, Index count) {
    const V shifted = load_up_to(z + i, count) - splat<V>(most);
    return target(i, count) * (splat<V>(sum.log) - shifted);
  });
  if (dz == nullptr) return loss;
  const T weight = row_sum<T>(n, [&](Index i, Index count) { return target(i, count); });
  for (Index i = 0; i < n; i += kLanes<T>) {
    const Index count = std::min(kLanes<T>, n - i);
    const V e = exp(load_up_to(z + i, count) - splat<V>(most));
    const V d = e / splat<V>(sum.sum) * splat<V>(weight) - target(i, count);
    store_up_to(dz + i, d * splat<V>(scale), count);
  }
  return loss;
}

}  // namespace detail

struct CategoricalCrossentropy : RowLoss {
  static constexpr const char* name = "categorical_crossentropy";
  static constexpr Domain domain = kProbability;
  static constexpr const char* canonical_link = "softmax";
  bool from_logits = false;
  double label_smoothing = 0;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("from_logits", from_logits, kUnit);
    visit("label_smoothing", label_smoothing, kUnit);
  }
  template <class T>
  T row(const T* t, const T* p, Index n, T* dp, T scale) const {
    using V = Vec<T>;
    const V keep = splat<V>(1 - label_smoothing);
    const V spread = splat<V>(label_smoothing / static_cast<double>(n));
    const auto target = [&](Index i, Index count) {
      return load_up_to(t + i, count) * keep + spread;
    };
    return from_logits ? detail::crossentropy_row_from_logits(p, n, dp, scale, target)
                       : detail::crossentropy_row(p, n, dp, scale, target);
  }
};

struct SparseCategoricalCrossentropy : RowLoss {
  static constexpr const char* name = "sparse_categorical_crossentropy";
  static constexpr Domain domain = kClass;
  static constexpr const char* canonical_link = "softmax";
  // A class that is left out of the loss and of its mean; a number that no target is: none.
  static constexpr double kNone = -1e300;
  bool from_logits = false;
  double ignore_class = kNone;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("from_logits", from_logits, kUnit);
    visit("ignore_class", ignore_class, kAny);
  }
  bool ignores(double target) const { return target == ignore_class; }
  template <class T>
  T row(const T* t, const T* p, Index n, T* dp, T scale) const {
    if (ignores(t[0])) {
      if (dp != nullptr) std::fill_n(dp, n, T(0));
      return 0;
    }
    const auto hot = static_cast<Index>(t[0]);
    const auto target = [&](Index i, Index) {
      Vec<T> one_hot{};
      if (hot >= i && hot < i + kLanes<T>) one_hot[hot - i] = 1;
      return one_hot;
    };
    return from_logits ? detail::crossentropy_row_from_logits(p, n, dp, scale, target)
                       : detail::crossentropy_row(p, n, dp, scale, target);
  }
};

struct CosineSimilarity : RowLoss {  // -sum t/|t| p/|p|, norms of at least eps
  static constexpr const char* name = "cosine_similarity";
  template <class T>
  T row(const T* t, const T* p, Index n, T* dp, T scale) const {
    using V = Vec<T>;
    const auto dot = [&](const T* a, const T* b) {
      return detail::row_sum<T>(n, [&](Index i, Index count) {
        return load_up_to(a + i, count) * load_up_to(b + i, count);
      });
    };
    const T eps = static_cast<T>(kEpsilon);
    const T t_norm = std::max(std::sqrt(dot(t, t)), eps);
    const T p_length = std::sqrt(dot(p, p)), p_norm = std::max(p_length, eps);
    const T cosine = dot(t, p) / t_norm / p_norm;
    if (dp != nullptr) {
      // The norm is constant below eps, so nothing is projected out there.
      const T along = p_length > eps ? cosine / p_norm : T(0);
      map_row(t, p, dp, n, [&](V tv, V pv) {
        return splat<V>(-scale / p_norm) * (tv / splat<V>(t_norm) - splat<V>(along) * pv);
      });
    }
    return -cosine;
  }
};

// The table: to add a loss, write its struct above and its name here.
using Loss = std::variant<BinaryCrossentropy, CategoricalCrossentropy,
                          SparseCategoricalCrossentropy, Poisson, KLDivergence, MeanSquaredError,
                          MeanAbsoluteError, MeanAbsolutePercentageError,
                          MeanSquaredLogarithmicError, CosineSimilarity, Huber, LogCosh>;

namespace detail {
template <class L, class = void>
inline constexpr bool kHasLogits = false;
template <class L>
inline constexpr bool kHasLogits<L, std::void_t<decltype(std::declval<L>().from_logits)>> = true;
}  // namespace detail

inline Domain domain_of(const Loss& loss) {
  return std::visit([](const auto& l) { return l.domain; }, loss);
}
inline const char* name_of(const Loss& loss) {
  return std::visit([](const auto& l) { return l.name; }, loss);
}
// The loss to be computed from logits when `activation` is its canonical link: then the last layer
// may stop at its logits. False when it is not, or when the loss takes logits already.
inline bool link_to_logits(Loss& loss, const char* activation) {
  return std::visit(
      [&](auto& l) {
        if constexpr (detail::kHasLogits<std::decay_t<decltype(l)>>) {
          if (!l.from_logits && std::string_view(l.canonical_link) == activation) {
            return l.from_logits = true;
          }
        }
        return false;
      },
      loss);
}
// How many targets stand for a sample with so many outputs.
inline Index target_columns(const Loss& loss, Index outputs) {
  return domain_of(loss).classes ? 1 : outputs;
}

// Rows that count in the mean: all but those whose class is ignored.
template <class T>
Index counted_rows(const Loss& loss, const T* t, Index rows) {
  const auto* sparse = std::get_if<SparseCategoricalCrossentropy>(&loss);
  if (sparse == nullptr || sparse->ignore_class == SparseCategoricalCrossentropy::kNone) {
    return rows;
  }
  return rows - static_cast<Index>(std::count_if(t, t + rows, [&](T target) {
           return sparse->ignores(static_cast<double>(target));
         }));
}

// Sum over rows of w_i l_i, in an order that depends on the sizes alone. Where given, dp
// (rows, columns) receives scale * w_i * dl_i/dp, and per_row (rows) receives w_i l_i.
template <class T>
double loss_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                 Index columns, const T* weights, T scale, T* dp, T* per_row);

}  // namespace pyae
