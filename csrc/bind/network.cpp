// Network<float> and Network<double> as Python classes: one template, registered once a type.
#include <chrono>
#include <optional>
#include <thread>

#include "bind/arrays.hpp"
#include "bind/specs.hpp"
#include "train/model.hpp"

namespace pyae {
namespace {

py::dict to_dict(const EpochReport& report, bool validated) {
  py::dict logs;
  logs["loss"] = report.loss;
  if (validated) logs["val_loss"] = report.val_loss;
  logs["learning_rate"] = report.learning_rate;
  logs["seconds"] = report.seconds;
  return logs;
}

// Comes back to Python: about every 50 ms for signals, every 100 ms with the progress, and at each
// epoch's end. poll() may be called within a parallel region, so it lets no exception out; the
// exception waits until the region is left.
class PythonHook final : public Hook {
 public:
  PythonHook(py::object on_begin, py::object on_epoch, py::object on_progress, bool validated)
      : on_begin_(std::move(on_begin)),
        on_epoch_(std::move(on_epoch)),
        on_progress_(std::move(on_progress)),
        validated_(validated) {}

  bool poll() override {
    const auto now = Clock::now();
    if (now - last_signal_check_ < std::chrono::milliseconds(50)) return false;
    last_signal_check_ = now;
    py::gil_scoped_acquire acquire;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!on_progress_.is_none() && now - last_progress_ >= std::chrono::milliseconds(100)) {
        last_progress_ = now;
        on_progress_(progress.epoch, progress.batch, progress.n_batches, progress.loss);
      }
      return false;
    } catch (...) {
      error_ = std::current_exception();
      return true;
    }
  }

  void begin() override {
    py::gil_scoped_acquire acquire;
    on_begin_();
  }

  bool epoch_end(const EpochReport& report) override {
    py::gil_scoped_acquire acquire;
    return on_epoch_(report.epoch, to_dict(report, validated_)).cast<bool>();
  }

  // What poll() met, once the work has been left.
  [[noreturn]] void rethrow() const {
    if (error_) std::rethrow_exception(error_);
    throw Interrupted();
  }

 private:
  using Clock = std::chrono::steady_clock;
  py::object on_begin_, on_epoch_, on_progress_;
  bool validated_;
  std::exception_ptr error_;
  Clock::time_point last_signal_check_ = Clock::now(), last_progress_ = Clock::now();
};

