// Derivatives of second order of a network's loss: products with its Gauss-Newton matrix
// G = J' H J, J being the outputs' derivative by the parameters and H the loss's second one by the
// outputs (Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent",
// 2002), and samples of the layers' dz whose covariance is that of G. Penalties are not in G.
#pragma once

#include "linalg/reductions.hpp"
#include "nn/network.hpp"
#include "nn/output_curvature.hpp"

namespace pyae {

template <class T>
class Curvature {
 public:
  // A batch that has passed forward through `work`, at the parameters w, and what became of it.
  struct Passed {
    Workspace<T>& work;
    const T *x, *t, *weights;
    Index rows, counted;
    const T* w;
  };

  explicit Curvature(const Network<T>& network) : network_(network) {}

  // out (n_parameters) = G v.
  void product(const Team& team, const Passed& batch, Block block, const T* v, T* out) {
    const Pass<T> pass = enter(team, batch, block);
    const T* ry = tangent(pass, v, 0);
    output_product(pass, batch, ry, delta_[0].ensure(size_));
    std::fill_n(batch.work.touched.get(), states_.size(), false);
    back_propagate(pass, [&](const Layer<T>& layer, Index, const T* x, const T* dz) {
      layer.backward_parameters(pass, x, dz, out, batch.work.touched.get());
    });
  }

  // u' G u, u' G v, v' G v, without a way back; v may be null.
  std::array<double, 3> forms(const Team& team, const Passed& batch, Block block, const T* u,
                              const T* v) {
    const Pass<T> pass = enter(team, batch, block);
    const Index n = block.count * network_.n_outputs();
    T* h = delta_[0].ensure(size_);
    const T* ru = tangent(pass, u, 0);
    output_product(pass, batch, ru, h, false);
    std::array<double, 3> result{dot(team, ru, h, n), 0, 0};
    if (v == nullptr) return result;
    const T* rv = tangent(pass, v, 1);
    result[1] = dot(team, rv, h, n);
    output_product(pass, batch, rv, h, false);
    result[2] = dot(team, rv, h, n);
    return result;
  }

  // Shows visit(layer's number, x, dz) each layer's input and a random dz, from the last layer to
  // the first; dz' dz has the mean sum_i (dz_i' dz_i) that G's block of z has.
  template <class Visit>
  void samples(const Team& team, const Passed& batch, Block block, std::uint64_t turn,
               const Visit& visit) {
    sample(enter(team, batch, block), batch, turn,
           [&](const Layer<T>&, Index l, const T* x, const T* dz) { visit(l, x, dz); });
  }

  // out (n_parameters) = an estimate of G's diagonal, sum_i x_i^2 dz_i^2 of such dz; what different
  // uses of one kernel have to do with each other is left out.
  void diagonal(const Team& team, const Passed& batch, Block block, std::uint64_t turn, T* out) {
    const Pass<T> pass = enter(team, batch, block);
    const auto squares = [&](const T* from, Index n, Buffer<T>& buffer) {
      T* to = buffer.ensure(n);
      team.for_ranges(n, kPassGrain, 0.3, [&](Index begin, Index end) {
        map_row(from + begin, to + begin, end - begin, [](Vec<T> v) { return v * v; });
      });
      return to;
    };
    std::fill_n(batch.work.touched.get(), states_.size(), false);
    sample(pass, batch, turn, [&](const Layer<T>& layer, Index, const T* x, const T* dz) {
      layer.backward_parameters(pass, squares(x, block.count * layer.inputs(), tangent_[0]),
                                squares(dz, block.count * layer.units(), tangent_[1]), out,
                                batch.work.touched.get());
    });
  }

 private:
  // What G's factor 1/n is for a block that stands for its batch.
  T scale(const Passed& batch, Block block) const {
    const double n = static_cast<double>(batch.rows);
    const double of_batch = network_.sum_reduction() ? n
                            : batch.counted > 0      ? n / static_cast<double>(batch.counted)
                                                     : 0;
    return static_cast<T>(of_batch / static_cast<double>(block.count));
  }

