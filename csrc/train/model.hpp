// A network with its optimizer and all that trains them, behind an interface that the instruction
// set leaves no trace in: what the binding holds.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/specs.hpp"
#include "optim/specs.hpp"
#include "train/fit.hpp"

namespace pyae {

template <class T>
class Model {
 public:
  virtual ~Model() = default;

  virtual Index outputs_of(Index n_layers) const = 0;  // the first so many layers; 0: n_features
  virtual bool targets_are_classes() const = 0;
  virtual const std::vector<TensorPlace>& tensors() const = 0;
  virtual Index n_parameters() const = 0;

  // What training changes. Epochs count over all fits.
  virtual const T* parameters() const = 0;  // (n_parameters)
  virtual T* changing_parameters() = 0;     // for whoever will write there, at once
  virtual OptimizerState<T>& optimizer_state() = 0;
  virtual const EarlyStoppingState<T>& early_stopping_state() const = 0;
  virtual std::uint64_t epochs_trained() const = 0;
  virtual std::uint64_t seed() const = 0;
  virtual void set_position(std::uint64_t seed, std::uint64_t epochs_trained) = 0;

  // Shapes, which need no look at the data. These and all below throw std::invalid_argument.
  virtual void check_inputs(const RowSource& x, const std::string& name) const = 0;
  virtual void check_shapes(const DataSet<T>& data) const = 0;

  // The following look at every value of inputs and targets before they do anything else. They
  // throw Interrupted when the interrupt says so, and leave a usable model.

  // Early stopping goes on from `reached`.
  virtual FitResult fit(int n_threads, const DataSet<T>& data, const DataSet<T>* validation,
                        const FitOptions& options, EarlyStoppingState<T> reached, Hook& hook) = 0;

  // The mean loss over a data set, penalties included.
  virtual double evaluate(int n_threads, Interrupt& interrupt, const DataSet<T>& data,
                          Index batch_size) const = 0;

  // Outputs of the first `upto` layers, into y (rows, outputs_of(upto)). Any number of threads may
  // call this at once.
  virtual void forward(int n_threads, Interrupt& interrupt, const RowSource& x, Index upto,
                       T* y) const = 0;

  // The loss of one batch, all of the data, and its gradients (n_parameters).
  virtual double loss_and_gradients(int n_threads, Interrupt& interrupt, const DataSet<T>& data,
                                    T* gradients) const = 0;

  // G v of one batch, all of the data, G being the loss's Gauss-Newton matrix without penalties;
  // v and out (n_parameters).
  virtual void gauss_newton(int n_threads, Interrupt& interrupt, const DataSet<T>& data, const T* v,
                            T* out) const = 0;
};

template <class T>
std::unique_ptr<Model<T>> make_model(const NetworkSpec& network, const OptimizerSpec& optimizer,
                                     Index n_features, std::uint64_t seed);

}  // namespace pyae
