#include "optim/newton_cg.hpp"

#include <cmath>

#include "optim/flat.hpp"

namespace pyae {
namespace {

template <class T>
class NewtonCgOptimizer final : public Optimizer<T> {
 public:
  NewtonCgOptimizer(OptimizerSpec spec, NewtonCg settings, const NetworkFacts& network)
      : Optimizer<T>(std::move(spec)),
        settings_(settings),
        n_(network.n_parameters),
        tied_(network.tied) {
    refuse_without_curvature(network, NewtonCg::name);
    reset();
  }

  // The memory is the last step's solution d.
  void reset() override {
    auto& state = this->state_;
    state.step = 0;
    state.scalar = 0;
    std::fill_n(state.slots.ensure(n_), n_, T(0));
  }

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>& objective,
               double loss, T* w, T* g) override {
    for (Buffer<T>* buffer : {&solution_, &residual_, &direction_, &product_, &diagonal_}) {
      buffer->ensure(n_);
    }
    auto& state = this->state_;
    const double square = dot(team, g, g, n_);
    if (!std::isfinite(square)) return Outcome::diverged;
    if (square == 0) return Outcome::converged;

    const Block rows = block_of_turn(objective.rows(), settings_.curvature_share, state.step);
    const T* last = state.slots.data();
    double damping = state.scalar;
    objective.curvature_diagonal(rows, w, static_cast<std::uint64_t>(state.step), diagonal_.data());
    find_units(team, tensors);
    descend(team, tensors, units_, g, direction_.data());
    const double along =
        curvature_along(team, tensors, units_, objective, loss, rows, w, direction_.data());
    if (!std::isfinite(along)) return Outcome::diverged;
    if (damping == 0) damping = settings_.damping * along;
    bool warm = state.step > 0;
    double missed = 0;  // the largest gain that no search found
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto solution =
          minimize_model(team, tensors, objective, rows, damping, w, g, warm ? last : nullptr);
      if (!std::isfinite(solution.fall)) return Outcome::diverged;
      const double gain = -solution.fall;
      if (gain <= kNoise * std::abs(loss)) {
        // What the model promises is lost in the loss's rounding errors: if not for the damping.
        if (damping <= kLeast * along) return Outcome::converged;
        damping = std::max(std::min(damping * kLower, along), kLeast * along);
        continue;
      }
      const Line line = search(team, objective, loss, solution.slope, w);
      if (line.step > 0) {
        const double ratio = (line.first - loss) / solution.fall;
        if (ratio > 0.75)
          damping = std::max(damping * (2.0 / 3), std::min(damping, kFloor * along));
        if (!(ratio >= 0.25)) damping *= 1.5;
        std::copy_n(solution_.data(), n_, state.slots.data());
        std::copy_n(product_.data(), n_, w);  // where the search ended
        state.scalar = damping;
        ++state.step;
        return Outcome::updated;
      }
      missed = std::max(missed, gain);
      damping *= 4;
      warm = false;
      // The search has been elsewhere; the products with G are of w.
      objective.evaluate(w, nullptr);
    }
    return lost_in_rounding(objective, missed, loss, w, n_, product_.data()) ? Outcome::converged
                                                                             : Outcome::stalled;
  }

 private:
  static constexpr int kAttempts = 20;
  static constexpr double kNoise = std::numeric_limits<T>::epsilon();  // of a loss, relative
  // The damping falls to so much of the curvature along the gradient: a batch alone would lower it
  // for ever, and then steps go far where another batch has its curvature.
  static constexpr double kFloor = 1e-4;
  static constexpr double kLower = 1e-3;    // where it leaves nothing to gain, down to
  static constexpr double kLeast = kNoise;  // of that curvature
  static constexpr double kDecay = 0.95;    // of the last solution, from which the next one starts

  struct Solution {
    double fall;   // the model's value at d, not positive
    double slope;  // g' d
  };
  struct Line {
    double step;   // of w + step d, 0 where none is good
    double first;  // the loss at w + rate d
  };

