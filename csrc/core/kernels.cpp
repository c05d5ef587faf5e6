#include "core/kernels.hpp"

#include "linalg/matmul.hpp"
#include "nn/corruption.hpp"
#include "nn/initializers.hpp"
#include "nn/losses.hpp"
#include "nn/penalties.hpp"

namespace pyae {
namespace {

Team everybody() { return Team(0); }

// A loss whose arguments fit one another.
template <class T>
Loss checked_loss(const Options& options, const LossArguments<T>& a) {
  const Loss loss = make_item<Loss>(options, "loss");
  if (a.n_targets != a.shape.rows * target_columns(loss, a.shape.columns)) {
    throw std::invalid_argument("y_true does not fit y_pred's shape");
  }
  if (a.weights != nullptr && a.n_weights != a.shape.rows) {
    throw std::invalid_argument("sample_weight must have one value a sample");
  }
  return loss;
}

template <class T>
Operand<T> to_operand(const Factor<T>& factor) {
  return factor.transpose ? transposed(factor.data, factor.shape.rows, factor.shape.columns)
                          : plain(factor.data, factor.shape.rows, factor.shape.columns);
}

template <class V>
using Function = V (*)(V);

template <class V>
Function<V> elementary_function(const std::string& name) {
  if (name == "exp") return [](V v) { return exp(v); };
  if (name == "expm1") return [](V v) { return expm1(v); };
  if (name == "log") return [](V v) { return log(v); };
  if (name == "log1p") return [](V v) { return log1p(v); };
  if (name == "log1p_unit") return [](V v) { return log1p_unit(v); };
  if (name == "tanh") return [](V v) { return tanh(v); };
  if (name == "sqrt") return [](V v) { return sqrt(v); };
  if (name == "normal_cdf") return [](V v) { return normal(v).cumulative; };
  if (name == "normal_pdf") return [](V v) { return normal(v).density; };
  if (name == "sin_turn") return [](V v) { return circle(v).sin; };
  if (name == "cos_turn") return [](V v) { return circle(v).cos; };
  throw std::invalid_argument("unknown function '" + name + "'");
}

}  // namespace

template <class T>
void activation_value(const Options& activation, const T* x, Shape shape, T* y) {
  activate(everybody(), make_item<Activation>(activation, "activation"), x, y, shape.rows,
           shape.columns);
}

template <class T>
void activation_vjp(const Options& activation, const T* x, const T* dy, Shape shape, T* dx) {
  const auto f = make_item<Activation>(activation, "activation");
  const Team team = everybody();
  Buffer<T> y;
  if (is_rowwise(f)) {  // the others need x alone
    activate(team, f, x, y.ensure(shape.size()), shape.rows, shape.columns);
  }
  activate_vjp(team, f, x, y.data(), dy, dx, shape.rows, shape.columns, true);
}

template <class T>
Index loss_values(const Options& loss, const LossArguments<T>& a, T* values) {
  const Loss l = checked_loss(loss, a);
  loss_rows<T>(everybody(), l, a.t, a.p, a.shape.rows, a.shape.columns, a.weights, T(0), nullptr,
               values);
  return counted_rows(l, a.t, a.shape.rows);
}

template <class T>
void loss_gradient(const Options& loss, const LossArguments<T>& a, bool mean, T* gradient) {
  const Loss l = checked_loss(loss, a);
  const Index counted = counted_rows(l, a.t, a.shape.rows);
  const T scale = !mean ? T(1) : counted > 0 ? T(1) / static_cast<T>(counted) : T(0);
  loss_rows<T>(everybody(), l, a.t, a.p, a.shape.rows, a.shape.columns, a.weights, scale, gradient,
               nullptr);
}

template <class T>
void matrix_product(const Factor<T>& a, const Factor<T>& b, int n_threads, bool bfloat16, T* c) {
  static thread_local MatmulScratch<T> scratch;
  scratch.precision = bfloat16 ? Precision::bfloat16 : Precision::full;
  matmul(Team(n_threads), scratch, to_operand(a), to_operand(b), c);
}

template <class T>
double parameter_penalty(const Options& penalty, const T* w, Index n, T* gradient) {
  std::fill_n(gradient, n, T(0));
  return parameter_penalty(everybody(), make_parameter_penalty(penalty), w, gradient, n);
}

template <class T>
double activity_penalty(const Options& penalty, const T* y, Shape shape, T* gradient) {
  const auto item = make_item<ActivityPenalty>(penalty, "activity penalty");
  const auto [rows, columns] = shape;
  Buffer<T> column(columns);
  ActivityGradient<T> slope;
  const double value = activity_penalty(everybody(), item, y, rows, columns, column.data(), slope);
  for (Index i = 0; i < rows; ++i) {
    for_lanes<T>(columns, [&, columns = columns](Index j, Index count) {
      const Index at = i * columns + j;
      store_up_to(gradient + at, slope(load_up_to(y + at, count), j, count), count);
    });
  }
  return value;
}

template <class T>
void corrupt(const Options& corruption, std::uint64_t seed, std::uint64_t epoch, const Index* rows,
             const std::vector<double>& lows, const std::vector<double>& highs, Shape shape, T* x) {
  Corruption item = make_corruption(corruption);
  if (auto* ends = std::get_if<SaltAndPepper>(&item)) {
    const auto features = static_cast<std::size_t>(shape.columns);
    if (ends->needs_range() && (lows.size() != features || highs.size() != features)) {
      throw std::invalid_argument("salt_and_pepper needs a low and a high end for each feature");
    }
    ends->lows = lows;
    ends->highs = highs;
  }
  corrupt(everybody(), item, seed, epoch, rows, 0, shape.rows, shape.columns, x);
}

void initial_kernel(const Options& initializer, std::uint64_t seed, std::uint64_t layer,
                    Index fan_in, Index fan_out, double* kernel) {
  initialize(make_item<Initializer>(initializer, "initializer"), seed, layer, fan_in, fan_out,
             kernel);
}

void random_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t turn,
                  std::uint32_t attempt, std::uint64_t first, Index blocks, std::uint32_t* words) {
  const Random random(seed, static_cast<Stream>(stream), turn, attempt);
  for (Index i = 0; i < blocks; ++i) {
    const auto block = random.block(first + static_cast<std::uint64_t>(i));
    std::copy(block.begin(), block.end(), words + 4 * i);
  }
}

