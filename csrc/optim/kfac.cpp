#include "optim/kfac.hpp"

#include <cmath>

#include "linalg/inverse.hpp"
#include "linalg/reductions.hpp"
#include "optim/flat.hpp"

namespace pyae {
namespace {

// A layer's kernel and the bias below it, one matrix (inputs [+ 1], units) of the flat block, and
// where its factors stand among those of all layers.
struct FactoredBlock {
  Index layer, offset, inputs, units;
  bool has_bias;
  double l2;   // the kernel's penalty
  Index a, s;  // offsets of (rows, rows) and (units, units), and of their inverses

  Index rows() const { return inputs + (has_bias ? 1 : 0); }
  Index size() const { return rows() * units; }
};

template <class T>
class KfacOptimizer final : public Optimizer<T> {
 public:
  KfacOptimizer(OptimizerSpec spec, Kfac settings, const NetworkFacts& network)
      : Optimizer<T>(std::move(spec)), settings_(settings), n_(network.n_parameters) {
    refuse_without_curvature(network, Kfac::name);
    if (network.tied) {
      throw std::invalid_argument(
          "optimizer kfac cannot train a layer with tied_to: its factors are those of kernels that "
          "one layer uses; newton_cg and lbfgs can");
    }
    lay_out(network.tensors);
    reset();
  }

