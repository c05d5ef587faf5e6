#include "optim/kfac.hpp"

#include <cmath>

#include "linalg/inverse.hpp"
#include "linalg/reductions.hpp"
#include "optim/flat.hpp"

namespace pyae {
namespace {

// A layer's kernel and the bias below it, one matrix (inputs [+ 1], units) of the flat block, and
// where its factors stand in the optimizer's memory.
struct FactoredBlock {
  Index layer, offset, inputs, units;
  bool has_bias;
  double l2;                         // the kernel's penalty
  Index a, g, a_inverse, g_inverse;  // offsets of (rows, rows) and (units, units)

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

  void reset() override {
    auto& state = this->state_;
    state.step = 0;
    state.scalar = 0;
    std::fill_n(state.slots.ensure(size_), size_, T(0));
  }

  Outcome step(const Team& team, const std::vector<Tensor>& tensors, Objective<T>& objective,
               double loss, T* w, T* g) override {
    auto& state = this->state_;
    for (Buffer<T>* buffer : {&change_, &trial_}) buffer->ensure(n_);
    const double square = dot(team, g, g, n_);
    if (!std::isfinite(square)) return Outcome::diverged;
    if (square == 0) return Outcome::converged;

    average_factors(team, objective, w);
    const Block rows = block_of_turn(objective.rows(), settings_.curvature_share, state.step);
    if (state.scalar == 0) {
      state.scalar = first_damping(settings_.damping, objective, rows, w, g, square);
    }

    const bool due = state.step < 3 || state.step % settings_.inverse_every == 0;
    if (due && !invert_factors(team)) return Outcome::diverged;

    precondition(team, g);
    const T* previous = state.step == 0 ? nullptr : state.slots.data();
    const Quadratic model = minimize_model(team, tensors, objective, rows, w, g, previous);
    if (!std::isfinite(model.fall)) return Outcome::diverged;
    if (-model.fall <= kNoise * std::abs(loss)) return Outcome::converged;
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

    ++state.step;
    const bool far = length > kFar * kFar * dot(team, w, w, n_);
    if (far || state.step <= kEarly || state.step % settings_.damping_every == 0) {
      const double promised = rate * (2 - rate) * model.fall;
      const double highest = loss + kNoise * std::abs(loss);
      double value = objective.evaluate(trial, nullptr);
      if (promised < 0) adapt_damping((value - loss) / promised, objective.rows());
      // The model was wrong: a part of the step, or in the end none.
      for (int i = 0; i < kMostShorter && !(value <= highest); ++i) {
        raise_damping();
        trial = go(team, w, i + 1 < kMostShorter ? kShorter : 0);
        value = objective.evaluate(trial, nullptr);
      }
      if (!std::isfinite(value)) return Outcome::diverged;
    }
    std::copy_n(change, n_, state.slots.data());
    std::copy_n(trial, n_, w);
    return Outcome::updated;
  }

 private:
  struct Quadratic {
    double alpha, mu, fall;  // the change is alpha Delta + mu previous; the model's value there
  };

  void lay_out(const std::vector<Tensor>& tensors) {
    Index next = n_;
    const auto take = [&](Index side) {
      return std::exchange(next, next + checked_product(side, side, "a factor"));
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
      block.g = take(block.units);
      block.a_inverse = take(block.rows());
      block.g_inverse = take(block.units);
      blocks_.push_back(block);
      widest_ = std::max({widest_, block.rows(), block.units});
      largest_ = std::max(largest_, block.size());
    }
    size_ = next;
  }

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
      T *a = slot(block.a), *g = slot(block.g);
      matmul(team, scratch_, transposed(x, rows.count, block.inputs),
             plain(x, rows.count, block.inputs), product);
      average(team, product, block.inputs, keep, (1 - keep) * one, a, block.rows());
      if (block.has_bias) {
        column_sums(team, x, rows.count, block.inputs, column);
        average_last(column, block.inputs, keep, (1 - keep) * one, a);
      }
      matmul(team, scratch_, transposed(dz, rows.count, block.units),
             plain(dz, rows.count, block.units), product);
      average(team, product, block.units, keep, 1 - keep, g, block.units);
    };
    objective.sample(rows, w, static_cast<std::uint64_t>(this->state_.step), std::cref(take));
  }

