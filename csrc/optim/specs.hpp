// An optimizer as data, and what it remembers.
#pragma once

#include <cstdint>

#include "linalg/types.hpp"
#include "optim/schedules.hpp"

namespace pyae {

// Gradients are clipped before anything else sees them; at most one of these, 0 being none.
struct Clipping {
  double value = 0;        // each entry to [-value, value]
  double norm = 0;         // each tensor's L2 norm to at most this
  double global_norm = 0;  // the L2 norm of all gradients together
};

struct OptimizerSpec {
  Options options;  // name and hyper-parameters but for the learning rate
  Schedule learning_rate;
  Clipping clipping;
};

// Everything an optimizer remembers between steps.
template <class T>
struct OptimizerState {
  std::int64_t step = 0;  // updates done: counted once a step, not once a tensor
  double scalar = 1;      // a running product, or the damping, for the rules that have one
  std::int64_t kept = 0;  // pairs that L-BFGS ever kept
  std::int64_t idle = 0;  // its steps since the last one that gained something
  Buffer<T> slots;        // (n_slots, n_parameters), or as the optimizer says
};

}  // namespace pyae
