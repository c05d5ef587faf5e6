#include "optim/lbfgs.hpp"

#include "optim/flat.hpp"
#include "optim/line_search.hpp"

namespace pyae {
namespace {

template <class T>
T sign_of(T x) {
  return static_cast<T>((x > 0) - (x < 0));
}

template <class T>
class LbfgsOptimizer final : public Optimizer<T> {
 public:
  LbfgsOptimizer(OptimizerSpec spec, Lbfgs settings, Index n)
      : Optimizer<T>(std::move(spec)), settings_(settings), n_(n) {
    reset();
  }

  bool ends_where_evaluated() const override { return true; }
  // Changes s of the parameters in the last steps, and changes y of the gradient; pair i stands in
  // place i modulo the size.
  Index n_slots() const { return 2 * settings_.history_size; }

  void reset() override {
    this->state_.step = 0;
    const Index size = checked_product(n_slots(), n_, "the optimizer's memory");
    std::fill_n(this->state_.slots.ensure(size), size, T(0));
    forget();
  }

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>& objective,
               double loss, T* w, T* g) override {
    for (Buffer<T>* buffer : {&direction_, &trial_, &trial_gradient_}) buffer->ensure(n_);
    bent_ = std::any_of(tensors.begin(), tensors.end(),
                        [](const Tensor& tensor) { return tensor.penalty.l1 > 0; });
    const T* slope = bent_ ? pseudo_gradient(team, tensors, w, g) : g;
    const double square = dot(team, slope, slope, n_);
    if (!std::isfinite(square)) return Outcome::diverged;
    if (largest(slope) <= settings_.tolerance_grad) return Outcome::converged;

    const double rate = this->learning_rate();
    const double noise = kNoise * std::abs(loss);
    // What is left to gain, judged by the curvature on the way to the last point that was tried.
    bool moved = true;
    const auto is_optimum = [&](double fall) {
      const double rise = dot(team, direction_.data(), trial_gradient_.data(), n_) - fall;
      const double gain =
          moved && rise > 0 && std::isfinite(rise) ? fall * fall / rise * last_step_ / 2 : -fall;
      return lost_in_rounding(objective, gain, loss, w, n_, trial_.data());
    };
    while (true) {
      const bool steepest = n_pairs() == 0;
      find_direction(team, slope);
      if (bent_) keep_descending(team, tensors, slope);
      const double fall = dot(team, direction_.data(), slope, n_);
      // The gain of a step, a product of two gradients, is lost in the rounding errors of both.
      if (!steepest && std::abs(fall) <= kEpsilonOfType * noise) return Outcome::converged;
      // The first way is short, but long enough for a loss of any scale to tell.
      const double shortest = std::max(1 / std::sqrt(square), kFirstFall * std::abs(loss) / square);
      const double first = steepest ? rate * std::min(1.0, shortest) : rate;
      double value = 0;
      if (fall < 0 && std::isfinite(fall) &&
          search(team, tensors, objective, {{0, loss, fall}, noise}, first, w, slope, value)) {
        const bool gained = value < loss - kEpsilonOfType * std::abs(loss);
        const Index idle = gained ? 0 : this->state_.idle + 1;
        if (idle >= kPatience) {
          return is_optimum(fall) ? Outcome::converged : Outcome::stalled;
        }
        if (take(team, tensors, w, g)) {
          this->state_.idle = idle;
          ++this->state_.step;
          return Outcome::updated;
        }
        moved = false;  // and the direction is overwritten
      }
      if (steepest) return is_optimum(fall) ? Outcome::converged : Outcome::stalled;
      forget();
    }
  }

 private:
  static constexpr double kEpsilonOfType = std::numeric_limits<T>::epsilon();
  static constexpr double kNoise = 16 * kEpsilonOfType;  // of a loss, relative
  // Steps without a gain that are allowed in a row: near the end the loss, being flat there, does
  // not change any more while the parameters still become more precise.
  static constexpr Index kPatience = 10;
  static constexpr double kFirstFall = 1e-3;  // of the loss, that a first step should promise

  void forget() { this->state_.kept = this->state_.idle = 0; }
  Index n_pairs() const { return std::min<Index>(this->state_.kept, settings_.history_size); }
  T* s(Index pair) { return this->state_.slots.data() + pair % settings_.history_size * n_; }
  T* y(Index pair) { return s(pair) + settings_.history_size * n_; }

  double largest(const T* g) const {
    T most = 0;
    for (Index i = 0; i < n_; ++i) most = std::max(most, std::abs(g[i]));
    return static_cast<double>(most);
  }

  // f(i, l1) for the parameters i that have an L1 penalty.
  template <class F>
  static void for_l1(const Team& team, const std::vector<Tensor>& tensors, const F& f) {
    for (const Tensor& tensor : tensors) {
      const T l1 = static_cast<T>(tensor.penalty.l1);
      if (l1 == 0) continue;
      for_parameters(team, tensor.size(), [&](Index begin, Index end) {
        for (Index i = tensor.offset + begin; i < tensor.offset + end; ++i) f(i, l1);
      });
    }
  }

  // The steepest of the one-sided derivatives, where w is 0 and the penalty has no other; g has the
  // penalty's sign(w) elsewhere.
  const T* pseudo_gradient(const Team& team, const std::vector<Tensor>& tensors, const T* w,
                           const T* g) {
    T* pseudo = pseudo_.ensure(n_);
    std::copy_n(g, n_, pseudo);
    for_l1(team, tensors, [&](Index i, T l1) {
      if (w[i] == 0) pseudo[i] = sign_of(g[i]) * std::max(std::abs(g[i]) - l1, T(0));
    });
    return pseudo;
  }

