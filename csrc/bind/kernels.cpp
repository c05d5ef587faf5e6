// The kernels as functions of arrays: what pyae.activations, pyae.losses and the tests call.
#include "core/kernels.hpp"

#include <optional>

#include "bind/specs.hpp"

namespace pyae {
namespace {

template <class T>
Array<T> array_activation(const py::dict& spec, const Array<T>& x) {
  const Options options = to_options(spec, "activation");
  Array<T> y = empty_like<T>(x);
  const T* from = x.data();
  T* to = y.mutable_data();
  const Shape shape = matrix_shape(x);
  py::gil_scoped_release release;
  activation_value(options, from, shape, to);
  return y;
}

template <class T>
Array<T> array_activation_vjp(const py::dict& spec, const Array<T>& x, const Array<T>& dy) {
  const Options options = to_options(spec, "activation");
  if (!same_shape(x, dy)) throw py::value_error("dy must have the shape of x");
  Array<T> dx = empty_like<T>(x);
  const T *xs = x.data(), *dys = dy.data();
  T* to = dx.mutable_data();
  const Shape shape = matrix_shape(x);
  py::gil_scoped_release release;
  activation_vjp(options, xs, dys, shape, to);
  return dx;
}

template <class T>
LossArguments<T> loss_arguments(const Array<T>& t, const Array<T>& p,
                                const std::optional<Array<T>>& weights) {
  LossArguments<T> arguments{t.data(), t.size(), p.data(), matrix_shape(p), nullptr, 0};
  if (weights) {
    arguments.weights = weights->data();
    arguments.n_weights = weights->size();
  }
  return arguments;
}

// (values w_i l_i of the samples, number of samples that count in the mean)
template <class T>
py::tuple array_loss_values(const py::dict& spec, const Array<T>& t, const Array<T>& p,
                            const std::optional<Array<T>>& weights) {
  const Options options = to_options(spec, "loss");
  const LossArguments<T> arguments = loss_arguments(t, p, weights);
  Array<T> values(arguments.shape.rows);
  T* to = values.mutable_data();
  Index counted = 0;
  {
    py::gil_scoped_release release;
    counted = loss_values(options, arguments, to);
  }
  return py::make_tuple(values, counted);
}

template <class T>
Array<T> array_loss_gradient(const py::dict& spec, const Array<T>& t, const Array<T>& p,
                             const std::optional<Array<T>>& weights, bool mean) {
  const Options options = to_options(spec, "loss");
  const LossArguments<T> arguments = loss_arguments(t, p, weights);
  Array<T> gradient = empty_like<T>(p);
  T* to = gradient.mutable_data();
  py::gil_scoped_release release;
  loss_gradient(options, arguments, mean, to);
  return gradient;
}

template <class T>
Array<T> array_product(const Array<T>& a, const Array<T>& b, bool transpose_a, bool transpose_b,
                       int n_threads, bool bfloat16) {
  if (a.ndim() != 2 || b.ndim() != 2) throw py::value_error("a and b must be two-dimensional");
  const Factor<T> left{a.data(), matrix_shape(a), transpose_a};
  const Factor<T> right{b.data(), matrix_shape(b), transpose_b};
  if (left.columns() != right.rows()) throw py::value_error("a and b do not fit");
  Array<T> c({left.rows(), right.columns()});
  T* to = c.mutable_data();
  py::gil_scoped_release release;
  matrix_product(left, right, n_threads, bfloat16, to);
  return c;
}

template <class T>
py::tuple array_parameter_penalty(const py::dict& spec, const Array<T>& w) {
  Array<T> gradient = empty_like<T>(w);
  const double value =
      parameter_penalty(to_options(spec, "penalty"), w.data(), w.size(), gradient.mutable_data());
  return py::make_tuple(value, gradient);
}

template <class T>
py::tuple array_activity_penalty(const py::dict& spec, const Array<T>& y) {
  Array<T> gradient = empty_like<T>(y);
  const double value = activity_penalty(to_options(spec, "penalty"), y.data(), matrix_shape(y),
                                        gradient.mutable_data());
  return py::make_tuple(value, gradient);
}

template <class T>
Array<T> array_corrupted(const py::dict& spec, const Array<T>& x, std::uint64_t seed,
                         std::uint64_t epoch, const Array<Index>& rows,
                         const std::vector<double>& lows, const std::vector<double>& highs) {
  const Shape shape = matrix_shape(x);
  if (rows.size() != shape.rows) throw py::value_error("rows must number the rows of x");
  Array<T> result = empty_like<T>(x);
  std::copy_n(x.data(), x.size(), result.mutable_data());
  corrupt(to_options(spec, "noise"), seed, epoch, rows.data(), lows, highs, shape,
          result.mutable_data());
  return result;
}

template <class T>
Array<T> array_elementary(const std::string& name, const Array<T>& x) {
  Array<T> y = empty_like<T>(x);
  elementary(name, x.data(), x.size(), y.mutable_data());
  return y;
}

py::array_t<double> array_initial_kernel(const py::dict& spec, std::uint64_t seed,
                                         std::uint64_t layer, Index fan_in, Index fan_out) {
  py::array_t<double> kernel({fan_in, fan_out});
  initial_kernel(to_options(spec, "initializer"), seed, layer, fan_in, fan_out,
                 kernel.mutable_data());
  return kernel;
}

py::array_t<std::uint32_t> array_random_words(std::uint64_t seed, std::uint32_t stream,
                                              std::uint64_t turn, std::uint32_t attempt,
                                              std::uint64_t first, Index blocks) {
  py::array_t<std::uint32_t> words({blocks, Index{4}});
  random_words(seed, stream, turn, attempt, first, blocks, words.mutable_data());
  return words;
}

py::array_t<Index> array_permutation(Index n, std::uint64_t seed, std::uint64_t epoch) {
  py::array_t<Index> order(n);
  permutation(seed, epoch, n, order.mutable_data());
  return order;
}

double learning_rate(const py::object& schedule, std::int64_t step) {
  return to_schedule(schedule)(step);
}

// A function of arrays, under one name for float and for double: pybind11 tries the overloads in
// order without conversion, so the array's dtype decides.
template <class T>
void register_for(py::module_& m) {
  m.def("activation", &array_activation<T>, py::arg("spec"), py::arg("x").noconvert());
  m.def("activation_vjp", &array_activation_vjp<T>, py::arg("spec"), py::arg("x").noconvert(),
        py::arg("dy").noconvert());
  m.def("loss_values", &array_loss_values<T>, py::arg("spec"), py::arg("t").noconvert(),
        py::arg("p").noconvert(), py::arg("weights"));
  m.def("loss_gradient", &array_loss_gradient<T>, py::arg("spec"), py::arg("t").noconvert(),
        py::arg("p").noconvert(), py::arg("weights"), py::arg("mean"));
  m.def("matmul", &array_product<T>, py::arg("a").noconvert(), py::arg("b").noconvert(),
        py::arg("transpose_a") = false, py::arg("transpose_b") = false, py::arg("n_threads") = 0,
        py::arg("bfloat16") = false);
  m.def("parameter_penalty", &array_parameter_penalty<T>, py::arg("spec"),
        py::arg("w").noconvert());
  m.def("activity_penalty", &array_activity_penalty<T>, py::arg("spec"), py::arg("y").noconvert());
  m.def("corrupt", &array_corrupted<T>, py::arg("spec"), py::arg("x").noconvert(), py::arg("seed"),
        py::arg("epoch"), py::arg("rows"), py::arg("lows") = std::vector<double>{},
        py::arg("highs") = std::vector<double>{});
  m.def("elementary", &array_elementary<T>, py::arg("name"), py::arg("x").noconvert());
}

}  // namespace

void register_kernels(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
  m.def("initial_kernel", &array_initial_kernel, py::arg("spec"), py::arg("seed"), py::arg("layer"),
        py::arg("fan_in"), py::arg("fan_out"));
  m.def("random_words", &array_random_words, py::arg("seed"), py::arg("stream"), py::arg("turn"),
        py::arg("attempt"), py::arg("first"), py::arg("blocks"));
  m.def("permutation", &array_permutation, py::arg("n"), py::arg("seed"), py::arg("epoch"));
  m.def("learning_rate", &learning_rate, py::arg("schedule"), py::arg("step"));
}

}  // namespace pyae
