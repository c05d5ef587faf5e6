// The kernels as functions of arrays: what pyae.activations, pyae.losses and the tests call.
#include <optional>

#include "bind/arrays.hpp"
#include "linalg/matmul.hpp"
#include "nn/corruption.hpp"
#include "nn/initializers.hpp"
#include "nn/losses.hpp"

namespace pyae {
namespace {

Team team_of(int n_threads) { return Team(n_threads > 0 ? n_threads : available_threads()); }

template <class T>
Array<T> activation_value(const Options& options, const Array<T>& x) {
  const auto activation = make_item<Activation>(options, "activation");
  Array<T> y = empty_like<T>(x);
  const auto [rows, columns] = matrix_shape(x);
  const T* from = x.data();
  T* to = y.mutable_data();
  py::gil_scoped_release release;
  activate(team_of(0), activation, from, to, rows, columns);
  return y;
}

template <class T>
Array<T> activation_vjp(const Options& options, const Array<T>& x, const Array<T>& dy) {
  const auto activation = make_item<Activation>(options, "activation");
  if (!same_shape(x, dy)) throw py::value_error("dy must have the shape of x");
  Array<T> y = activation_value(options, x), dx = empty_like<T>(x);
  const auto [rows, columns] = matrix_shape(x);
  const T *xs = x.data(), *ys = y.data(), *dys = dy.data();
  T* to = dx.mutable_data();
  py::gil_scoped_release release;
  activate_vjp(team_of(0), activation, xs, ys, dys, to, rows, columns, true);
  return dx;
}

// Arguments of a loss, checked against one another; predictions are (rows, columns).
template <class T>
struct LossCall {
  Loss loss;
  Array<T> t, p;
  std::optional<Array<T>> weights;
  MatrixShape shape;

  LossCall(const Options& options, Array<T> t_, Array<T> p_, std::optional<Array<T>> weights_)
      : loss(make_item<Loss>(options, "loss")),
        t(std::move(t_)),
        p(std::move(p_)),
        weights(std::move(weights_)),
        shape(matrix_shape(p)) {
    if (t.size() != shape.rows * target_columns(loss, shape.columns)) {
      throw py::value_error("y_true does not fit y_pred's shape");
    }
    if (weights && weights->size() != shape.rows) {
      throw py::value_error("sample_weight must have one value a sample");
    }
  }
  const T* weight_data() const { return weights ? weights->data() : nullptr; }
  Index counted() const { return counted_rows(loss, t.data(), shape.rows); }
};

// (values w_i l_i of the samples, number of samples that count in the mean)
template <class T>
py::tuple loss_values(const Options& options, Array<T> t, Array<T> p,
                      std::optional<Array<T>> weights) {
  const LossCall<T> call(options, std::move(t), std::move(p), std::move(weights));
  Array<T> values(call.shape.rows);
  T* to = values.mutable_data();
  {
    py::gil_scoped_release release;
    loss_rows<T>(team_of(0), call.loss, call.t.data(), call.p.data(), call.shape.rows,
                 call.shape.columns, call.weight_data(), T(0), nullptr, to);
  }
  return py::make_tuple(values, call.counted());
}

template <class T>
Array<T> loss_gradient(const Options& options, Array<T> t, Array<T> p,
                       std::optional<Array<T>> weights, bool mean) {
  const LossCall<T> call(options, std::move(t), std::move(p), std::move(weights));
  Array<T> gradient = empty_like<T>(call.p);
  T* to = gradient.mutable_data();
  const Index counted = call.counted();
  const T scale = !mean ? T(1) : counted > 0 ? T(1) / static_cast<T>(counted) : T(0);
  py::gil_scoped_release release;
  loss_rows<T>(team_of(0), call.loss, call.t.data(), call.p.data(), call.shape.rows,
               call.shape.columns, call.weight_data(), scale, to, nullptr);
  return gradient;
}

template <class T>
Array<T> product(const Array<T>& a, const Array<T>& b, bool transpose_a, bool transpose_b,
                 int n_threads) {
  if (a.ndim() != 2 || b.ndim() != 2) throw py::value_error("a and b must be two-dimensional");
  const auto left = transpose_a ? transposed(a.data(), a.shape(0), a.shape(1))
                                : plain(a.data(), a.shape(0), a.shape(1));
  const auto right = transpose_b ? transposed(b.data(), b.shape(0), b.shape(1))
                                 : plain(b.data(), b.shape(0), b.shape(1));
  if (left.columns != right.rows) throw py::value_error("a and b do not fit");
  Array<T> c({left.rows, right.columns});
  T* to = c.mutable_data();
  static thread_local MatmulScratch<T> scratch;
  py::gil_scoped_release release;
  matmul(team_of(n_threads), scratch, left, right, to);
  return c;
}

template <class T>
py::tuple penalty_of_parameters(const Options& options, const Array<T>& w) {
  L1L2 penalty;
  fill(penalty, options);
  Array<T> gradient = empty_like<T>(w);
  std::fill_n(gradient.mutable_data(), w.size(), T(0));
  const double value =
      parameter_penalty(team_of(0), penalty, w.data(), gradient.mutable_data(), w.size());
  return py::make_tuple(value, gradient);
}

template <class T>
py::tuple penalty_of_activity(const Options& options, const Array<T>& y) {
  const auto penalty = make_item<ActivityPenalty>(options, "activity penalty");
  const auto [rows, columns] = matrix_shape(y);
  Buffer<T> column(columns);
  ActivityGradient<T> slope;
  const double value =
      activity_penalty(team_of(0), penalty, y.data(), rows, columns, column.data(), slope);
  Array<T> gradient = empty_like<T>(y);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; j += kLanes<T>) {
      const Index count = std::min(kLanes<T>, columns - j), at = i * columns + j;
      const Vec<T> d = slope(load_part(y.data() + at, count), j, count);
      store_part(gradient.mutable_data() + at, d, count);
    }
  }
  return py::make_tuple(value, gradient);
}

