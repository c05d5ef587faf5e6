// L-BFGS: steps along -H g, H being an approximation of the inverse Hessian from the last few
// steps, as far as a strong-Wolfe line search says; Nocedal & Wright 2006, algorithms 7.4 and 7.5.
// Where a parameter has an L1 penalty, its steps stay within one orthant: OWL-QN, Andrew & Gao
// 2007.
#pragma once

#include "optim/optimizer.hpp"

namespace pyae {

struct Lbfgs {
  static constexpr const char* name = "lbfgs";
  static constexpr double default_learning_rate = 1;
  Index history_size = 10;     // of how many steps is remembered how they changed the gradient
  Index max_line_search = 25;  // evaluations in one search
  double tolerance_grad = 0;   // converged once no entry of the gradient is larger
  template <class Visit>
  void fields(Visit&& visit) {
    visit("history_size", history_size, Limits{1, 1000});
    visit("max_line_search", max_line_search, Limits{1, 1000});
    visit("tolerance_grad", tolerance_grad, kNotNegative);
  }
};

template <class T>
std::unique_ptr<Optimizer<T>> make_lbfgs(OptimizerSpec spec, Lbfgs settings, Index n_parameters);

}  // namespace pyae