  // Preconditioned conjugate gradients for q(d) = g' d + d' (G + damping) d / 2.
  Solution minimize_model(const Team& team, const std::vector<Tensor>& tensors,
                          Objective<T>& objective, Block rows, double damping, const T* w,
                          const T* g, const T* start) {
    T *d = solution_.data(), *r = residual_.data(), *p = direction_.data(), *bp = product_.data();
    const auto product = [&](const T* v) {  // bp = (G + damping) v
      objective.gauss_newton(rows, w, v, bp);
      for (std::size_t k = 0; k < tensors.size(); ++k) {
        const Tensor& tensor = tensors[k];
        const T factor = static_cast<T>(damping * units_[k] + 2 * tensor.penalty.l2);
        for_parameters(team, tensor.size(), [=](Index begin, Index end) {
          for (Index i = tensor.offset + begin; i < tensor.offset + end; ++i) {
            bp[i] += factor * v[i];
          }
        });
      }
    };
    // r = -(g + B d), the residual; q(d) = (g' d - r' d) / 2.
    const auto value = [&] { return (dot(team, g, d, n_) - dot(team, r, d, n_)) / 2; };
    if (start != nullptr) {
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) d[i] = static_cast<T>(kDecay) * start[i];
      });
      product(d);
    }
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        if (start == nullptr) d[i] = bp[i] = 0;
        r[i] = -(g[i] + bp[i]);
      }
    });
    double rz = precondition(team, tensors, damping, r, bp);
    std::copy_n(bp, n_, p);
    values_.clear();
    values_.reserve(static_cast<std::size_t>(settings_.max_iterations) + 1);
    values_.push_back(value());
    for (Index i = 1; i <= settings_.max_iterations && rz > 0; ++i) {
      product(p);
      const double curvature = dot(team, p, bp, n_);
      if (!(curvature > 0)) break;
      const T alpha = static_cast<T>(rz / curvature);
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index k = begin; k < end; ++k) {
          d[k] += alpha * p[k];
          r[k] -= alpha * bp[k];
        }
      });
      values_.push_back(value());
      // Progress over the last k iterations, per iteration, as Martens has it.
      const Index k = std::max<Index>(10, i / 10);
      const double now = values_.back();
      if (i > k && now < 0 &&
          (values_[static_cast<std::size_t>(i - k)] - now) <
              static_cast<double>(k) * settings_.tolerance * -now) {
        break;
      }
      const double next = precondition(team, tensors, damping, r, bp);
      const T beta = static_cast<T>(next / rz);
      rz = next;
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index k = begin; k < end; ++k) p[k] = bp[k] + beta * p[k];
      });
    }
    return {values_.back(), dot(team, g, d, n_)};
  }

  // From the mean square of a kernel's inputs, as the diagonals that it and the bias have tell it;
  // where a tied layer uses a kernel too they do not.
  void find_units(const Team& team, const std::vector<Tensor>& tensors) {
    const auto mean = [&](const Tensor& tensor) {
      const double sum = ordered_sum(team, diagonal_.data() + tensor.offset, tensor.size(),
                                     [](Vec<T> v) { return v; });
      return sum / static_cast<double>(tensor.size());
    };
    units_.assign(tensors.size(), 1);
    for (std::size_t k = 0; !tied_ && k + 1 < tensors.size(); ++k) {
      const bool pair = tensors[k].is_kernel && tensors[k + 1].layer == tensors[k].layer;
      if (pair) units_[k] = damping_unit(mean(tensors[k]) / mean(tensors[k + 1]));
    }
  }

  // z = M^-1 r with M = (diag G + damping)^(3/4); returns r' z.
  double precondition(const Team& team, const std::vector<Tensor>& tensors, double damping,
                      const T* r, T* z) {
    const T* diagonal = diagonal_.data();
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      const Tensor& tensor = tensors[k];
      const T more = static_cast<T>(damping * units_[k] + 2 * tensor.penalty.l2);
      for_parameters(team, tensor.size(), [=](Index begin, Index end) {
        for (Index i = tensor.offset + begin; i < tensor.offset + end; ++i) {
          const T root = std::sqrt(diagonal[i] + more);
          z[i] = r[i] / (root * std::sqrt(root));
        }
      });
    }
    return dot(team, r, z, n_);
  }

  // Leaves in `product` a point w + step d whose loss is lower by enough.
  Line search(const Team& team, Objective<T>& objective, double loss, double slope, const T* w) {
    constexpr int kMost = 30;
    constexpr double kShrink = 0.7, kEnough = 1e-2;
    const T* d = solution_.data();
    T* trial = product_.data();
    Line line{0, 0};
    if (!(slope < 0)) return line;
    double step = this->learning_rate();
    for (int i = 0; i < kMost; ++i, step *= kShrink) {
      const T a = static_cast<T>(step);
      for_parameters(team, n_, [=](Index begin, Index end) {
        for (Index k = begin; k < end; ++k) trial[k] = w[k] + a * d[k];
      });
      const double value = objective.evaluate(trial, nullptr);
      if (i == 0) line.first = value;
      if (value <= loss + kEnough * step * slope && std::isfinite(dot(team, trial, trial, n_))) {
        line.step = step;
        return line;
      }
    }
    return line;
  }

  NewtonCg settings_;
  Index n_;
  bool tied_;
  Units units_;
  Buffer<T> solution_, residual_, direction_, product_, diagonal_;  // (n_parameters)
  std::vector<double> values_;  // the model's value after each iteration
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_newton_cg(OptimizerSpec spec, NewtonCg settings,
                                             const NetworkFacts& network) {
  return std::make_unique<NewtonCgOptimizer<T>>(std::move(spec), settings, network);
}

template std::unique_ptr<Optimizer<float>> make_newton_cg(OptimizerSpec, NewtonCg,
                                                          const NetworkFacts&);
template std::unique_ptr<Optimizer<double>> make_newton_cg(OptimizerSpec, NewtonCg,
                                                           const NetworkFacts&);

}  // namespace pyae