template <class T>
Array<T> corrupted(const Options& options, const Array<T>& x, std::uint64_t seed,
                   std::uint64_t epoch, const Array<Index>& rows, const std::vector<double>& lows,
                   const std::vector<double>& highs) {
  auto corruption = make_item<Corruption>(options, "noise");
  const auto [count, columns] = matrix_shape(x);
  if (rows.size() != count) throw py::value_error("rows must number the rows of x");
  if (auto* ends = std::get_if<SaltAndPepper>(&corruption)) {
    const auto features = static_cast<std::size_t>(columns);
    if (ends->needs_range() && (lows.size() != features || highs.size() != features)) {
      throw py::value_error("salt_and_pepper needs a low and a high end for each feature");
    }
    ends->lows = lows;
    ends->highs = highs;
  }
  Array<T> result = empty_like<T>(x);
  std::copy_n(x.data(), x.size(), result.mutable_data());
  corrupt(team_of(0), corruption, seed, epoch, rows.data(), 0, count, columns,
          result.mutable_data());
  return result;
}

py::array_t<double> initial_kernel(const Options& options, std::uint64_t seed, std::uint64_t layer,
                                   Index fan_in, Index fan_out) {
  py::array_t<double> kernel({fan_in, fan_out});
  initialize(make_item<Initializer>(options, "initializer"), seed, layer, fan_in, fan_out,
             kernel.mutable_data());
  return kernel;
}

py::array_t<std::uint32_t> random_words(std::uint64_t seed, std::uint32_t stream,
                                        std::uint64_t turn, std::uint32_t attempt,
                                        std::uint64_t first, Index blocks) {
  const Random random(seed, static_cast<Stream>(stream), turn, attempt);
  py::array_t<std::uint32_t> words({blocks, Index{4}});
  for (Index i = 0; i < blocks; ++i) {
    const auto block = random.block(first + static_cast<std::uint64_t>(i));
    std::copy(block.begin(), block.end(), words.mutable_data() + 4 * i);
  }
  return words;
}

py::array_t<Index> permutation(Index n, std::uint64_t seed, std::uint64_t epoch) {
  py::array_t<Index> order(n);
  for (Index i = 0; i < n; ++i) order.mutable_data()[i] = i;
  shuffle(seed, epoch, order.mutable_data(), n);
  return order;
}

