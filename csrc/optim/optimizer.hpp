// What an optimizer offers the trainer: code over flat arrays that knows nothing of layers beyond
// which stretch of parameters is which tensor.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/layer.hpp"
#include "optim/specs.hpp"

namespace pyae {

// What an optimizer knows of a network before it sees a batch.
struct NetworkFacts {
  std::vector<Tensor> tensors;
  Index n_parameters = 0;
  Index n_layers = 0;
  bool tied = false;           // a layer uses another one's kernel
  std::string no_curvature{};  // why there is no Gauss-Newton matrix, or empty
};

// The loss of the batch at hand, penalties included, as a function of all parameters: for
// optimizers that look at more points than the one they stand at.
template <class T>
class Objective {
 public:
  virtual ~Objective() = default;
  // The loss at w (n); its gradient goes into g (n), if that is not null.
  virtual double evaluate(const T* w, T* g) = 0;

  // The following are of the point w that was evaluated last, of a block of the batch's rows, and
  // of the loss without penalties.
  virtual Index rows() const = 0;
  // out (n) = G v, G being the Gauss-Newton matrix.
  virtual void gauss_newton(Block block, const T* w, const T* v, T* out) = 0;
  // u' G u, u' G v and v' G v; v may be null.
  virtual std::array<double, 3> gauss_newton_forms(Block block, const T* w, const T* u,
                                                   const T* v) = 0;
  // Each layer's inputs x (rows, inputs) and a random dz (rows, units), from the last layer to the
  // first; the mean of dz' dz is that of G's block of z. Another `turn` brings other random dz.
  using Visit = std::function<void(Index layer, const T* x, const T* dz)>;
  virtual void sample(Block block, const T* w, std::uint64_t turn, const Visit& visit) = 0;
  // An estimate of G's diagonal (n) from such dz.
  virtual void curvature_diagonal(Block block, const T* w, std::uint64_t turn, T* out) = 0;
};

enum class Outcome {
  updated,
  converged,  // no step makes the loss smaller; w is as it was
  stalled,    // none was found, though there should be one; w is as it was
  diverged,   // a value would become non-finite; w is as it was
};

template <class T>
class Optimizer {
 public:
  explicit Optimizer(OptimizerSpec spec) : spec_(std::move(spec)) {}
  virtual ~Optimizer() = default;

  // Whether the last point that a step evaluates, with its gradient, is the one it takes.
  virtual bool ends_where_evaluated() const { return false; }
  // One update of w (n), where the objective is `loss` and its gradient g (n); g is overwritten.
  virtual Outcome step(const Team& team, const std::vector<Tensor>& tensors,
                       Objective<T>& objective, double loss, T* w, T* g) = 0;
  virtual void reset() = 0;  // forgets everything

  double learning_rate() const { return spec_.learning_rate(state_.step); }
  OptimizerState<T>& state() { return state_; }
  const OptimizerState<T>& state() const { return state_; }

 protected:
  OptimizerSpec spec_;
  OptimizerState<T> state_;
};

}  // namespace pyae
