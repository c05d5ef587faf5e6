// What optimizers do with flat arrays of n parameters.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "linalg/reductions.hpp"
#include "optim/optimizer.hpp"

namespace pyae {

// f(begin, end) over ranges of n parameters, shared among the threads.
template <class F>
void for_parameters(const Team& team, Index n, const F& f) {
  team.for_ranges(n, 16384, 0.5, f);
}

// A share of a batch's rows, another stretch in each turn: small, but not too small to tell.
inline Block block_of_turn(Index rows, double share, std::int64_t turn) {
  constexpr Index kFew = 256;
  const auto wanted = static_cast<Index>(std::ceil(share * static_cast<double>(rows)));
  const Index count = std::min(rows, std::max(wanted, kFew));
  return {static_cast<Index>(turn) % (rows / count) * count, count};
}

template <class T>
inline constexpr double kLeastDamping = std::numeric_limits<T>::min();

// Whether a gain that a step promises is lost in rounding errors: no more than the loss changes
// where each parameter's last digit does. `trial` (n) is overwritten.
template <class T>
bool lost_in_rounding(Objective<T>& objective, double gain, double loss, const T* w, Index n,
                      T* trial) {
  constexpr double kMany = 16;  // last digits
  constexpr T kDigit = std::numeric_limits<T>::epsilon();
  for (Index i = 0; i < n; ++i) trial[i] = w[i] * (i % 2 == 0 ? 1 + kDigit : 1 - kDigit);
  const double change = std::abs(objective.evaluate(trial, nullptr) - loss);
  return gain <= kMany * (change + static_cast<double>(kDigit) * std::abs(loss));
}

// By how many times the damping of a bias a kernel is damped, whose inputs have this mean square: 1
// where that is of a usual size, and beyond in proportion. So the scale of features does not
// matter: where they are large, the bias is not damped to nothing.
inline double damping_unit(double mean_square) {
  constexpr double kSmall = 0.01, kMost = 1e30;  // whose inverse float has room for
  if (!(mean_square > 0) || !std::isfinite(mean_square)) return 1;
  return std::clamp(std::max(mean_square, std::min(mean_square / kSmall, 1.0)), 1 / kMost, kMost);
}

// A factor of the damping for each tensor.
using Units = std::vector<double>;

// d = -g / units: downhill, the steepest way where lengths are measured in those units.
template <class T>
void descend(const Team& team, const std::vector<Tensor>& tensors, const Units& units, const T* g,
             T* d) {
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Index offset = tensors[k].offset;
    const T factor = static_cast<T>(-1 / units[k]);
    for_parameters(team, tensors[k].size(), [=](Index begin, Index end) {
      for (Index i = offset + begin; i < offset + end; ++i) d[i] = factor * g[i];
    });
  }
}

// u' (damping + second derivative of the L2 penalties) v.
template <class T>
double damped_form(const Team& team, const std::vector<Tensor>& tensors, const Units& units,
                   double damping, const T* u, const T* v) {
  double sum = 0;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const Index offset = tensors[k].offset;
    sum += (damping * units[k] + 2 * tensors[k].penalty.l2) *
           dot(team, u + offset, v + offset, tensors[k].size());
  }
  return sum;
}

// d' G d over the square of d's length in the units, d being -g in units: what the damping compares
// with. Where such a step would promise a thousand times the whole loss and more, the curvature
// says nothing of the way there, and what promises the loss takes its place: flat losses far from
// the targets have none. (Penalties limit their own steps.)
template <class T>
double curvature_along(const Team& team, const std::vector<Tensor>& tensors, const Units& units,
                       Objective<T>& objective, double loss, Block rows, const T* w, const T* d) {
  double square = 0, free = 0;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    const T* own = d + tensors[k].offset;
    const double part = units[k] * dot(team, own, own, tensors[k].size());
    square += part;
    if (tensors[k].penalty.l1 == 0 && tensors[k].penalty.l2 == 0) free += part;
  }
  const double along = objective.gauss_newton_forms(rows, w, d, nullptr)[0] / square;
  constexpr double kTooMuch = 1e3;
  const double least = free / (2 * std::abs(loss));
  return std::max(least > kTooMuch * along ? least : along, kLeastDamping<T>);
}

inline void refuse_without_curvature(const NetworkFacts& network, const char* optimizer) {
  if (network.no_curvature.empty()) return;
  throw std::invalid_argument("optimizer " + std::string(optimizer) +
                              " needs a Gauss-Newton matrix: " + network.no_curvature);
}

}  // namespace pyae
