// The table of all optimizers, and how one is made from its settings.
#pragma once

#include "optim/first_order.hpp"
#include "optim/kfac.hpp"
#include "optim/lbfgs.hpp"
#include "optim/muon.hpp"
#include "optim/newton_cg.hpp"

namespace pyae {

namespace detail {
template <class Variant, class... More>
struct Extended;
template <class... Items, class... More>
struct Extended<std::variant<Items...>, More...> {
  using type = std::variant<Items..., More...>;
};
}  // namespace detail

// First-order ones that are one rule for all parameters have their own list; to add another kind,
// write its name here.
using OptimizerKind = detail::Extended<FirstOrderRule, Muon, Lbfgs, NewtonCg, Kfac>::type;

// Throws std::invalid_argument for an unknown name, a field outside its limits, or a network that
// the optimizer cannot train.
template <class T>
std::unique_ptr<Optimizer<T>> make_optimizer(OptimizerSpec spec, const NetworkFacts& network) {
  const auto kind = make_item<OptimizerKind>(spec.options, "optimizer");
  return std::visit(
      [&](const auto& item) -> std::unique_ptr<Optimizer<T>> {
        using Item = std::decay_t<decltype(item)>;
        if constexpr (std::is_same_v<Item, Lbfgs>) {
          return make_lbfgs<T>(std::move(spec), item, network.n_parameters);
        } else if constexpr (std::is_same_v<Item, NewtonCg>) {
          return make_newton_cg<T>(std::move(spec), item, network);
        } else if constexpr (std::is_same_v<Item, Kfac>) {
          return make_kfac<T>(std::move(spec), item, network);
        } else if constexpr (std::is_same_v<Item, Muon>) {
          return make_muon<T>(std::move(spec), item, network);
        } else {
          return make_first_order<T>(std::move(spec), item, network.n_parameters);
        }
      },
      kind);
}

}  // namespace pyae
