// The one loop that applies any first-order rule.
#include "optim/first_order.hpp"

#include <atomic>
#include <functional>

#include "linalg/reductions.hpp"

namespace pyae {
namespace {

template <class T>
class FirstOrder final : public Optimizer<T> {
 public:
  FirstOrder(OptimizerSpec spec, FirstOrderRule rule, Index n)
      : Optimizer<T>(std::move(spec)), rule_(std::move(rule)), n_(n) {
    reset();
  }

  Index n_slots() const {
    return std::visit([](const auto& rule) { return rule.n_slots(); }, rule_);
  }

  void reset() override {
    auto& state = this->state_;
    state.step = 0;
    state.scalar = 1;
    const double initial = std::visit([](const auto& rule) { return rule.initial_slot(); }, rule_);
    T* slots = state.slots.ensure(n_slots() * n_);
    std::fill_n(slots, n_slots() * n_, static_cast<T>(initial));
  }

  // While it is used, g is overwritten with the old w, for the case that a new one is not finite.
  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>&, double, T* w,
               T* g) override {
    const double lr = this->learning_rate();
    const Clipping& clipping = this->spec_.clipping;
    const double overall =
        clipping.global_norm > 0 ? shrink(clipping.global_norm, square_norm(team, g, n_)) : 1;
    ++this->state_.step;
    return std::visit(
        [&](const auto& rule) {
          const auto scalars =
              rule.prepare(lr, static_cast<double>(this->state_.step), this->state_.scalar);
          const auto update = [&](bool is_kernel, Index first, Index count, double scale) {
            return update_range(rule, scalars, is_kernel, first, count, scale, w, g);
          };
          return update_all(team, tensors, overall, std::cref(update), w, g);
        },
        rule_);
  }

 private:
  static double square_norm(const Team& team, const T* g, Index n) {
    return ordered_sum(team, g, n, [](Vec<T> v) { return v * v; });
  }
  static double shrink(double limit, double square_norm) {
    return limit / std::max(std::sqrt(square_norm), limit);
  }

  // f(is_kernel, first parameter, number of parameters, scale of the gradients): false when a
  // value is not finite. The loop that calls it is compiled once for all rules.
  using Update = std::function<bool(bool, Index, Index, double)>;

  Outcome update_all(const Team& team, const std::vector<Tensor>& tensors, double overall,
                     const Update& update, T* w, T* g) const {
    const double limit = this->spec_.clipping.norm;
    std::atomic<bool> finite{true};
    for (const Tensor& tensor : tensors) {
      double scale = overall;
      if (limit > 0) scale = shrink(limit, square_norm(team, g + tensor.offset, tensor.size()));
      team.for_ranges(tensor.size(), 8192, 1.5, [&](Index begin, Index end) {
        if (!update(tensor.is_kernel, tensor.offset + begin, end - begin, scale)) finite = false;
      });
    }
    if (!finite) std::copy_n(g, n_, w);
    return finite ? Outcome::updated : Outcome::diverged;
  }

  // Rule and scalars are copies: the compiler then knows that no store changes them.
  template <class Rule>
  bool update_range(Rule rule, typename Rule::Step scalars, bool is_kernel, Index first,
                    Index count, double scale, T* w, T* g) {
    using V = Vec<T>;
    constexpr Index kMostSlots = 3;
    const Index slots = rule.n_slots(), n = n_;
    const double limit = this->spec_.clipping.value;
    T* slot = this->state_.slots.data() + first;
    w += first;
    g += first;
    IntVec<V> bad{};
    for_lanes<T>(count, [&](Index i, Index lanes) {
      V gradient = load_up_to(g + i, lanes);
      if (scale != 1) gradient *= splat<V>(scale);
      if (limit > 0) gradient = at_least(at_most(gradient, splat<V>(limit)), splat<V>(-limit));
      V own[kMostSlots] = {};
      for (Index k = 0; k < slots; ++k) own[k] = load_up_to(slot + k * n + i, lanes);
      const V before = load_up_to(w + i, lanes);
      const V after = rule.update(before, gradient, own, scalars, is_kernel);
      bad |= ~is_finite(after);
      store_up_to(w + i, after, lanes);
      store_up_to(g + i, before, lanes);
      for (Index k = 0; k < slots; ++k) store_up_to(slot + k * n + i, own[k], lanes);
    });
    return !any(bad);
  }

  FirstOrderRule rule_;
  Index n_;
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_first_order(OptimizerSpec spec, FirstOrderRule rule,
                                               Index n_parameters) {
  return std::make_unique<FirstOrder<T>>(std::move(spec), std::move(rule), n_parameters);
}

template std::unique_ptr<Optimizer<float>> make_first_order(OptimizerSpec, FirstOrderRule, Index);
template std::unique_ptr<Optimizer<double>> make_first_order(OptimizerSpec, FirstOrderRule, Index);

}  // namespace pyae
