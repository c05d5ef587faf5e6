// What an optimizer offers the trainer: code over flat arrays that knows nothing of layers beyond
// which stretch of parameters is which tensor.
#pragma once

#include <memory>
#include <vector>

#include "nn/layer.hpp"
#include "optim/specs.hpp"

namespace pyae {

template <class T>
class Optimizer {
 public:
  explicit Optimizer(OptimizerSpec spec) : spec_(std::move(spec)) {}
  virtual ~Optimizer() = default;

  virtual Index n_slots() const = 0;
  // One update of w from the gradients g, both (n). Where any value would become non-finite, w
  // stays as it was and false is returned. g is overwritten: it keeps the old w for that case.
  virtual bool step(const Team& team, const std::vector<Tensor>& tensors, T* w, T* g) = 0;
  // Forgets everything: n is the number of parameters.
  virtual void reset(Index n) = 0;

  double learning_rate() const { return spec_.learning_rate(state_.step); }
  OptimizerState<T>& state() { return state_; }
  const OptimizerState<T>& state() const { return state_; }

 protected:
  OptimizerSpec spec_;
  OptimizerState<T> state_;
};

}  // namespace pyae
