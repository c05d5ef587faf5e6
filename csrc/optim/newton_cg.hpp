// Hessian-free optimization: steps along -(G + damping)^-1 g, G being the Gauss-Newton matrix, by
// conjugate gradients that need only products with G; Martens, "Deep learning via Hessian-free
// optimization", ICML 2010; Martens & Sutskever, "Training deep and recurrent networks with
// Hessian-free optimization", 2012.
#pragma once

#include "optim/optimizer.hpp"

namespace pyae {

struct NewtonCg {
  static constexpr const char* name = "newton_cg";
  static constexpr double default_learning_rate = 1;
  double damping = 1;             // the first lambda, in units of the curvature along the gradient
  Index max_iterations = 100;     // of conjugate gradients in a step
  double tolerance = 5e-4;        // they end when an iteration lowers the model by less, relatively
  double curvature_share = 0.25;  // of a batch, that G is computed on
  template <class Visit>
  void fields(Visit&& visit) {
    visit("damping", damping, kPositive);
    visit("max_iterations", max_iterations, kAtLeastOne);
    visit("tolerance", tolerance, kNotNegative);
    visit("curvature_share", curvature_share, Limits{0, 1, true, false});
  }
};

template <class T>
std::unique_ptr<Optimizer<T>> make_newton_cg(OptimizerSpec spec, NewtonCg settings,
                                             const NetworkFacts& network);

}  // namespace pyae
