// What a layer offers a network, and what the network keeps for it while a batch passes through.
#pragma once

#include "linalg/matmul.hpp"
#include "nn/apply.hpp"
#include "nn/penalties.hpp"
#include "nn/specs.hpp"

namespace pyae {

// A tensor of the flat block, and what is added to the loss for it.
struct Tensor : TensorPlace {
  L1L2 penalty;
};

// A stretch of a batch's rows, which stand for the whole batch.
struct Block {
  Index first, count;
};

// A layer's own part of the workspace, for one batch.
template <class T>
struct LayerState {
  const Activation* activation = nullptr;  // the layer's, or linear where it stops at its logits
  const T* bias = nullptr;                 // (units)
  T* z = nullptr;                          // z (batch, units), kept where back-propagation needs it
  T* y = nullptr;                          // y (batch, units)
  T* column = nullptr;                     // (units), for a penalty on the activity
  const PackedOperand<T>* kernel = nullptr;  // for forward passes alone: W, packed beforehand
  ActivityGradient<T> penalty;               // how that penalty is differentiated
};

// Shared by all layers during one pass.
template <class T>
struct Pass {
  const Team& team;
  MatmulScratch<T>& scratch;
  const T* parameters;  // the flat block
  Index batch;
};

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Index inputs() const = 0;
  virtual Index units() const = 0;
  virtual const Activation& activation() const = 0;
  virtual const ActivityPenalty& activity_penalty() const = 0;

  // W for `LayerState::kernel`.
  virtual void pack_kernel(const Pass<T>& pass, PackedOperand<T>& packed) const = 0;
  // y = f(x W + b), x (batch, inputs). `state` says which f, and where y and z go.
  virtual void forward(const Pass<T>& pass, const T* x, LayerState<T>& state) const = 0;

  // How fast y changes when the parameters change as v (the flat block) and x as rx (batch,
  // inputs), null for not at all: ry = f'(z) (rx W + x V + v_b). `state` is that of the forward
  // pass, without a penalty.
  virtual void forward_tangent(const Pass<T>& pass, const T* v, const T* x, const T* rx,
                               const LayerState<T>& state, T* ry) const = 0;

  // The gradients of the parameters, from dz (batch, units), into their places in the flat block.
  // `touched[layer]` says whose kernel's gradient already holds something, which is added to.
  virtual void backward_parameters(const Pass<T>& pass, const T* x, const T* dz, T* gradients,
                                   bool* touched) const = 0;

  // dx (batch, inputs) from dz (batch, units); the epilogue is that of the layer below.
  virtual void backward_input(const Pass<T>& pass, const T* dz, T* dx,
                              Epilogue<T> epilogue) const = 0;

  // What turns dL/dy, tile by tile, into dz: adds the activity penalty, multiplies by f'.
  virtual Epilogue<T> delta_epilogue(const LayerState<T>& state) const = 0;
  // What of this can only be done on whole rows (softmax), in place.
  virtual void finish_delta(const Pass<T>& pass, const LayerState<T>& state, T* delta) const = 0;
};

}  // namespace pyae
