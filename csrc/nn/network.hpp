// A network: layers over one flat block of parameters (W0, b0, W1, b1, ...); gradients come in the
// same order. Everything a batch needs while it passes is in a Workspace, so that a step after the
// first allocates nothing and several threads may predict at once.
#pragma once

#include <memory>
#include <vector>

#include "nn/dense.hpp"
#include "nn/initializers.hpp"
#include "nn/losses.hpp"

namespace pyae {

// A batch's loss in parts, so that an epoch's loss is a mean over samples, not over batches.
struct BatchLoss {
  double data = 0;     // sum of w_i l_i
  Index counted = 0;   // samples in the mean
  double penalty = 0;  // of parameters and activity

  double mean(bool sum_reduction) const {
    if (sum_reduction) return data + penalty;
    return (counted > 0 ? data / static_cast<double>(counted) : 0) + penalty;
  }
};

template <class T>
struct Workspace {
  Index batch = 0;  // rows it has room for
  Buffer<T> arena;
  std::vector<LayerState<T>> states;
  // (batch, widest of every second layer): of the last layer, of the one before, and so on in turn.
  T* delta[2] = {nullptr, nullptr};
  std::unique_ptr<bool[]> touched;
  MatmulScratch<T> scratch;
};

// The same for rows that pass forward only: a layer's output is needed until the next one's is
// made.
template <class T>
struct Passage {
  Buffer<T> outputs[2];
  MatmulScratch<T> scratch;
};

template <class T>
class Network {
 public:
  Network(const NetworkSpec& spec, Index n_features, std::uint64_t seed)
      : loss_(make_item<Loss>(spec.loss, "loss")),
        training_loss_(loss_),
        sum_reduction_(spec.sum_reduction),
        precision_(spec.bfloat16 ? Precision::bfloat16 : Precision::full),
        n_features_(n_features),
        seed_(seed) {
    build(spec.layers);
    initialize_parameters(spec.layers);
  }

  Index n_features() const { return n_features_; }
  Index n_outputs() const { return layers_.back()->units(); }
  Index n_layers() const { return static_cast<Index>(layers_.size()); }
  Index units(Index layer) const { return layers_[static_cast<std::size_t>(layer)]->units(); }
  Index n_targets() const { return target_columns(loss_, n_outputs()); }
  const Layer<T>& layer(Index l) const { return *layers_[static_cast<std::size_t>(l)]; }
  const Loss& loss() const { return loss_; }
  // The loss as a function of what the last layer gives in training: of its logits, it may be.
  const Loss& training_loss() const { return training_loss_; }
  bool sum_reduction() const { return sum_reduction_; }
  std::uint64_t seed() const { return seed_; }
  void set_seed(std::uint64_t seed) { seed_ = seed; }  // of shuffles and noise from now on
  const std::vector<Tensor>& tensors() const { return tensors_; }
  // Whether a layer uses another one's kernel.
  bool is_tied() const {
    const auto owned = std::count_if(tensors_.begin(), tensors_.end(),
                                     [](const Tensor& tensor) { return tensor.is_kernel; });
    return static_cast<Index>(owned) < n_layers();
  }
  Index n_parameters() const { return parameters_.size(); }
  T* parameters() { return parameters_.data(); }
  const T* parameters() const { return parameters_.data(); }