  // The upper left (n, n) of a (stride, stride): keep a + take x.
  static void average(const Team& team, const T* x, Index n, double keep, double take, T* a,
                      Index stride) {
    team.for_ranges(n, std::max<Index>(1, 16384 / n), 0.5 * static_cast<double>(n),
                    [&](Index begin, Index end) {
                      for (Index i = begin; i < end; ++i) {
                        map_row(a + i * stride, x + i * n, a + i * stride, n,
                                [&](Vec<T> av, Vec<T> xv) {
                                  return splat<Vec<T>>(keep) * av + splat<Vec<T>>(take) * xv;
                                });
                      }
                    });
  }
  // The last row and column, those of the 1 that a bias is multiplied by.
  static void average_last(const T* sums, Index n, double keep, double take, T* a) {
    const T k = static_cast<T>(keep), f = static_cast<T>(take);
    T* last = a + n * (n + 1);
    for (Index j = 0; j < n; ++j) {
      last[j] = k * last[j] + f * sums[j];
      a[j * (n + 1) + n] = last[j];
    }
    last[n] = 1;
  }

  T* slot(Index offset) { return this->state_.slots.data() + offset; }

  double trace(Index offset, Index n) {
    const T* a = slot(offset);
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i * (n + 1)]);
    return sum;
  }

  // The mean over the parameters of F's diagonal, as the factors have it.
  double mean_curvature() {
    double sum = 0;
    for (const FactoredBlock& block : blocks_) {
      sum += trace(block.a, block.rows()) * trace(block.g, block.units);
    }
    return sum / static_cast<double>(n_);
  }

  // (A + pi d I)^-1 and (G + d / pi I)^-1, d being the root of the damping and the penalty
  // together, times factor_damping. Where rounding errors leave a matrix without an inverse, the
  // damping rises.
  bool invert_factors(const Team& team) {
    constexpr int kAttempts = 20;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      bool all = true;
      for (const FactoredBlock& block : blocks_) {
        const double d = settings_.factor_damping * std::sqrt(this->state_.scalar + 2 * block.l2);
        const double of_a = trace(block.a, block.rows()) / static_cast<double>(block.rows());
        const double of_g = trace(block.g, block.units) / static_cast<double>(block.units);
        const double pi = of_a > 0 && of_g > 0 ? std::sqrt(of_a / of_g) : 1;
        all = all && invert(team, block.a, block.rows(), pi * d, block.a_inverse) &&
              invert(team, block.g, block.units, d / pi, block.g_inverse);
      }
      if (all) return true;
      this->state_.scalar *= 10;
    }
    return false;
  }

  bool invert(const Team& team, Index from, Index n, double damping, Index to) {
    double* matrix = matrix_.ensure(widest_ * widest_);
    const T* source = slot(from);
    T* target = slot(to);
    for (Index i = 0; i < n * n; ++i) matrix[i] = static_cast<double>(source[i]);
    for (Index i = 0; i < n; ++i) matrix[i * (n + 1)] += damping;
    if (!invert_positive(team, inverse_scratch_, matrix, n)) return false;
    for (Index i = 0; i < n * n; ++i) target[i] = static_cast<T>(matrix[i]);
    return true;
  }

  // change = -A^-1 g G^-1, block by block.
  void precondition(const Team& team, const T* g) {
    T* change = change_.data();
    T* product = product_.data();
    for (const FactoredBlock& block : blocks_) {
      matmul(team, scratch_, plain<T>(slot(block.a_inverse), block.rows(), block.rows()),
             plain(g + block.offset, block.rows(), block.units), product);
      matmul(team, scratch_, plain<T>(product, block.rows(), block.units),
             plain<T>(slot(block.g_inverse), block.units, block.units), change + block.offset);
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
    const double damping = this->state_.scalar;
    const auto form = [&](const T* u, const T* v) {
      return damped_form(team, tensors, damping, u, v);
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
  void adapt_damping(double ratio, Index rows) {
    double& damping = this->state_.scalar;
    if (ratio > 0.75) {
      const double least = std::max(
          settings_.least_damping * mean_curvature() / static_cast<double>(rows), kLeastDamping<T>);
      damping = std::max(damping * damping_factor(), std::min(damping, least));
    }
    if (!(ratio >= 0.25)) raise_damping();
  }
  void raise_damping() { this->state_.scalar /= damping_factor(); }
  double damping_factor() const {
    return std::pow(0.95, static_cast<double>(settings_.damping_every));
  }

  static constexpr double kNoise = std::numeric_limits<T>::epsilon();  // of a loss, relative
  static constexpr double kFar = 0.25;  // steps that are longer than so much of w are looked at
  static constexpr double kShorter = 0.25;
  static constexpr int kMostShorter = 12;
  // In so many steps at first the damping is looked at in each: nobody knew where to start.
  static constexpr std::int64_t kEarly = 20;

  Kfac settings_;
  Index n_, size_ = 0, widest_ = 0, largest_ = 0;
  std::vector<FactoredBlock> blocks_;  // one a layer
  Buffer<T> change_, trial_;           // (n_parameters)
  Buffer<T> product_, column_;         // a factor or a layer's parameters; a column of a factor
  Buffer<double> matrix_;              // a factor
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