void permutation(std::uint64_t seed, std::uint64_t epoch, Index n, Index* order) {
  for (Index i = 0; i < n; ++i) order[i] = i;
  shuffle(seed, epoch, order, n);
}

template <class T>
void elementary(const std::string& name, const T* x, Index n, T* y) {
  map_row(x, y, n, elementary_function<Vec<T>>(name));
}

template void activation_value(const Options&, const float*, Shape, float*);
template void activation_vjp(const Options&, const float*, const float*, Shape, float*);
template Index loss_values(const Options&, const LossArguments<float>&, float*);
template void loss_gradient(const Options&, const LossArguments<float>&, bool, float*);
template void matrix_product(const Factor<float>&, const Factor<float>&, int, bool, float*);
template double parameter_penalty(const Options&, const float*, Index, float*);
template double activity_penalty(const Options&, const float*, Shape, float*);
template void corrupt(const Options&, std::uint64_t, std::uint64_t, const Index*,
                      const std::vector<double>&, const std::vector<double>&, Shape, float*);
template void elementary(const std::string&, const float*, Index, float*);

template void activation_value(const Options&, const double*, Shape, double*);
template void activation_vjp(const Options&, const double*, const double*, Shape, double*);
template Index loss_values(const Options&, const LossArguments<double>&, double*);
template void loss_gradient(const Options&, const LossArguments<double>&, bool, double*);
template void matrix_product(const Factor<double>&, const Factor<double>&, int, bool, double*);
template double parameter_penalty(const Options&, const double*, Index, double*);
template double activity_penalty(const Options&, const double*, Shape, double*);
template void corrupt(const Options&, std::uint64_t, std::uint64_t, const Index*,
                      const std::vector<double>&, const std::vector<double>&, Shape, double*);
template void elementary(const std::string&, const double*, Index, double*);

}  // namespace pyae