// The vectorised elementary functions by name, for measuring their errors.
template <class T>
Array<T> elementary(const std::string& name, const Array<T>& x) {
  using V = Vec<T>;
  static const std::map<std::string, V (*)(V)> functions = {
      {"exp", [](V v) { return exp(v); }},
      {"expm1", [](V v) { return expm1(v); }},
      {"log", [](V v) { return log(v); }},
      {"log1p", [](V v) { return log1p(v); }},
      {"log1p_unit", [](V v) { return log1p_unit(v); }},
      {"tanh", [](V v) { return tanh(v); }},
      {"sqrt", [](V v) { return sqrt(v); }},
      {"normal_cdf", [](V v) { return normal(v).cumulative; }},
      {"normal_pdf", [](V v) { return normal(v).density; }},
      {"sin_turn", [](V v) { return circle(v).sin; }},
      {"cos_turn", [](V v) { return circle(v).cos; }},
  };
  const auto found = functions.find(name);
  if (found == functions.end()) throw py::value_error("unknown function '" + name + "'");
  Array<T> y = empty_like<T>(x);
  map_row(x.data(), y.mutable_data(), x.size(), found->second);
  return y;
}

// A function of arrays, under one name for float and for double: pybind11 tries the overloads in
// order without conversion, so the array's dtype decides.
template <class T>
void register_for(py::module_& m) {
  using A = Array<T>;
  m.def(
      "activation",
      [](const py::dict& spec, const A& x) {
        return activation_value<T>(to_options(spec, "activation"), x);
      },
      py::arg("spec"), py::arg("x").noconvert());
  m.def(
      "activation_vjp",
      [](const py::dict& spec, const A& x, const A& dy) {
        return activation_vjp<T>(to_options(spec, "activation"), x, dy);
      },
      py::arg("spec"), py::arg("x").noconvert(), py::arg("dy").noconvert());
  m.def(
      "loss_values",
      [](const py::dict& spec, A t, A p, std::optional<A> weights) {
        return loss_values<T>(to_options(spec, "loss"), t, p, weights);
      },
      py::arg("spec"), py::arg("t").noconvert(), py::arg("p").noconvert(), py::arg("weights"));
  m.def(
      "loss_gradient",
      [](const py::dict& spec, A t, A p, std::optional<A> weights, bool mean) {
        return loss_gradient<T>(to_options(spec, "loss"), t, p, weights, mean);
      },
      py::arg("spec"), py::arg("t").noconvert(), py::arg("p").noconvert(), py::arg("weights"),
      py::arg("mean"));
  m.def("matmul", &product<T>, py::arg("a").noconvert(), py::arg("b").noconvert(),
        py::arg("transpose_a") = false, py::arg("transpose_b") = false, py::arg("n_threads") = 0);
  m.def(
      "parameter_penalty",
      [](const py::dict& spec, const A& w) {
        return penalty_of_parameters<T>(to_options(spec, "penalty"), w);
      },
      py::arg("spec"), py::arg("w").noconvert());
  m.def(
      "activity_penalty",
      [](const py::dict& spec, const A& y) {
        return penalty_of_activity<T>(to_options(spec, "penalty"), y);
      },
      py::arg("spec"), py::arg("y").noconvert());
  m.def(
      "corrupt",
      [](const py::dict& spec, const A& x, std::uint64_t seed, std::uint64_t epoch,
         const Array<Index>& rows, const std::vector<double>& lows,
         const std::vector<double>& highs) {
        return corrupted<T>(to_options(spec, "noise"), x, seed, epoch, rows, lows, highs);
      },
      py::arg("spec"), py::arg("x").noconvert(), py::arg("seed"), py::arg("epoch"), py::arg("rows"),
      py::arg("lows") = std::vector<double>{}, py::arg("highs") = std::vector<double>{});
  m.def("elementary", &elementary<T>, py::arg("name"), py::arg("x").noconvert());
}

}  // namespace

void register_kernels(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
  m.def(
      "initial_kernel",
      [](const py::dict& spec, std::uint64_t seed, std::uint64_t layer, Index fan_in,
         Index fan_out) {
        return initial_kernel(to_options(spec, "initializer"), seed, layer, fan_in, fan_out);
      },
      py::arg("spec"), py::arg("seed"), py::arg("layer"), py::arg("fan_in"), py::arg("fan_out"));
  m.def("random_words", &random_words, py::arg("seed"), py::arg("stream"), py::arg("turn"),
        py::arg("attempt"), py::arg("first"), py::arg("blocks"));
  m.def("permutation", &permutation, py::arg("n"), py::arg("seed"), py::arg("epoch"));
  m.def(
      "learning_rate",
      [](const py::object& schedule, std::int64_t step) { return to_schedule(schedule)(step); },
      py::arg("schedule"), py::arg("step"));
}

}  // namespace pyae