  Pass<T> enter(const Team& team, const Passed& batch, Block block) {
    const Pass<T> pass{team, batch.work.scratch, batch.w, block.count};
    x_ = batch.x + block.first * network_.n_features();
    targets_ = batch.t + block.first * network_.n_targets();
    weights_ = batch.weights == nullptr ? nullptr : batch.weights + block.first;
    states_.assign(batch.work.states.begin(), batch.work.states.end());
    Index widest = 0;
    for (std::size_t l = 0; l < states_.size(); ++l) {
      const Index units = network_.layer(static_cast<Index>(l)).units();
      LayerState<T>& state = states_[l];
      state.penalty = {};
      state.y += block.first * units;
      if (state.z != nullptr) state.z += block.first * units;
      widest = std::max(widest, units);
    }
    size_ = block.count * widest;
    // A penalty on the last layer's output has used its place (Network::output_delta).
    const Layer<T>& last = network_.layer(network_.n_layers() - 1);
    if (!is_empty(last.activity_penalty())) {
      LayerState<T>& state = states_.back();
      state.y = output_.ensure(block.count * last.units());
      last.forward(pass, states_.size() == 1 ? x_ : states_[states_.size() - 2].y, state);
    }
    return pass;
  }

  // How fast the outputs change with the parameters along v.
  const T* tangent(const Pass<T>& pass, const T* v, int which) {
    const T *x = x_, *rx = nullptr;
    for (std::size_t l = 0; l < states_.size(); ++l) {
      // The result of the last layer has a place of its own for each of two directions.
      Buffer<T>& place = l + 1 == states_.size() ? tangent_[2 + which] : tangent_[l % 2];
      T* ry = place.ensure(size_);
      network_.layer(static_cast<Index>(l)).forward_tangent(pass, v, x, rx, states_[l], ry);
      x = states_[l].y;
      rx = ry;
    }
    return rx;
  }

  // H ry, and as dz of the last layer where asked for.
  void output_product(const Pass<T>& pass, const Passed& batch, const T* ry, T* out,
                      bool as_dz = true) {
    curvature_rows(pass.team, network_.training_loss(), targets_, states_.back().y, pass.batch,
                   network_.n_outputs(), weights_, scale(batch, {0, pass.batch}), ry, out);
    if (as_dz) to_dz(pass, out);
  }

  void to_dz(const Pass<T>& pass, T* delta) const {
    const LayerState<T>& state = states_.back();
    if (std::holds_alternative<Linear>(*state.activation)) return;
    activate_vjp(pass.team, *state.activation, state.z, state.y, delta, delta, pass.batch,
                 network_.n_outputs());
  }

  template <class Visit>
  void sample(const Pass<T>& pass, const Passed& batch, std::uint64_t turn, const Visit& visit) {
    T* delta = delta_[0].ensure(size_);
    sample_curvature_rows(pass.team, network_.training_loss(), targets_, states_.back().y,
                          pass.batch, network_.n_outputs(), weights_, scale(batch, {0, pass.batch}),
                          Random(network_.seed(), Stream::curvature, turn), delta);
    to_dz(pass, delta);
    back_propagate(pass, visit);
  }

  template <class Visit>
  void back_propagate(const Pass<T>& pass, const Visit& visit) {
    network_.back_propagate(pass, states_, x_, delta_[0].data(), delta_[1].ensure(size_), visit);
  }

  const Network<T>& network_;
  const T *x_ = nullptr, *targets_ = nullptr, *weights_ = nullptr;  // of the block
  std::vector<LayerState<T>> states_;
  Index size_ = 0;                   // rows of the block times the widest layer
  Buffer<T> tangent_[4], delta_[2];  // (block, widest layer)
  Buffer<T> output_;                 // (block, outputs)
};

}  // namespace pyae
