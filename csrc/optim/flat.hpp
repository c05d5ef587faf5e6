// What optimizers do with flat arrays of n parameters.
#pragma once

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "linalg/reductions.hpp"
#include "optim/optimizer.hpp"

namespace pyae {

// f(begin, end) over ranges of n parameters, shared among the threads.
template <class F>
void for_parameters(const Team& team, Index n, const F& f) {
  team.for_ranges(n, 16384, 0.5, f);
}

// u' (damping + second derivative of the L2 penalties) v.
template <class T>
double damped_form(const Team& team, const std::vector<Tensor>& tensors, double damping, const T* u,
                   const T* v) {
  double sum = 0;
  for (const Tensor& tensor : tensors) {
    sum += (damping + 2 * tensor.penalty.l2) *
           dot(team, u + tensor.offset, v + tensor.offset, tensor.size());
  }
  return sum;
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

// `relative` times the curvature along the gradient, g' G g / g' g.
template <class T>
double first_damping(double relative, Objective<T>& objective, Block rows, const T* w, const T* g,
                     double gradient_square) {
  const double along = objective.gauss_newton_forms(rows, w, g, nullptr)[0] / gradient_square;
  return std::max(relative * along, kLeastDamping<T>);
}

inline void refuse_without_curvature(const NetworkFacts& network, const char* optimizer) {
  if (network.no_curvature.empty()) return;
  throw std::invalid_argument("optimizer " + std::string(optimizer) +
                              " needs a Gauss-Newton matrix: " + network.no_curvature);
}

}  // namespace pyae