// Answers Ctrl-C during work that has no epochs.
class SignalsOnly final : public Interrupt {
 public:
  bool poll() override {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return false;
    last_ = now;
    py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

template <class T>
class PyNetwork {
 public:
  PyNetwork(const py::dict& spec, Index n_features, std::uint64_t seed, double uint8_scale)
      : model_(make_model<T>(to_network_spec(spec),
                             to_optimizer_spec(spec["optimizer"].cast<py::dict>()), n_features,
                             seed)),
        uint8_scale_(uint8_scale) {}

  // [(layer, "kernel" or "bias", rows, columns, offset)]
  py::list tensors() const {
    py::list list;
    for (const TensorPlace& tensor : model_->tensors()) {
      list.append(py::make_tuple(tensor.layer, tensor.is_kernel ? "kernel" : "bias", tensor.rows,
                                 tensor.columns, tensor.offset));
    }
    return list;
  }
  Index n_parameters() const { return model_->n_parameters(); }
  std::int64_t n_updates() const { return model_->optimizer_state().step; }

  Array<T> parameters() const { return Array<T>(model_->n_parameters(), model_->parameters()); }
  void set_parameters(const Array<T>& values) {
    const Claim claim(*this, Use::write);
    if (values.size() != model_->n_parameters()) {
      throw py::value_error("the network has " + std::to_string(model_->n_parameters()) +
                            " parameters, got " + std::to_string(values.size()));
    }
    std::copy_n(values.data(), values.size(), model_->changing_parameters());
  }

  py::dict state() {
    const Claim claim(*this, Use::read);
    const OptimizerState<T>& state = model_->optimizer_state();
    py::dict result;
    result["seed"] = model_->seed();
    result["epochs"] = model_->epochs_trained();
    result["step"] = state.step;
    result["scalar"] = state.scalar;
    result["kept"] = state.kept;
    result["idle"] = state.idle;
    result["slots"] = Array<T>(state.slots.size(), state.slots.data());
    return result;
  }
  void set_state(const py::dict& dict) {
    const Claim claim(*this, Use::write);
    DictReader reader(dict, "state");
    const auto seed = reader.take_as<std::uint64_t>("seed");
    const auto epochs = reader.take_as<std::uint64_t>("epochs");
    const auto step = reader.take_as<std::int64_t>("step");
    const auto scalar = reader.take_as<double>("scalar");
    const auto kept = reader.take_as<std::int64_t>("kept");
    const auto idle = reader.take_as<std::int64_t>("idle");
    const auto slots = reader.take_as<Array<T>>("slots");
    reader.finish();
    OptimizerState<T>& state = model_->optimizer_state();
    if (slots.size() != state.slots.size()) {
      throw py::value_error("state: the optimizer has " + std::to_string(state.slots.size()) +
                            " slot values, got " + std::to_string(slots.size()));
    }
    if (step < 0 || kept < 0 || idle < 0) {
      throw py::value_error("state: step, kept and idle must not be negative, got " +
                            std::to_string(step) + ", " + std::to_string(kept) + " and " +
                            std::to_string(idle));
    }
    model_->set_position(seed, epochs);
    state.step = step;
    state.scalar = scalar;
    state.kept = kept;
    state.idle = idle;
    std::copy_n(slots.data(), slots.size(), state.slots.data());
  }

  // How far the early stopping of the present or the last fit came.
  py::dict early_stopping_state() {
    const Claim claim(*this, Use::read);
    const EarlyStoppingState<T>& state = model_->early_stopping_state();
    py::dict result;
    result["best"] = state.best;
    result["waited"] = state.waited;
    result["best_epoch"] = state.best_epoch;
    result["best_parameters"] =
        Array<T>(state.best_parameters.size(), state.best_parameters.data());
    return result;
  }

  // `stopping` is None, or what early_stopping_state() was when a fit broke off.
  py::dict fit(const py::array& x, const std::optional<py::array>& y,
               const std::optional<Array<T>>& weights, const py::object& validation,
               const py::dict& options_dict, const py::object& stopping, int n_threads,
               const py::object& on_begin, const py::object& on_epoch,
               const py::object& on_progress) {
    const FitOptions options = to_fit_options(options_dict);
    const DataSet<T> data = data_set(x, y, weights);
    std::optional<DataSet<T>> held_out;
    std::optional<Array<T>> held_out_weights;
    if (!validation.is_none()) {
      const auto parts = validation.cast<py::tuple>();
      held_out_weights = parts[2].cast<std::optional<Array<T>>>();
      held_out = data_set(parts[0].cast<py::array>(), parts[1].cast<std::optional<py::array>>(),
                          held_out_weights, "validation_data[0]", "validation_data[1]",
                          "validation_data[2]");
    }
    if (options.shuffle && data.x.rows > Index{0xffffffff}) {
      throw py::value_error("shuffle: at most 2^32 - 1 samples can be shuffled, X has " +
                            std::to_string(data.x.rows));
    }
    PythonHook hook(on_begin, on_epoch, on_progress, held_out.has_value());
    EarlyStoppingState<T> reached = to_stopping_state(stopping);
    const Claim claim(*this, Use::train);
    FitResult result;
    try {
      py::gil_scoped_release release;
      result = model_->fit(n_threads, data, held_out ? &*held_out : nullptr, options,
                           std::move(reached), hook);
    } catch (const Interrupted&) {
      hook.rethrow();
    }
    py::dict summary;
    summary["converged"] = result.converged;
    summary["stalled"] = result.stalled;
    summary["diverged"] = result.diverged;
    summary["diverged_epoch"] = result.last.epoch;
    summary["diverged_learning_rate"] = result.last.learning_rate;
    summary["stopped_early"] = result.stopped_early;
    summary["restored_best"] = result.restored_best;
    summary["best_epoch"] = result.best_epoch;
    return summary;
  }

  double evaluate(const py::array& x, const std::optional<py::array>& y,
                  const std::optional<Array<T>>& weights, Index batch_size, int n_threads) {
    const DataSet<T> data = data_set(x, y, weights);
    const Claim claim(*this, Use::read);
    return interruptible([&](Interrupt& interrupt) {
      return model_->evaluate(n_threads, interrupt, data, batch_size);
    });
  }

  // Outputs (n_samples, units of layer `upto`).
  Array<T> forward(const py::array& x, Index upto, int n_threads) {
    const RowSource rows = to_rows(x, "X", uint8_scale_);
    model_->check_inputs(rows, "X");
    Array<T> result({rows.rows, model_->outputs_of(upto)});
    T* out = result.mutable_data();
    const Claim claim(*this, Use::read);
    interruptible(
        [&](Interrupt& interrupt) { model_->forward(n_threads, interrupt, rows, upto, out); });
    return result;
  }

  // (loss, flat gradients) of one batch: all of the data.
  py::tuple loss_and_gradients(const py::array& x, const std::optional<py::array>& y,
                               const std::optional<Array<T>>& weights, int n_threads) {
    const DataSet<T> data = data_set(x, y, weights);
    const Claim claim(*this, Use::read);
    Array<T> gradients(model_->n_parameters());
    T* out = gradients.mutable_data();
    const double loss = interruptible([&](Interrupt& interrupt) {
      return model_->loss_and_gradients(n_threads, interrupt, data, out);
    });
    return py::make_tuple(loss, gradients);
  }

  // G v of one batch, all of the data; v and the result are flat.
  Array<T> gauss_newton(const py::array& x, const std::optional<py::array>& y,
                        const std::optional<Array<T>>& weights, const Array<T>& v, int n_threads) {
    const DataSet<T> data = data_set(x, y, weights);
    const Claim claim(*this, Use::read);
    if (v.size() != model_->n_parameters()) {
      throw py::value_error("v must have " + std::to_string(model_->n_parameters()) +
                            " values, one a parameter, got " + std::to_string(v.size()));
    }
    Array<T> product(model_->n_parameters());
    T* out = product.mutable_data();
    interruptible([&](Interrupt& interrupt) {
      model_->gauss_newton(n_threads, interrupt, data, v.data(), out);
    });
    return product;
  }

 private:
  enum class Use { read, write, train };

  // What a call does to the network for as long as it runs. Any number of calls may read at once;
  // nobody else may while one writes or trains, but for the thread that trains, in its callbacks.
  // Claims are made and dropped with the GIL held, which orders them.
  class Claim {
   public:
    Claim(PyNetwork& network, Use use) : network_(network), use_(use) {
      const auto self = std::this_thread::get_id();
      if (network.training_ && use == Use::train) {
        throw std::runtime_error("the model is being trained already");
      }
      if (network.training_ && network.training_thread_ != self) {
        throw std::runtime_error(
            "the model is being trained by another thread; wait until fit returns "
            "(in a process that was forked meanwhile it never does: load or build a model there)");
      }
      if (use != Use::read && network.readers_ > 0) {
        throw std::runtime_error(
            "the model is being used by another thread; wait until that call returns");
      }
      if (use == Use::read) ++network.readers_;
      if (use == Use::train) {
        network.training_thread_ = self;
        network.training_ = true;
      }
    }
    ~Claim() {
      if (use_ == Use::read) --network_.readers_;
      if (use_ == Use::train) network_.training_ = false;
    }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    PyNetwork& network_;
    Use use_;
  };

  template <class F>
  static auto interruptible(const F& f) {
    SignalsOnly signals;
    try {
      py::gil_scoped_release release;
      return f(signals);
    } catch (const Interrupted&) {
      throw py::error_already_set();
    }
  }

  EarlyStoppingState<T> to_stopping_state(const py::object& object) const {
    EarlyStoppingState<T> state;
    if (object.is_none()) return state;
    DictReader reader(object.cast<py::dict>(), "early_stopping_state");
    state.best = reader.take_as<double>("best");
    state.waited = reader.take_as<Index>("waited");
    state.best_epoch = reader.take_as<Index>("best_epoch");
    const auto best = reader.take_as<Array<T>>("best_parameters");
    reader.finish();
    if (best.size() != 0 && best.size() != model_->n_parameters()) {
      throw py::value_error("early_stopping_state: the network has " +
                            std::to_string(model_->n_parameters()) + " parameters, got " +
                            std::to_string(best.size()));
    }
    if (best.size() != 0)
      std::copy_n(best.data(), best.size(), state.best_parameters.ensure(best.size()));
    return state;
  }

  DataSet<T> data_set(const py::array& x, const std::optional<py::array>& y,
                      const std::optional<Array<T>>& weights, const std::string& x_name = "X",
                      const std::string& y_name = "y",
                      const std::string& weights_name = "sample_weight") const {
    DataSet<T> data;
    data.x_name = x_name;
    data.t_name = y_name;
    data.x = to_rows(x, x_name.c_str(), uint8_scale_);
    data.t =
        y ? to_rows(*y, y_name.c_str(), model_->targets_are_classes() ? 1 : uint8_scale_) : data.x;
    data.same = !y;
    model_->check_shapes(data);
    if (weights) {
      if (weights->ndim() != 1 || weights->size() != data.x.rows) {
        throw py::value_error(weights_name + " must have shape (" + std::to_string(data.x.rows) +
                              ",), one weight a sample");
      }
      data.weights = weights->data();
    }
    return data;
  }

  std::unique_ptr<Model<T>> model_;
  double uint8_scale_;
  bool training_ = false;
  int readers_ = 0;
  std::thread::id training_thread_;
};

template <class T>
void register_network(py::module_& m, const char* name) {
  using N = PyNetwork<T>;
  py::class_<N>(m, name, py::module_local())
      .def(py::init<const py::dict&, Index, std::uint64_t, double>(), py::arg("spec"),
           py::arg("n_features"), py::arg("seed"), py::arg("uint8_scale"))
      .def_property_readonly("tensors", &N::tensors)
      .def_property_readonly("n_parameters", &N::n_parameters)
      .def_property_readonly("n_updates", &N::n_updates)
      .def("parameters", &N::parameters)
      .def("set_parameters", &N::set_parameters, py::arg("values"))
      .def("state", &N::state)
      .def("set_state", &N::set_state, py::arg("state"))
      .def("early_stopping_state", &N::early_stopping_state)
      .def("fit", &N::fit, py::arg("x"), py::arg("y"), py::arg("weights"), py::arg("validation"),
           py::arg("options"), py::arg("stopping"), py::arg("n_threads"), py::arg("on_begin"),
           py::arg("on_epoch"), py::arg("on_progress"))
      .def("evaluate", &N::evaluate, py::arg("x"), py::arg("y"), py::arg("weights"),
           py::arg("batch_size"), py::arg("n_threads"))
      .def("forward", &N::forward, py::arg("x"), py::arg("upto"), py::arg("n_threads"))
      .def("loss_and_gradients", &N::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("weights"), py::arg("n_threads"))
      .def("gauss_newton", &N::gauss_newton, py::arg("x"), py::arg("y"), py::arg("weights"),
           py::arg("v"), py::arg("n_threads"));
}

}  // namespace

void register_networks(py::module_& m) {
  m.def("check_spec", &check_spec, py::arg("kind"), py::arg("spec"));
  register_network<float>(m, "Network32");
  register_network<double>(m, "Network64");
}

}  // namespace pyae