  // The memory is the last change of w, the factors, and their inverses.
  void reset() override {
    auto& state = this->state_;
    state.step = 0;
    state.scalar = 0;
    const Index size = n_ + 2 * n_factors_;
    std::fill_n(state.slots.ensure(size), size, T(0));
  }

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>& objective,
               double loss, T* w, T* g) override {
    auto& state = this->state_;
    for (Buffer<T>* buffer : {&change_, &trial_}) buffer->ensure(n_);
    factors_.ensure(n_factors_);
    const double square = dot(team, g, g, n_);
    if (!std::isfinite(square)) return Outcome::diverged;
    if (square == 0) return Outcome::converged;

    // Ctrl-C may end the step wherever it asks the objective: what the next one starts from is
    // changed at the end only. (Inverses that it made are made anew.)
    average_factors(team, objective, w);
    const Block rows = block_of_turn(objective.rows(), settings_.curvature_share, state.step);
    find_units(tensors);
    damping_ = state.scalar;
    if (damping_ == 0) {
      descend(team, tensors, units_, g, change_.data());
      const double along =
          curvature_along(team, tensors, units_, objective, loss, rows, w, change_.data());
      damping_ = std::max(settings_.damping * along, kLeastDamping<T>);
    }
    const bool due = state.step < 3 || state.step % settings_.inverse_every == 0;
    if (due && !invert_factors(team)) return Outcome::diverged;

    precondition(team, g);
    const T* previous = state.step == 0 ? nullptr : state.slots.data();
    Quadratic model = minimize_model(team, tensors, objective, rows, w, g, previous);
    const double noise = kNoise * std::abs(loss);
    if (-model.fall <= noise) {
      // Nothing is left to gain: unless the damping or the inverses hide it, as the gradient tells.
      metric_ = units_;
      for (std::size_t k = 0; k < tensors.size(); ++k) {
        metric_[k] += 2 * tensors[k].penalty.l2 / damping_;
      }
      descend(team, tensors, metric_, g, change_.data());
      const T* down = change_.data();
      const double along = curvature_along(team, tensors, units_, objective, loss, rows, w, down);
      const double slope = dot(team, g, down, n_);
      const double curvature = damped_form(team, tensors, units_, along, down, down);
      if (slope * slope <= 2 * curvature * noise) return Outcome::converged;
      damping_ = std::max(std::min(damping_, along), kLeastDamping<T>);
      model = minimize_model(team, tensors, objective, rows, w, g, previous);
    }
    if (!std::isfinite(model.fall)) return Outcome::diverged;
    const double rate = this->learning_rate();
    T* change = change_.data();
    const T alpha = static_cast<T>(rate * model.alpha), mu = static_cast<T>(rate * model.mu);
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        change[i] = previous == nullptr ? alpha * change[i] : alpha * change[i] + mu * previous[i];
      }
    });
    const T* trial = go(team, w, 1);
    const double length = dot(team, change, change, n_);
    if (!std::isfinite(length)) return Outcome::diverged;

    const std::int64_t number = state.step + 1;
    const bool far = length > kFar * kFar * dot(team, w, w, n_);
    const bool due_to_adapt = far || number <= kEarly || number % settings_.damping_every == 0;
    // A model that promises much is looked at too: the loss may be steeper than it says.
    if (due_to_adapt || -model.fall > kMuch * std::abs(loss)) {
      const double promised = rate * (2 - rate) * model.fall;
      const double highest = loss + noise;
      double value = objective.evaluate(trial, nullptr);
      if (due_to_adapt && promised < -noise) {
        adapt_damping((value - loss) / promised, rate, objective.rows());
      }
      // The model was wrong: a part of the step, or in the end none.
      for (int i = 0; i < kMostShorter && !(value <= highest); ++i) {
        raise_damping();
        const bool none = i + 1 == kMostShorter;
        if (none && lost_in_rounding(objective, -promised, loss, w, n_, trial_.data())) {
          return Outcome::converged;
        }
        trial = go(team, w, none ? 0 : kShorter);
        value = objective.evaluate(trial, nullptr);
      }
      if (!std::isfinite(value)) return Outcome::diverged;
    }
    state.step = number;
    state.scalar = damping_;
    std::copy_n(factors_.data(), n_factors_, state.slots.data() + n_);
    std::copy_n(change, n_, state.slots.data());
    std::copy_n(trial, n_, w);
    return Outcome::updated;
  }

 private:
  struct Quadratic {
    double alpha, mu, fall;  // the change is alpha Delta + mu previous; the model's value there
  };

  void lay_out(const std::vector<Tensor>& tensors) {
    const auto take = [&](Index side) {
      return std::exchange(n_factors_, n_factors_ + checked_product(side, side, "a factor"));
    };
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& kernel = tensors[i];
      if (!kernel.is_kernel) continue;
      FactoredBlock block{};
      block.layer = kernel.layer;
      block.offset = kernel.offset;
      block.inputs = kernel.rows;
      block.units = kernel.columns;
      block.has_bias = i + 1 < tensors.size() && tensors[i + 1].layer == kernel.layer;
      block.l2 = kernel.penalty.l2;
      block.a = take(block.rows());
      block.s = take(block.units);
      blocks_.push_back(block);
      widest_ = std::max({widest_, block.rows(), block.units});
      largest_ = std::max(largest_, block.size());
    }
  }

  // The averages with this batch's share, into factors_.
  void average_factors(const Team& team, Objective<T>& objective, const T* w) {
    const Block rows =
        block_of_turn(objective.rows(), settings_.statistics_share, this->state_.step);
    const auto step = static_cast<double>(this->state_.step);
    const double keep = std::min(1 - 1 / (step + 1), settings_.decay);
    T* product = product_.ensure(std::max(widest_ * widest_, largest_));
    T* column = column_.ensure(widest_);
    const auto take = [&](Index layer, const T* x, const T* dz) {
      const FactoredBlock& block = blocks_[static_cast<std::size_t>(layer)];
      const double one = 1 / static_cast<double>(rows.count);
      const T* old = this->state_.slots.data() + n_;
      T *a = factors_.data() + block.a, *s = factors_.data() + block.s;
      matmul(team, scratch_, transposed(x, rows.count, block.inputs),
             plain(x, rows.count, block.inputs), product);
      average(team, product, block.inputs, keep, (1 - keep) * one, old + block.a, a, block.rows());
      if (block.has_bias) {
        column_sums(team, x, rows.count, block.inputs, column);
        average_last(column, block.inputs, keep, (1 - keep) * one, old + block.a, a);
      }
      matmul(team, scratch_, transposed(dz, rows.count, block.units),
             plain(dz, rows.count, block.units), product);
      average(team, product, block.units, keep, 1 - keep, old + block.s, s, block.units);
    };
    objective.sample(rows, w, static_cast<std::uint64_t>(this->state_.step), std::cref(take));
  }

  // The upper left (n, n) of a (stride, stride): keep old + take x.
  static void average(const Team& team, const T* x, Index n, double keep, double take, const T* old,
                      T* a, Index stride) {
    team.for_ranges(n, std::max<Index>(1, 16384 / n), 0.5 * static_cast<double>(n),
                    [&](Index begin, Index end) {
                      for (Index i = begin; i < end; ++i) {
                        map_row(old + i * stride, x + i * n, a + i * stride, n,
                                [&](Vec<T> before, Vec<T> now) {
                                  return splat<Vec<T>>(keep) * before + splat<Vec<T>>(take) * now;
                                });
                      }
                    });
  }
  // The last row and column, those of the 1 that a bias is multiplied by.
  static void average_last(const T* sums, Index n, double keep, double take, const T* old, T* a) {
    const T k = static_cast<T>(keep), f = static_cast<T>(take);
    const Index row = n * (n + 1);
    T* last = a + row;
    for (Index j = 0; j < n; ++j) {
      last[j] = k * old[row + j] + f * sums[j];
      a[j * (n + 1) + n] = last[j];
    }
    last[n] = 1;
  }

  T* inverse(Index offset) { return this->state_.slots.data() + n_ + n_factors_ + offset; }

  // Of the upper left (n, n) of a factor (stride, stride).
  double trace(Index factor, Index n, Index stride) const {
    const T* a = factors_.data() + factor;
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i * (stride + 1)]);
    return sum;
  }
  double trace_of_inputs(const FactoredBlock& block) const {
    return trace(block.a, block.inputs, block.rows());
  }
  double trace_of_deltas(const FactoredBlock& block) const {
    return trace(block.s, block.units, block.units);
  }

  double unit(const FactoredBlock& block) const {
    return damping_unit(trace_of_inputs(block) / static_cast<double>(block.inputs));
  }
  void find_units(const std::vector<Tensor>& tensors) {
    units_.clear();
    for (const Tensor& tensor : tensors) {
      const FactoredBlock& block = blocks_[static_cast<std::size_t>(tensor.layer)];
      units_.push_back(tensor.is_kernel ? unit(block) : 1);
    }
  }
  // The mean over the parameters of F's diagonal, as the factors have it, in those units.
  double mean_curvature() const {
    double sum = 0;
    for (const FactoredBlock& block : blocks_) {
      const double of_bias = block.has_bias ? 1 : 0;
      sum += (trace_of_inputs(block) / unit(block) + of_bias) * trace_of_deltas(block);
    }
    return sum / static_cast<double>(n_);
  }

  // (A + pi d U)^-1 and (S + d / pi I)^-1, d being the root of the kernel's damping and penalty
  // together, times factor_damping, and U 1 but for the bias, where it is the part of that which
  // the bias has. Where rounding errors leave a matrix without an inverse, the damping rises.
  bool invert_factors(const Team& team) {
    constexpr int kAttempts = 20;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      bool all = true;
      for (const FactoredBlock& block : blocks_) {
        const double u = unit(block) + 2 * block.l2 / damping_;
        const double d = settings_.factor_damping * std::sqrt(damping_ * u);
        const double of_a =
            trace(block.a, block.rows(), block.rows()) / static_cast<double>(block.rows());
        const double of_s = trace_of_deltas(block) / static_cast<double>(block.units);
        const double pi = of_a > 0 && of_s > 0 ? std::sqrt(of_a / of_s) : 1;
        const double last = block.has_bias ? pi * d / u : pi * d;
        all = all && invert(team, block.a, block.rows(), pi * d, last) &&
              invert(team, block.s, block.units, d / pi, d / pi);
      }
      if (all) return true;
      damping_ *= 10;
    }
    return false;
  }

  // Of a factor (n, n) with so much more on its diagonal, and `last` in its last place.
  bool invert(const Team& team, Index factor, Index n, double damping, double last) {
    double* matrix = matrix_.ensure(widest_ * widest_);
    const T* source = factors_.data() + factor;
    T* target = inverse(factor);
    for (Index i = 0; i < n * n; ++i) matrix[i] = static_cast<double>(source[i]);
    for (Index i = 0; i < n; ++i) matrix[i * (n + 1)] += i + 1 < n ? damping : last;
    if (!invert_positive(team, inverse_scratch_, matrix, n)) return false;
    for (Index i = 0; i < n * n; ++i) target[i] = static_cast<T>(matrix[i]);
    return true;
  }

  // change = -A^-1 g S^-1, block by block.
  void precondition(const Team& team, const T* g) {
    T* change = change_.data();
    T* product = product_.data();
    for (const FactoredBlock& block : blocks_) {
      matmul(team, scratch_, plain<T>(inverse(block.a), block.rows(), block.rows()),
             plain(g + block.offset, block.rows(), block.units), product);
      matmul(team, scratch_, plain<T>(product, block.rows(), block.units),
             plain<T>(inverse(block.s), block.units, block.units), change + block.offset);
    }
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) change[i] = -change[i];
    });
  }

  // The least value of g d + d' (G + damping) d / 2 over d = alpha change + mu previous.
  Quadratic minimize_model(const Team& team, const std::vector<Tensor>& tensors,
                           Objective<T>& objective, Block rows, const T* w, const T* g,
                           const T* previous) {
    const T* change = change_.data();
    auto [cc, cp, pp] = objective.gauss_newton_forms(rows, w, change, previous);
    const auto form = [&](const T* u, const T* v) {
      return damped_form(team, tensors, units_, damping_, u, v);
    };
    cc += form(change, change);
    const double gc = dot(team, g, change, n_);
    Quadratic best{-gc / cc, 0, -gc * gc / (2 * cc)};
    if (previous == nullptr) return best;
    cp += form(change, previous);
    pp += form(previous, previous);
    const double gp = dot(team, g, previous, n_);
    const double determinant = cc * pp - cp * cp;
    if (!(determinant > 1e-10 * cc * pp)) return best;  // the two have one direction
    best.alpha = (cp * gp - pp * gc) / determinant;
    best.mu = (cp * gc - cc * gp) / determinant;
    best.fall = (best.alpha * gc + best.mu * gp) / 2;
    return best;
  }

  // trial = w + change, the change made shorter before.
  const T* go(const Team& team, const T* w, double shorter) {
    T *change = change_.data(), *trial = trial_.data();
    const T factor = static_cast<T>(shorter);
    for_parameters(team, n_, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        change[i] *= factor;
        trial[i] = w[i] + change[i];
      }
    });
    return trial;
  }

  // By how much of what the model promised the loss fell.
  void adapt_damping(double ratio, double rate, Index rows) {
    const std::int64_t step = this->state_.step;
    if (ratio > 0.75) {
      const double least = std::max(
          settings_.least_damping * mean_curvature() / static_cast<double>(rows), kLeastDamping<T>);
      const Index every = settings_.damping_every;
      // The damping's share of the model's quadratic part, where the rest of the model is right.
      const double share = (ratio - 1) * (2 - rate) / rate;
      Index steps = every;
      if (step < kEarly) {
        steps = std::min(every, kEarlyFall);
      } else if (share > kDamped && (step + 1) % every == 0) {
        steps = kFaster * every;
      }
      damping_ = std::max(damping_ * fall_in(steps), std::min(damping_, least));
    }
    if (!(ratio >= 0.25)) raise_damping();
  }
  void raise_damping() { damping_ /= fall_in(settings_.damping_every); }
  static double fall_in(Index steps) { return std::pow(0.95, static_cast<double>(steps)); }

  static constexpr double kNoise = std::numeric_limits<T>::epsilon();  // of a loss, relative
  static constexpr double kFar = 0.25;  // steps that are longer than so much of w are looked at
  static constexpr double kMuch = 0.1;  // of the loss
  static constexpr double kShorter = 0.25;
  static constexpr int kMostShorter = 12;
  // In so many steps at first the damping is looked at in each, since nobody knew where to start.
  // It falls as in so many others at most, though it rises as ever: a faster fall lets the first
  // few batches decide which way the weights leave a plateau, and with it the error on other data.
  static constexpr std::int64_t kEarly = 20;
  static constexpr Index kEarlyFall = 2;
  // Later it falls as in so many times the steps where its share is larger than that: it alone
  // makes the steps short.
  static constexpr double kDamped = 0.75;
  static constexpr Index kFaster = 3;

  Kfac settings_;
  Index n_, n_factors_ = 0, widest_ = 0, largest_ = 0;
  std::vector<FactoredBlock> blocks_;  // one a layer
  double damping_ = 0;                 // in this step
  Units units_, metric_;
  Buffer<T> change_, trial_;    // (n_parameters)
  Buffer<T> factors_;           // (n_factors): those of this step
  Buffer<T> product_, column_;  // a factor or a layer's parameters; a column of a factor
  Buffer<double> matrix_;       // a factor
  MatmulScratch<T> scratch_;
  InverseScratch inverse_scratch_;
};

}  // namespace

template <class T>
std::unique_ptr<Optimizer<T>> make_kfac(OptimizerSpec spec, Kfac settings,
                                        const NetworkFacts& network) {
  return std::make_unique<KfacOptimizer<T>>(std::move(spec), settings, network);
}

template std::unique_ptr<Optimizer<float>> make_kfac(OptimizerSpec, Kfac, const NetworkFacts&);
template std::unique_ptr<Optimizer<double>> make_kfac(OptimizerSpec, Kfac, const NetworkFacts&);

}  // namespace pyae
