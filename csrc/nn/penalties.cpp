#include "nn/penalties.hpp"

#include "linalg/reductions.hpp"

namespace pyae {

L1L2 make_parameter_penalty(const std::optional<Options>& options) {
  L1L2 penalty;
  if (options) fill(penalty, *options);
  return penalty;
}

ActivityPenalty make_activity_penalty(const std::optional<Options>& options) {
  if (!options) return {};
  return make_item<ActivityPenalty>(*options, "activity_regularizer");
}

template <class T>
double parameter_penalty(const Team& team, const L1L2& penalty, const T* w, T* g, Index n) {
  using V = Vec<T>;
  if (g != nullptr) {
    team.for_ranges(n, 16384, 0.3, [&](Index begin, Index end) {
      map_row(w + begin, g + begin, g + begin, end - begin, [&](V wv, V gv) {
        return gv + splat<V>(penalty.l1) * sign(wv) + splat<V>(2 * penalty.l2) * wv;
      });
    });
  }
  return ordered_sum(team, w, n, [&](V wv) {
    return splat<V>(penalty.l1) * abs(wv) + splat<V>(penalty.l2) * wv * wv;
  });
}

template <class T>
double activity_penalty(const Team& team, const ActivityPenalty& penalty, const T* y, Index rows,
                        Index columns, T* column, ActivityGradient<T>& gradient) {
  const double n = static_cast<double>(rows);
  gradient = {};
  if (is_empty(penalty)) return 0;
  gradient.active = true;
  if (const auto* l1l2 = std::get_if<L1L2>(&penalty)) {
    gradient.l1 = static_cast<T>(l1l2->l1 / n);
    gradient.l2 = static_cast<T>(2 * l1l2->l2 / n);
    return parameter_penalty<T>(team, *l1l2, y, nullptr, rows * columns) / n;
  }
  const auto& kl = std::get<KLSparsity>(penalty);
  column_sums(team, y, rows, columns, column);
  double value = 0;
  for (Index j = 0; j < columns; ++j) {
    const double mean = static_cast<double>(column[j]) / n;
    const double r = std::min(std::max(mean, kEpsilon), 1 - kEpsilon);
    value += kl.rho * std::log(kl.rho / r) + (1 - kl.rho) * std::log((1 - kl.rho) / (1 - r));
    const bool clipped = !(mean >= kEpsilon && mean <= 1 - kEpsilon);
    column[j] =
        clipped ? T(0) : static_cast<T>(kl.beta / n * ((1 - kl.rho) / (1 - r) - kl.rho / r));
  }
  gradient.column = column;
  return kl.beta * value;
}

template double parameter_penalty(const Team&, const L1L2&, const float*, float*, Index);
template double activity_penalty(const Team&, const ActivityPenalty&, const float*, Index, Index,
                                 float*, ActivityGradient<float>&);
template double parameter_penalty(const Team&, const L1L2&, const double*, double*, Index);
template double activity_penalty(const Team&, const ActivityPenalty&, const double*, Index, Index,
                                 double*, ActivityGradient<double>&);

}  // namespace pyae
