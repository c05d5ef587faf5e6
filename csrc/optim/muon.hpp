// Muon: momentum whose matrix is made orthogonal, for the kernels between the first layer and the
// last; Adam for all else. Jordan et al., "Muon: an optimizer for hidden layers in neural
// networks", 2024; the length of a step is that of Liu et al., "Muon is scalable for LLM training",
// 2025 (arXiv:2502.16982).
#pragma once

#include "optim/first_order.hpp"

namespace pyae {

struct Muon {
  static constexpr const char* name = "muon";
  static constexpr double default_learning_rate = 0.015;
  double momentum = 0.95;
  bool nesterov = true;
  Index ns_steps = 3;          // products that make a matrix orthogonal
  double adam_lr_ratio = 0.4;  // Adam's learning rate, in units of that of the kernels
  double adam_beta_1 = 0.9, adam_beta_2 = 0.999, epsilon = kEpsilon;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("momentum", momentum, kBelowOne);
    visit("nesterov", nesterov, kUnit);
    visit("ns_steps", ns_steps, Limits{1, 100});
    visit("adam_lr_ratio", adam_lr_ratio, kPositive);
    visit("adam_beta_1", adam_beta_1, kBelowOne);
    visit("adam_beta_2", adam_beta_2, kBelowOne);
    visit("epsilon", epsilon, kPositive);
  }
};

template <class T>
std::unique_ptr<Optimizer<T>> make_muon(OptimizerSpec spec, Muon settings,
                                        const NetworkFacts& network);

}  // namespace pyae
