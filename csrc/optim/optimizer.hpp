// What an optimizer offers the trainer: code over flat arrays that knows nothing of layers beyond
// which stretch of parameters is which tensor.
#pragma once

#include <memory>
#include <vector>

#include "nn/layer.hpp"
#include "optim/specs.hpp"

namespace pyae {

// The loss of the batch at hand, penalties included, as a function of all parameters: for
// optimizers that look at more points than the one they stand at.
template <class T>
class Objective {
 public:
  virtual ~Objective() = default;
  // The loss at w (n); its gradient goes into g (n).
  virtual double evaluate(const T* w, T* g) = 0;
};

enum class Outcome {
  updated,
  converged,  // no step makes the loss smaller; w is as it was
  stuck,      // none was found, though there should be one; w is as it was
  diverged,   // a value would become non-finite; w is as it was
};

template <class T>
class Optimizer {
 public:
  explicit Optimizer(OptimizerSpec spec) : spec_(std::move(spec)) {}
  virtual ~Optimizer() = default;

  virtual Index n_slots() const = 0;
  // Whether steps evaluate the objective. The last point they evaluate is then the one they take.
  virtual bool reevaluates() const { return false; }
  // One update of w (n), where the objective is `loss` and its gradient g (n); g is overwritten.
  virtual Outcome step(const Team& team, const std::vector<Tensor>& tensors,
                       Objective<T>& objective, double loss, T* w, T* g) = 0;
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
