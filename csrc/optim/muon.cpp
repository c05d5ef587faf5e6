#include "optim/muon.hpp"

#include <cmath>

#include "linalg/polar.hpp"
#include "optim/update.hpp"

namespace pyae {
namespace {

// The direction that the momentum makes of a gradient: m = momentum m + g; m, or with Nesterov
// g + momentum m.
struct Direction {
  double momentum;
  bool nesterov;
  struct Step {};
  Index n_slots() const { return 1; }
  template <class V>
  V update(V, V g, V* slot, const Step&, bool) const {
    slot[0] = splat<V>(momentum) * slot[0] + g;
    return nesterov ? g + splat<V>(momentum) * slot[0] : slot[0];
  }
};

template <class T>
class MuonOptimizer final : public Optimizer<T> {
 public:
  MuonOptimizer(OptimizerSpec spec, Muon settings, const NetworkFacts& network)
      : Optimizer<T>(std::move(spec)),
        settings_(settings),
        n_(network.n_parameters),
        last_layer_(network.n_layers - 1) {
    adam_.beta_1 = settings.adam_beta_1;
    adam_.beta_2 = settings.adam_beta_2;
    adam_.epsilon = settings.epsilon;
    for (const Tensor& tensor : network.tensors) {
      if (is_hidden(tensor)) largest_ = std::max(largest_, tensor.size());
    }
    reset();
  }

  // The slots are Adam's m and v; hidden kernels have the momentum in place of m, and no v.
  void reset() override {
    auto& state = this->state_;
    state.step = 0;
    state.scalar = 1;
    const Index size = adam_.n_slots() * n_;
    std::fill_n(state.slots.ensure(size), size, T(0));
  }

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>&, double, T* w,
               T* g) override {
    auto& state = this->state_;
    const double lr = this->learning_rate();
    const Clips<T> clips(team, this->spec_.clipping, g, n_);
    ++state.step;
    const Adam::Step scalars =
        adam_.prepare(settings_.adam_lr_ratio * lr, static_cast<double>(state.step), state.scalar);
    bool finite = true;
    for (const Tensor& tensor : tensors) {
      const Index first = tensor.offset;
      const Clip clip = clips.of(g + first, tensor.size());
      const bool well = is_hidden(tensor) ? turn(team, tensor, clip, lr, w + first, g + first)
                                          : update(team, adam_, scalars, clip, tensor, w + first,
                                                   g + first, w + first);
      finite = well && finite;
    }
    if (!finite) std::copy_n(g, n_, w);
    return finite ? Outcome::updated : Outcome::diverged;
  }

 private:
  bool is_hidden(const Tensor& tensor) const {
    return tensor.is_kernel && tensor.layer > 0 && tensor.layer < last_layer_;
  }

  // As `update_range`, for a whole tensor.
  template <class Rule>
  bool update(const Team& team, const Rule& rule, const typename Rule::Step& scalars,
              const Clip& clip, const Tensor& tensor, const T* w, T* g, T* to) {
    T* slots = this->state_.slots.data() + tensor.offset;
    return for_updates(team, tensor.size(), [&](Index begin, Index end) {
      return update_range(rule, scalars, tensor.is_kernel, clip, end - begin, slots + begin, n_,
                          w + begin, g + begin, to + begin);
    });
  }

  // w -= lr 0.2 sqrt(max(rows, columns)) O: as long a step as Adam's tend to be.
  bool turn(const Team& team, const Tensor& tensor, const Clip& clip, double lr, T* w, T* g) {
    T* direction = direction_.ensure(largest_);
    const Direction rule{settings_.momentum, settings_.nesterov};
    if (!update(team, rule, {}, clip, tensor, w, g, direction)) return false;
    if (!orthogonalize(team, scratch_, direction, tensor.rows, tensor.columns,
                       settings_.ns_steps)) {
      return false;
    }
    const auto longer = static_cast<double>(std::max(tensor.rows, tensor.columns));
    return update(team, Sgd{}, {lr * 0.2 * std::sqrt(longer)}, {}, tensor, w, direction, w);
  }

  Muon settings_;
  Adam adam_;
  Index n_, last_layer_, largest_ = 0;
  Buffer<T> direction_;  // (rows, columns) of a hidden kernel
  PolarScratch<T> scratch_;
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_muon(OptimizerSpec spec, Muon settings,
                                        const NetworkFacts& network) {
  return std::make_unique<MuonOptimizer<T>>(std::move(spec), settings, network);
}

template std::unique_ptr<Optimizer<float>> make_muon(OptimizerSpec, Muon, const NetworkFacts&);
template std::unique_ptr<Optimizer<double>> make_muon(OptimizerSpec, Muon, const NetworkFacts&);

}  // namespace pyae
