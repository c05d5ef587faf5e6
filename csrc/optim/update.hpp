// The loop that applies a first-order rule, and how gradients are clipped before it.
#pragma once

#include <atomic>
#include <cmath>

#include "linalg/reductions.hpp"
#include "linalg/subnormals.hpp"
#include "optim/optimizer.hpp"

namespace pyae {

// What is done to a tensor's gradients: they are multiplied, then each is held in [-limit, limit].
struct Clip {
  double scale = 1;
  double limit = 0;  // 0: none
};

// The clips of a step's tensors.
template <class T>
class Clips {
 public:
  // g (n): all gradients.
  Clips(const Team& team, const Clipping& clipping, const T* g, Index n)
      : team_(team), clipping_(clipping) {
    if (clipping.global_norm > 0) overall_ = shrink(clipping.global_norm, g, n);
  }
  // g: the tensor's own.
  Clip of(const T* g, Index n) const {
    return {clipping_.norm > 0 ? shrink(clipping_.norm, g, n) : overall_, clipping_.value};
  }

 private:
  double shrink(double limit, const T* g, Index n) const {
    const double square = ordered_sum(team_, g, n, [](Vec<T> v) { return v * v; });
    return limit / std::max(std::sqrt(square), limit);
  }

  const Team& team_;
  const Clipping& clipping_;
  double overall_ = 1;
};

// f(begin, end) over the ranges of a tensor of n parameters, shared among the threads: whether all
// said that what they made is finite.
template <class F>
bool for_updates(const Team& team, Index n, const F& f) {
  std::atomic<bool> finite{true};
  team.for_ranges(n, 8192, 1.5, [&](Index begin, Index end) {
    if (!f(begin, end)) finite = false;
  });
  return finite;
}

// What the rule makes of w (count) goes into `to`, which may be w; g (count) is overwritten with
// the old w, for the case that a new value is not finite: that returns false. Slot k of w's first
// parameter stands at slots[k * stride]. Rule and step are copies: the compiler then knows that no
// store changes them. Moments of parameters that have no gradient any more become subnormal, and
// would stay so: 0.9 times a few of the smallest numbers is as many, rounded.
template <class T, class Rule>
bool update_range(Rule rule, typename Rule::Step step, bool is_kernel, const Clip& clip,
                  Index count, T* slots, Index stride, const T* w, T* g, T* to) {
  using V = Vec<T>;
  constexpr Index kMostSlots = 3;
  const NoSubnormals mode;
  const Index n_slots = rule.n_slots();
  const double scale = clip.scale, limit = clip.limit;
  IntVec<V> bad{};
  for_lanes<T>(count, [&](Index i, Index lanes) {
    V gradient = load_up_to(g + i, lanes);
    if (scale != 1) gradient *= splat<V>(scale);
    if (limit > 0) gradient = at_least(at_most(gradient, splat<V>(limit)), splat<V>(-limit));
    V own[kMostSlots] = {};
    for (Index k = 0; k < n_slots; ++k) own[k] = load_up_to(slots + k * stride + i, lanes);
    const V before = load_up_to(w + i, lanes);
    const V after = rule.update(before, gradient, own, step, is_kernel);
    bad |= ~is_finite(after);
    store_up_to(to + i, after, lanes);
    store_up_to(g + i, before, lanes);
    for (Index k = 0; k < n_slots; ++k) store_up_to(slots + k * stride + i, own[k], lanes);
  });
  return !any(bad);
}

}  // namespace pyae
