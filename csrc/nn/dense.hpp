// The dense layer: z = x W + b, y = f(z); and its way back:
//   dz = dy * f'(z),  dW = x^T dz,  db = column sums of dz,  dx = dz W^T.
// Bias and activation going forward, penalty and derivative going back are epilogues of the
// products.
#pragma once

#include "nn/layer.hpp"

namespace pyae {

struct DenseSpec {
  Index units = 0;
  Activation activation;
  bool use_bias = true;
  Options initializer;
  L1L2 kernel_penalty, bias_penalty;
  ActivityPenalty activity_penalty;
  Index tied_to = -1;  // the layer whose kernel's transpose this one uses
};

template <class T>
class Dense final : public Layer<T> {
 public:
  // `kernel` and `bias` are offsets into the flat block; a tied layer is given its owner's kernel.
  Dense(const DenseSpec& spec, Index layer, Index inputs, Index kernel, Index bias)
      : spec_(spec), layer_(layer), inputs_(inputs), kernel_(kernel), bias_(bias) {}

  Index inputs() const override { return inputs_; }
  Index units() const override { return spec_.units; }
  const Activation& activation() const override { return spec_.activation; }
  const ActivityPenalty& activity_penalty() const override { return spec_.activity_penalty; }

  void forward(const Pass<T>& pass, const T* x, LayerState<T>& state) const override;
  void backward_parameters(const Pass<T>& pass, const T* x, const T* dz, T* gradients,
                           bool* touched) const override;
  void backward_input(const Pass<T>& pass, const T* dz, T* dx, Epilogue<T> epilogue) const override;
  Epilogue<T> delta_epilogue(const LayerState<T>& state) const override;
  void finish_delta(const Pass<T>& pass, const LayerState<T>& state, T* delta) const override;

 private:
  // W (inputs, units), or the owner's transpose.
  Operand<T> kernel(const T* parameters) const;

  DenseSpec spec_;
  Index layer_, inputs_, kernel_, bias_;
};

}  // namespace pyae
