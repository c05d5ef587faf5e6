// K-FAC: steps along -(F + damping)^-1 g, where F's block of each layer is approximated by a
// Kronecker product of two small matrices; Martens & Grosse, "Optimizing neural networks with
// Kronecker-factored approximate curvature", 2015 (arXiv:1503.05671), the block-diagonal version.
#pragma once

#include "optim/optimizer.hpp"

namespace pyae {

struct Kfac {
  static constexpr const char* name = "kfac";
  static constexpr double default_learning_rate = 1;
  double damping = 1;          // the first lambda, in units of the curvature along the gradient
  double decay = 0.95;         // of the factors' exponential average
  double least_damping = 0.1;  // in units of the factors' mean curvature over the batch's rows
  double factor_damping = 3;   // of the factors, in units of lambda's root
  Index inverse_every = 5;     // steps
  Index damping_every = 5;     // steps
  double statistics_share = 0.125;  // of a batch, that the factors are estimated on
  double curvature_share = 0.25;    // of a batch, that the quadratic model is computed on
  template <class Visit>
  void fields(Visit&& visit) {
    visit("damping", damping, kPositive);
    visit("decay", decay, kBelowOne);
    visit("least_damping", least_damping, kNotNegative);
    visit("factor_damping", factor_damping, kPositive);
    visit("inverse_every", inverse_every, kAtLeastOne);
    visit("damping_every", damping_every, kAtLeastOne);
    visit("statistics_share", statistics_share, Limits{0, 1, true, false});
    visit("curvature_share", curvature_share, Limits{0, 1, true, false});
  }
};

template <class T>
std::unique_ptr<Optimizer<T>> make_kfac(OptimizerSpec spec, Kfac settings,
                                        const NetworkFacts& network);

}  // namespace pyae
