// The one loop that applies any first-order rule.
#include "optim/first_order.hpp"

#include <functional>

#include "optim/update.hpp"

namespace pyae {
namespace {

template <class T>
class FirstOrder final : public Optimizer<T> {
 public:
  FirstOrder(OptimizerSpec spec, FirstOrderRule rule, Index n)
      : Optimizer<T>(std::move(spec)),
        rule_(std::move(rule)),
        n_(n),
        whole_{Tensor{{0, true, 1, n, 0}, {}}} {
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

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>&, double, T* w,
               T* g) override {
    const double lr = this->learning_rate();
    const Clips<T> clips(team, this->spec_.clipping, g, n_);
    ++this->state_.step;
    return std::visit(
        [&](const auto& rule) {
          const auto scalars =
              rule.prepare(lr, static_cast<double>(this->state_.step), this->state_.scalar);
          const auto update = [&](bool is_kernel, const Clip& clip, Index first, Index count) {
            return update_range(rule, scalars, is_kernel, clip, count,
                                this->state_.slots.data() + first, n_, w + first, g + first,
                                w + first);
          };
          // Where a rule treats all tensors alike, they are one.
          using Rule = std::decay_t<decltype(rule)>;
          const bool alike = !std::is_same_v<Rule, AdamW> && this->spec_.clipping.norm == 0;
          return update_all(team, alike ? whole_ : tensors, clips, std::cref(update), w, g);
        },
        rule_);
  }

 private:
  // f(is_kernel, clip, first parameter, number of parameters): false when a value is not finite.
  // The loop that calls it is compiled once for all rules.
  using Update = std::function<bool(bool, const Clip&, Index, Index)>;

  Outcome update_all(const Team& team, const std::vector<Tensor>& tensors, const Clips<T>& clips,
                     const Update& update, T* w, T* g) const {
    bool finite = true;
    for (const Tensor& tensor : tensors) {
      const Clip clip = clips.of(g + tensor.offset, tensor.size());
      const bool well = for_updates(team, tensor.size(), [&](Index begin, Index end) {
        return update(tensor.is_kernel, clip, tensor.offset + begin, end - begin);
      });
      finite = well && finite;
    }
    if (!finite) std::copy_n(g, n_, w);
    return finite ? Outcome::updated : Outcome::diverged;
  }

  FirstOrderRule rule_;
  Index n_;
  std::vector<Tensor> whole_;  // all parameters as one
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