  // Sizes a workspace for `batch` rows; does nothing when it is large enough.
  void prepare(Workspace<T>& work, Index batch) const {
    work.scratch.precision = precision_;
    if (work.batch >= batch && !work.states.empty()) return;
    Index total = 0;
    Index widest[2] = {n_outputs(), n_outputs()};  // the second holds the last layer's output, too
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const auto& layer = layers_[l];
      Index& in_turn = widest[(layers_.size() - 1 - l) % 2];
      in_turn = std::max(in_turn, layer->units());
      const Index kept = needs_input(layer->activation()) ? 2 : 1;
      total += padded(checked_product(batch, layer->units(), "a batch's output")) * kept +
               padded(layer->units());
    }
    for (const Index units : widest) {
      total += padded(checked_product(batch, units, "a batch's output"));
    }
    T* next = work.arena.ensure(total);
    const auto take = [&](Index size) { return std::exchange(next, next + padded(size)); };
    work.states.assign(layers_.size(), {});
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const Index size = batch * layers_[l]->units();
      work.states[l].y = take(size);
      if (needs_input(layers_[l]->activation())) work.states[l].z = take(size);
      work.states[l].column = take(layers_[l]->units());
    }
    for (int i = 0; i < 2; ++i) work.delta[i] = take(batch * widest[i]);
    work.touched.reset(new bool[layers_.size()]);
    work.batch = batch;
  }

  // The first `upto` layers' kernels as `predict` reads them.
  std::vector<PackedOperand<T>> pack_kernels(const Team& team, Passage<T>& work, Index upto) const {
    work.scratch.precision = precision_;
    const Pass<T> pass{team, work.scratch, parameters(), 0};
    std::vector<PackedOperand<T>> kernels(static_cast<std::size_t>(upto));
    for (Index l = 0; l < upto; ++l) {
      layer(l).pack_kernel(pass, kernels[static_cast<std::size_t>(l)]);
    }
    return kernels;
  }

  // Output of the first `upto` layers, one or more, for x (batch, n_features), into y.
  void predict(const Team& team, Passage<T>& work, const std::vector<PackedOperand<T>>& kernels,
               const T* x, Index batch, Index upto, T* y) const {
    work.scratch.precision = precision_;
    const Pass<T> pass{team, work.scratch, parameters(), batch};
    for (Index l = 0; l < upto; ++l) {
      const Layer<T>& layer = *layers_[static_cast<std::size_t>(l)];
      LayerState<T> state;
      state.activation = &layer.activation();
      state.kernel = &kernels[static_cast<std::size_t>(l)];
      state.y = l + 1 == upto ? y : work.outputs[l % 2].ensure(batch * layer.units());
      layer.forward(pass, x, state);
      x = state.y;
    }
  }

  // Loss of a batch; t (batch, n_targets), weights (batch) or null. At other parameters than the
  // network's own where `at` is given.
  BatchLoss evaluate(const Team& team, Workspace<T>& work, const T* x, const T* t, const T* weights,
                     Index batch, const T* at = nullptr) const {
    prepare(work, batch);
    const Pass<T> pass{team, work.scratch, at == nullptr ? parameters() : at, batch};
    const T* y = run(pass, work, x, n_layers(), true);
    BatchLoss loss;
    loss.penalty = penalty(pass, work, nullptr);
    loss.counted = counted_rows(training_loss_, t, batch);
    loss.data = loss_rows<T>(team, training_loss_, t, y, batch, n_outputs(), weights, T(0), nullptr,
                             nullptr);
    return loss;
  }

  // Loss of a batch, and the gradients of loss and penalties by all parameters, (n_parameters); at
  // other parameters than the network's own where `at` is given.
  BatchLoss loss_and_gradients(const Team& team, Workspace<T>& work, const T* x, const T* t,
                               const T* weights, Index batch, T* gradients,
                               const T* at = nullptr) const {
    prepare(work, batch);
    const Pass<T> pass{team, work.scratch, at == nullptr ? parameters() : at, batch};
    const T* y = run(pass, work, x, n_layers(), true);

    BatchLoss loss;
    loss.penalty = activity_penalties(pass, work);
    loss.counted = counted_rows(training_loss_, t, batch);
    const T scale = sum_reduction_     ? T(1)
                    : loss.counted > 0 ? T(1) / static_cast<T>(loss.counted)
                                       : T(0);
    T* delta = work.delta[0];
    loss.data = loss_rows(team, training_loss_, t, y, batch, n_outputs(), weights, scale, delta,
                          static_cast<T*>(nullptr));
    output_delta(pass, work, delta);

    std::fill_n(work.touched.get(), layers_.size(), false);
    back_propagate(pass, work.states, x, delta, work.delta[1],
                   [&](const Layer<T>& layer, Index, const T* input, const T* dz) {
                     layer.backward_parameters(pass, input, dz, gradients, work.touched.get());
                   });
    loss.penalty += parameter_penalties(pass, gradients);
    return loss;
  }

  // Carries dz of the last layer, `delta`, down to the first one. `delta` has room for that of
  // every second layer from the last one on, `spare` for those between: they take turns.
  // visit(layer, its number, x, dz) sees each layer.
  template <class Visit>
  void back_propagate(const Pass<T>& pass, const std::vector<LayerState<T>>& states, const T* x,
                      T* delta, T* spare, const Visit& visit) const {
    for (std::size_t l = layers_.size(); l-- > 0;) {
      visit(*layers_[l], static_cast<Index>(l), l == 0 ? x : states[l - 1].y, delta);
      if (l == 0) break;
      const auto& state = states[l - 1];
      layers_[l]->backward_input(pass, delta, spare, layers_[l - 1]->delta_epilogue(state));
      layers_[l - 1]->finish_delta(pass, state, spare);
      std::swap(delta, spare);
    }
  }

 private:
  // Regions of a workspace start at multiples of a cache line.
  static Index padded(Index size) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(T));
    return (size + line - 1) / line * line;
  }

  void build(const std::vector<DenseSpec>& specs) {
    Index inputs = n_features_, offset = 0;
    for (std::size_t l = 0; l < specs.size(); ++l) {
      const DenseSpec& layer = specs[l];
      const L1L2 kernel_penalty = make_parameter_penalty(layer.kernel_penalty);
      const L1L2 bias_penalty = make_parameter_penalty(layer.bias_penalty);
      const auto index = static_cast<Index>(l);
      Index kernel = 0;
      if (layer.tied_to < 0) {
        kernel = offset;
        tensors_.push_back({{index, true, inputs, layer.units, offset}, kernel_penalty});
        offset += checked_product(inputs, layer.units, "a kernel");
      } else {
        kernel = owner_of(layer, index, inputs).offset;
      }
      const Index bias = offset;
      if (layer.use_bias) {
        tensors_.push_back({{index, false, 1, layer.units, offset}, bias_penalty});
        offset += layer.units;
      }
      layers_.push_back(std::make_unique<Dense<T>>(layer, index, inputs, kernel, bias));
      inputs = layer.units;
    }
    checked_product(offset, static_cast<Index>(sizeof(T)), "the network");
    parameters_.ensure(offset);
    // Where the loss has its canonical link for a last activation, training stops at the logits.
    stops_at_logits_ = link_to_logits(training_loss_, name_of(layers_.back()->activation()));
  }

  // The kernel that a tied layer uses the transpose of.
  const Tensor& owner_of(const DenseSpec& layer, Index index, Index inputs) const {
    const std::string where = "layer " + std::to_string(index) + ": tied_to ";
    for (const Tensor& tensor : tensors_) {
      if (tensor.layer != layer.tied_to || !tensor.is_kernel) continue;
      if (tensor.rows != layer.units || tensor.columns != inputs) {
        throw std::invalid_argument(where + "needs a kernel of shape (" +
                                    std::to_string(layer.units) + ", " + std::to_string(inputs) +
                                    "), but layer " + std::to_string(layer.tied_to) +
                                    " has one of shape (" + std::to_string(tensor.rows) + ", " +
                                    std::to_string(tensor.columns) + ")");
      }
      return tensor;
    }
    throw std::invalid_argument(where +
                                "must name an earlier layer with a kernel of its own, got " +
                                std::to_string(layer.tied_to));
  }

  void initialize_parameters(const std::vector<DenseSpec>& specs) {
    // Those of layers without a kernel of their own too: a wrong name is an error everywhere.
    std::vector<Initializer> initializers;
    for (const DenseSpec& spec : specs) {
      initializers.push_back(make_item<Initializer>(spec.initializer, "initializer"));
    }
    for (const Tensor& tensor : tensors_) {
      if (!tensor.is_kernel) continue;
      std::vector<double> kernel(static_cast<std::size_t>(tensor.size()));
      initialize(initializers[static_cast<std::size_t>(tensor.layer)], seed_,
                 static_cast<std::uint64_t>(tensor.layer), tensor.rows, tensor.columns,
                 kernel.data());
      std::transform(kernel.begin(), kernel.end(), parameters() + tensor.offset,
                     [](double value) { return static_cast<T>(value); });
    }
  }

  const T* run(const Pass<T>& pass, Workspace<T>& work, const T* x, Index upto,
               bool to_logits) const {
    for (std::size_t l = 0; l < static_cast<std::size_t>(upto); ++l) {
      LayerState<T>& state = work.states[l];
      const bool logits = to_logits && stops_at_logits_ && l + 1 == layers_.size();
      state.activation = logits ? &kLinear : &layers_[l]->activation();
      layers_[l]->forward(pass, x, state);
      x = state.y;
    }
    return x;
  }

  // Activity penalties of all layers; leaves in each state how to differentiate its own. A last
  // layer that stopped at its logits has its penalty on f(z), which is made in the spare delta.
  double activity_penalties(const Pass<T>& pass, Workspace<T>& work) const {
    double total = 0;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      LayerState<T>& state = work.states[l];
      const Layer<T>& layer = *layers_[l];
      const T* y = state.y;
      if (is_empty(layer.activity_penalty())) {
        state.penalty = {};
        continue;
      }
      if (stops_at_logits_ && l + 1 == layers_.size()) {
        activate(pass.team, layer.activation(), state.y, work.delta[1], pass.batch, layer.units());
        y = work.delta[1];
      }
      total += activity_penalty(pass.team, layer.activity_penalty(), y, pass.batch, layer.units(),
                                state.column, state.penalty);
    }
    return total;
  }

  double parameter_penalties(const Pass<T>& pass, T* gradients) const {
    double total = 0;
    for (const Tensor& tensor : tensors_) {
      if (tensor.penalty.empty()) continue;
      total += parameter_penalty(pass.team, tensor.penalty, pass.parameters + tensor.offset,
                                 gradients == nullptr ? nullptr : gradients + tensor.offset,
                                 tensor.size());
    }
    return total;
  }

  double penalty(const Pass<T>& pass, Workspace<T>& work, T* gradients) const {
    return activity_penalties(pass, work) + parameter_penalties(pass, gradients);
  }

  // dL/dz of the last layer, in place, from dL/dy - or dL/dz itself, when training stops at the
  // logits - and the activity penalty.
  void output_delta(const Pass<T>& pass, Workspace<T>& work, T* delta) const {
    const Layer<T>& layer = *layers_.back();
    LayerState<T>& state = work.states.back();
    const Index units = layer.units();
    if (!stops_at_logits_) {
      if (const Epilogue<T> epilogue = layer.delta_epilogue(state)) {
        pass.team.for_ranges(pass.batch, rows_of_pass(units), static_cast<double>(units),
                             [&](Index begin, Index end) {
                               epilogue(begin, 0, end - begin, units, delta + begin * units, units);
                             });
      }
      layer.finish_delta(pass, state, delta);
      return;
    }
    if (!state.penalty.active) return;
    // y = f(z) stands in the spare delta; it becomes the penalty's own dz, which is added.
    LayerState<T> own = state;
    own.activation = &layer.activation();
    own.y = work.delta[1];
    T* extra = state.y;  // the logits are not needed any more
    const auto size = static_cast<std::size_t>(pass.batch * units);
    std::fill_n(extra, size, T(0));
    layer.delta_epilogue(own)(0, 0, pass.batch, units, extra, units);
    layer.finish_delta(pass, own, extra);
    map_row(delta, extra, delta, pass.batch * units, [](Vec<T> a, Vec<T> b) { return a + b; });
  }

  static inline const Activation kLinear = Linear{};

  Loss loss_, training_loss_;
  bool sum_reduction_;
  Precision precision_;
  bool stops_at_logits_ = false;
  Index n_features_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<Tensor> tensors_;
  Buffer<T> parameters_;
};

}  // namespace pyae