  // direction = -H slope, by the two loops over the pairs.
  void find_direction(const Team& team, const T* slope) {
    T* d = direction_.data();
    for_parameters(team, n_, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) d[i] = -slope[i];
    });
    const Index last = this->state_.kept, first = last - n_pairs();
    if (first == last) return;
    const auto add = [&](double factor, const T* x) {
      const T a = static_cast<T>(factor);
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) d[i] += a * x[i];
      });
    };
    curvature_.resize(static_cast<std::size_t>(settings_.history_size));
    weight_.resize(curvature_.size());
    for (Index pair = last; pair-- > first;) {
      const auto at = static_cast<std::size_t>(pair % settings_.history_size);
      curvature_[at] = dot(team, s(pair), y(pair), n_);
      weight_[at] = dot(team, s(pair), d, n_) / curvature_[at];
      add(-weight_[at], y(pair));
    }
    const auto newest = static_cast<std::size_t>((last - 1) % settings_.history_size);
    const T scale = static_cast<T>(curvature_[newest] / dot(team, y(last - 1), y(last - 1), n_));
    for_parameters(team, n_, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) d[i] *= scale;
    });
    for (Index pair = first; pair < last; ++pair) {
      const auto at = static_cast<std::size_t>(pair % settings_.history_size);
      add(weight_[at] - dot(team, y(pair), d, n_) / curvature_[at], s(pair));
    }
  }

  // Entries of the direction that do not go downhill by themselves are left out.
  void keep_descending(const Team& team, const std::vector<Tensor>& tensors, const T* slope) {
    T* d = direction_.data();
    for_l1(team, tensors, [&](Index i, T) {
      if (d[i] * slope[i] >= 0) d[i] = 0;
    });
  }

  // Leaves in `trial` a point that is good enough, its gradient, and its value; false if there is
  // none.
  bool search(const Team& team, const std::vector<Tensor>& tensors, Objective<T>& objective,
              const LineConditions& conditions, double first, const T* w, const T* slope,
              double& value) {
    T *trial = trial_.data(), *gradient = trial_gradient_.data();
    const T* d = direction_.data();
    const auto move = [&](double step) {
      last_step_ = step;
      const T a = static_cast<T>(step);
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) trial[i] = w[i] + a * d[i];
      });
    };
    if (!bent_) {
      const LinePoint found =
          search_wolfe(conditions, first, settings_.max_line_search, [&](double step) -> LinePoint {
            move(step);
            value = objective.evaluate(trial, gradient);
            return {step, value, dot(team, gradient, d, n_)};
          });
      return found.step > 0;
    }
    const auto orthant = [&](Index i) { return w[i] != 0 ? sign_of(w[i]) : -sign_of(slope[i]); };
    return search_backward(
        conditions, first, settings_.max_line_search, [&](double step) -> BentPoint {
          move(step);
          for_l1(team, tensors, [&](Index i, T) {
            if (trial[i] * orthant(i) <= 0) trial[i] = 0;
          });
          value = objective.evaluate(trial, gradient);
          const auto along = [&](const T* derivative) {
            return ordered_total(team, n_, [=](Index i) {
              return static_cast<double>(derivative[i]) * static_cast<double>(trial[i] - w[i]);
            });
          };
          return {value, along(slope), along(gradient)};
        });
  }

  // Goes to `trial`, and keeps the pair where the curvature along it is positive; false where w
  // would not change, or not be finite.
  bool take(const Team& team, const std::vector<Tensor>& tensors, T* w, T* g) {
    const T *trial = trial_.data(), *gradient = trial_gradient_.data();
    T *ds = direction_.data(), *dy = g;
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) ds[i] = trial[i] - w[i];
    });
    const double ss = dot(team, ds, ds, n_);
    if (!(ss > 0) || !std::isfinite(ss)) return false;
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) dy[i] = gradient[i] - g[i];
    });
    // The curvature is that of the smooth part.
    for_l1(team, tensors,
           [&](Index i, T l1) { dy[i] -= l1 * (sign_of(trial[i]) - sign_of(w[i])); });
    const double sy = dot(team, ds, dy, n_), yy = dot(team, dy, dy, n_);
    if (sy > kEpsilonOfType * std::sqrt(ss) * std::sqrt(yy) && std::isfinite(yy)) {
      std::copy_n(ds, n_, s(this->state_.kept));
      std::copy_n(dy, n_, y(this->state_.kept));
      ++this->state_.kept;
    }
    std::copy_n(trial, n_, w);
    std::copy_n(gradient, n_, g);
    return true;
  }

  Lbfgs settings_;
  Index n_ = 0;
  bool bent_ = false;     // some parameter has an L1 penalty: steps keep to one orthant
  double last_step_ = 0;  // that was tried on the present direction
  Buffer<T> direction_, trial_, trial_gradient_, pseudo_;  // (n_parameters)
  std::vector<double> curvature_, weight_;                 // (history_size): s y, and alpha
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_lbfgs(OptimizerSpec spec, Lbfgs settings, Index n_parameters) {
  return std::make_unique<LbfgsOptimizer<T>>(std::move(spec), settings, n_parameters);
}

template std::unique_ptr<Optimizer<float>> make_lbfgs(OptimizerSpec, Lbfgs, Index);
template std::unique_ptr<Optimizer<double>> make_lbfgs(OptimizerSpec, Lbfgs, Index);

}  // namespace pyae
