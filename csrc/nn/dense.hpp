// The dense layer: z = x W + b, y = f(z); and its way back:
//   dz = dy * f'(z),  dW = x^T dz,  db = column sums of dz,  dx = dz W^T.
// Bias and activation going forward, penalty and derivative going back are epilogues of the
// products.
#pragma once

#include "nn/layer.hpp"

namespace pyae {

template <class T>
class Dense final : public Layer<T> {
 public:
  // `kernel` and `bias` are offsets into the flat block; a tied layer is given its owner's kernel.
  Dense(const DenseSpec& spec, Index layer, Index inputs, Index kernel, Index bias)
      : units_(spec.units),
        use_bias_(spec.use_bias),
        activation_(make_item<Activation>(spec.activation, "activation")),
        activity_penalty_(make_activity_penalty(spec.activity_penalty)),
        owner_(spec.tied_to < 0 ? layer : spec.tied_to),
        tied_(spec.tied_to >= 0),
        inputs_(inputs),
        kernel_(kernel),
        bias_(bias) {}

  Index inputs() const override { return inputs_; }
  Index units() const override { return units_; }
  const Activation& activation() const override { return activation_; }
  const ActivityPenalty& activity_penalty() const override { return activity_penalty_; }

  void pack_kernel(const Pass<T>& pass, PackedOperand<T>& packed) const override;
  void forward(const Pass<T>& pass, const T* x, LayerState<T>& state) const override;
  void forward_tangent(const Pass<T>& pass, const T* v, const T* x, const T* rx,
                       const LayerState<T>& state, T* ry) const override;
  void backward_parameters(const Pass<T>& pass, const T* x, const T* dz, T* gradients,
                           bool* touched) const override;
  void backward_input(const Pass<T>& pass, const T* dz, T* dx, Epilogue<T> epilogue) const override;
  Epilogue<T> delta_epilogue(const LayerState<T>& state) const override;
  void finish_delta(const Pass<T>& pass, const LayerState<T>& state, T* delta) const override;

 private:
  // W (inputs, units), or the owner's transpose.
  Operand<T> kernel(const T* parameters) const;

  Index units_;
  bool use_bias_;
  Activation activation_;
  ActivityPenalty activity_penalty_;
  Index owner_;  // the layer whose kernel this one uses
  bool tied_;    // it is another's, transposed
  Index inputs_, kernel_, bias_;
};

}  // namespace pyae
