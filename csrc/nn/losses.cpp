// The one loop over all losses.
#include "nn/losses.hpp"

#include "linalg/reductions.hpp"

namespace pyae {
namespace {

template <class L, class = void>
inline constexpr bool kHasFormOfLogits = false;
template <class L>
inline constexpr bool kHasFormOfLogits<L, std::void_t<decltype(std::declval<L>().of_logits())>> =
    true;

// A loss of logits whose value and gradient come together, in two short loops: a processor looks a
// few hundred instructions ahead, and only sees several vectors at once where a vector's way is
// short. A logarithm is taken once for so many vectors.
template <class L, class T>
T loss_of_logits(const L& loss, const T* t, const T* z, Index columns, T scale, T* dz) {
  using V = Vec<T>;
  constexpr Index kAtOnce = 8 * kLanes<T>;
  const T share = L::mean_over_features ? T(1) / static_cast<T>(columns) : T(1);
  const V factor = splat<V>(share * scale);
  T exponentials[kAtOnce];
  V sum{}, logarithms{};
  for (Index first = 0; first < columns; first += kAtOnce) {
    const Index n = std::min(kAtOnce, columns - first);
    map_row(z + first, exponentials, n, [&](V v) { return loss.exponential(v); });
    V q{};
    for_lanes<T>(n, [&](Index j, Index count) {
      const V tv = load_up_to(t + first + j, count), zv = load_up_to(z + first + j, count);
      const V e = load_up_to(exponentials + j, count);
      const auto both = loss.without_logarithm(tv, zv, e);
      if (dz != nullptr) store_up_to(dz + first + j, factor * both.gradient, count);
      sum += both.value;
      q = loss.with_factor(q, e);
    });
    logarithms += log1p(q);
  }
  return share * (horizontal_sum(sum) + horizontal_sum(logarithms));
}

// One sample's loss; dp, where given, receives scale * dl/dp.
template <class L, class T>
T sample_loss(const L& loss, const T* t, const T* p, Index columns, T scale, T* dp) {
  if constexpr (kHasFormOfLogits<L>) {
    if (loss.from_logits) return loss_of_logits(loss.of_logits(), t, p, columns, scale, dp);
  }
  if constexpr (std::is_base_of_v<RowLoss, L>) {
    return loss.row(t, p, columns, dp, scale);
  } else {
    using V = Vec<T>;
    const T share = L::mean_over_features ? T(1) / static_cast<T>(columns) : T(1);
    const V factor = splat<V>(share * scale);
    const T sum = detail::row_sum<T>(columns, [&](Index j, Index count) {
      const V tv = load_up_to(t + j, count), pv = load_up_to(p + j, count);
      if (dp != nullptr) store_up_to(dp + j, factor * loss.gradient(tv, pv), count);
      return loss.value(tv, pv);
    });
    return share * sum;
  }
}

}  // namespace

template <class T>
double loss_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                 Index columns, const T* weights, T scale, T* dp, T* per_row) {
  const Index t_columns = target_columns(loss, columns);
  // Which loss it is is asked within the pieces: the loop over them is compiled once for all.
  const double work = 4.0 * static_cast<double>(columns);
  return sum_of_ranges(team, rows, 1, work, [&](Index begin, Index end) {
    return std::visit(
        [&](const auto& l) {
          double total = 0;
          for (Index i = begin; i < end; ++i) {
            const T w = weights == nullptr ? T(1) : weights[i];
            T* di = dp == nullptr ? nullptr : dp + i * columns;
            const T value =
                w * sample_loss(l, t + i * t_columns, p + i * columns, columns, w * scale, di);
            if (per_row != nullptr) per_row[i] = value;
            total += static_cast<double>(value);
          }
          return total;
        },
        loss);
  });
}

template double loss_rows(const Team&, const Loss&, const float*, const float*, Index, Index,
                          const float*, float, float*, float*);
template double loss_rows(const Team&, const Loss&, const double*, const double*, Index, Index,
                          const double*, double, double*, double*);

}  // namespace pyae
