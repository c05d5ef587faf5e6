// Network<float> and Network<double> as Python classes: one template, registered once a type.
#include <mutex>
#include <optional>
#include <thread>

#include "bind/arrays.hpp"
#include "bind/specs.hpp"

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
  PythonHook(py::object on_epoch, py::object on_progress, bool validated)
      : on_epoch_(std::move(on_epoch)),
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
  py::object on_epoch_, on_progress_;
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
      : network_(to_network_spec(spec), n_features, seed),
        optimizer_(make_optimizer<T>(to_optimizer_spec(spec["optimizer"].cast<py::dict>()),
                                     network_.n_parameters())),
        uint8_scale_(uint8_scale) {}

  // [(layer, "kernel" or "bias", rows, columns, offset)]
  py::list tensors() const {
    py::list list;
    for (const Tensor& tensor : network_.tensors()) {
      list.append(py::make_tuple(tensor.layer, tensor.is_kernel ? "kernel" : "bias", tensor.rows,
                                 tensor.columns, tensor.offset));
    }
    return list;
  }
  Index n_parameters() const { return network_.n_parameters(); }
  std::int64_t n_updates() const { return optimizer_->state().step; }

  Array<T> parameters() const { return Array<T>(network_.n_parameters(), network_.parameters()); }
  void set_parameters(const Array<T>& values) {
    const Claim claim(*this, Use::write);
    if (values.size() != network_.n_parameters()) {
      throw py::value_error("the network has " + std::to_string(network_.n_parameters()) +
                            " parameters, got " + std::to_string(values.size()));
    }
    std::copy_n(values.data(), values.size(), network_.parameters());
  }

  py::dict state() {
    const Claim claim(*this, Use::read);
    const OptimizerState<T>& state = optimizer_->state();
    py::dict result;
    result["seed"] = network_.seed();
    result["epochs"] = epochs_trained_;
    result["step"] = state.step;
    result["scalar"] = state.scalar;
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
    const auto slots = reader.take_as<Array<T>>("slots");
    reader.finish();
    OptimizerState<T>& state = optimizer_->state();
    if (slots.size() != state.slots.size()) {
      throw py::value_error("state: the optimizer has " + std::to_string(state.slots.size()) +
                            " slot values, got " + std::to_string(slots.size()));
    }
    network_.set_seed(seed);
    epochs_trained_ = epochs;
    state.step = step;
    state.scalar = scalar;
    std::copy_n(slots.data(), slots.size(), state.slots.data());
  }

  // How far the early stopping of the present or the last fit came.
  py::dict early_stopping_state() {
    const Claim claim(*this, Use::read);
    py::dict result;
    result["best"] = stopping_.best;
    result["waited"] = stopping_.waited;
    result["best_epoch"] = stopping_.best_epoch;
    result["best_parameters"] =
        Array<T>(stopping_.best_parameters.size(), stopping_.best_parameters.data());
    return result;
  }

  // `stopping` is None, or what early_stopping_state() was when a fit broke off.
  py::dict fit(const py::array& x, const std::optional<py::array>& y,
               const std::optional<Array<T>>& weights, const py::object& validation,
               const py::dict& options_dict, const py::object& stopping, int n_threads,
               const py::object& on_begin, const py::object& on_epoch,
               const py::object& on_progress) {
    FitOptions options = to_fit_options(options_dict);
    const DataSet<T> data = data_set(x, y, weights, "X", "y", "sample_weight");
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
    PythonHook hook(on_epoch, on_progress, held_out.has_value());
    EarlyStoppingState<T> reached = to_stopping_state(stopping);
    const Claim claim(*this, Use::train);
    FitResult result;
    try {
      py::gil_scoped_release release;
      const Team team(n_threads, &hook);
      check(team, data, "X", "y");
      if (held_out) check(team, *held_out, "validation_data[0]", "validation_data[1]");
      give_ranges(team, options.corruption, data.x);
      {
        py::gil_scoped_acquire acquire;
        on_begin();
      }
      stopping_ = std::move(reached);
      result = trainer_.fit(network_, *optimizer_, epochs_trained_, team, data,
                            held_out ? &*held_out : nullptr, options, stopping_, hook);
    } catch (const Interrupted&) {
      hook.rethrow();
    }
    py::dict summary;
    summary["converged"] = result.converged;
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
    const DataSet<T> data = data_set(x, y, weights, "X", "y", "sample_weight");
    const Claim claim(*this, Use::read);
    return interruptible(n_threads, [&](const Team& team) {
      check(team, data, "X", "y");
      Trainer<T> trainer;
      return trainer.evaluate(network_, team, data, batch_size);
    });
  }

  // Outputs (n_samples, units of layer `upto`), a block of rows at a time.
  Array<T> forward(const py::array& x, Index upto, int n_threads) {
    const RowSource rows = inputs(x, "X");
    Array<T> result({rows.rows, upto == 0 ? network_.n_features() : network_.units(upto - 1)});
    T* out = result.mutable_data();
    const Index columns = result.shape(1);
    const Claim claim(*this, Use::read);
    interruptible(n_threads, [&](const Team& team) {
      refuse_bad_values(scan<T>(team, rows, kNothing), "X");
      Borrowed work(*this);
      const Index block = std::min<Index>(rows.rows, 1024);
      T* buffer = work->input.ensure(block * rows.columns);
      for (Index first = 0; first < rows.rows; first += block) {
        const Index count = std::min(block, rows.rows - first);
        const T* batch = in_place<T>(rows, first);
        if (batch == nullptr) {
          gather(team, rows, nullptr, first, count, buffer);
          batch = buffer;
        }
        const T* y = network_.forward(team, work->workspace, batch, count, upto);
        std::copy_n(y, count * columns, out + first * columns);
      }
      return 0;
    });
    return result;
  }

  // (loss, flat gradients) of one batch: all of the data.
  py::tuple loss_and_gradients(const py::array& x, const std::optional<py::array>& y,
                               const std::optional<Array<T>>& weights, int n_threads) {
    const DataSet<T> data = data_set(x, y, weights, "X", "y", "sample_weight");
    const Claim claim(*this, Use::read);
    Array<T> gradients(network_.n_parameters());
    T* out = gradients.mutable_data();
    const double loss = interruptible(n_threads, [&](const Team& team) {
      check(team, data, "X", "y");
      Workspace<T> work;  // for all rows at once, so not one to keep
      BatchReader<T> reader;
      const auto batch = reader.read(team, data, NoCorruption{}, 0, 0, nullptr, 0, data.x.rows);
      return network_
          .loss_and_gradients(team, work, batch.x, batch.t, batch.weights, data.x.rows, out)
          .mean(network_.sum_reduction());
    });
    return py::make_tuple(loss, gradients);
  }

 private:
  static constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

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
            "the model is being trained by another thread; wait until fit returns");
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

  // A workspace for as long as a call needs one: each of several threads that predict has its own.
  struct InferenceWork {
    Workspace<T> workspace;
    Buffer<T> input;
  };
  class Borrowed {
   public:
    explicit Borrowed(PyNetwork& network) : network_(network) {
      const std::lock_guard<std::mutex> lock(network.idle_mutex_);
      if (network.idle_.empty()) {
        work_ = std::make_unique<InferenceWork>();
      } else {
        work_ = std::move(network.idle_.back());
        network.idle_.pop_back();
      }
    }
    ~Borrowed() {
      const std::lock_guard<std::mutex> lock(network_.idle_mutex_);
      network_.idle_.push_back(std::move(work_));
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    InferenceWork* operator->() { return work_.get(); }

   private:
    PyNetwork& network_;
    std::unique_ptr<InferenceWork> work_;
  };

  template <class F>
  auto interruptible(int n_threads, const F& f) {
    SignalsOnly signals;
    try {
      py::gil_scoped_release release;
      return f(Team(n_threads, &signals));
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
    if (best.size() != 0 && best.size() != network_.n_parameters()) {
      throw py::value_error("early_stopping_state: the network has " +
                            std::to_string(network_.n_parameters()) + " parameters, got " +
                            std::to_string(best.size()));
    }
    if (best.size() != 0)
      std::copy_n(best.data(), best.size(), state.best_parameters.ensure(best.size()));
    return state;
  }

  RowSource inputs(const py::array& x, const std::string& name) const {
    const RowSource rows = to_rows(x, name, uint8_scale_);
    if (rows.rows == 0) throw py::value_error(name + " has no samples");
    if (rows.columns != network_.n_features()) {
      throw py::value_error(name + " must have " + std::to_string(network_.n_features()) +
                            " features, got " + std::to_string(rows.columns));
    }
    return rows;
  }

  DataSet<T> data_set(const py::array& x, const std::optional<py::array>& y,
                      const std::optional<Array<T>>& weights, const std::string& x_name,
                      const std::string& y_name, const std::string& weights_name) const {
    DataSet<T> data;
    data.x = inputs(x, x_name);
    const bool classes = domain_of(network_.loss()).classes;
    data.t = y ? to_rows(*y, y_name, classes ? 1 : uint8_scale_) : data.x;
    data.same = !y;
    if (data.t.rows != data.x.rows) {
      throw py::value_error(y_name + " must have " + std::to_string(data.x.rows) + " samples as " +
                            x_name + " has, got " + std::to_string(data.t.rows));
    }
    if (data.t.columns != network_.n_targets()) {
      throw py::value_error(y_name + " must have " + std::to_string(network_.n_targets()) +
                            (network_.n_targets() == 1 ? " column" : " columns") + " for " +
                            name_of(network_.loss()) + ", got " + std::to_string(data.t.columns));
    }
    if (weights) {
      if (weights->ndim() != 1 || weights->size() != data.x.rows) {
        throw py::value_error(weights_name + " must have shape (" + std::to_string(data.x.rows) +
                              ",), one weight a sample");
      }
      data.weights = weights->data();
    }
    return data;
  }

  static void refuse_bad_values(const Scan& scan, const std::string& name) {
    if (scan.first_bad_row < 0) return;
    throw std::invalid_argument(name + " has NaN, infinity or a value too large for " +
                                (sizeof(T) == 4 ? "float32" : "float64") + " in row " +
                                std::to_string(scan.first_bad_row));
  }

  // Every value of inputs and targets is looked at before anything is trained.
  void check(const Team& team, const DataSet<T>& data, const std::string& x_name,
             const std::string& y_name) const {
    const Domain domain = domain_of(network_.loss());
    const auto* sparse = std::get_if<SparseCategoricalCrossentropy>(&network_.loss());
    const Scan x_scan = scan<T>(team, data.x, kNothing);
    refuse_bad_values(x_scan, x_name);
    const Scan t_scan =
        data.same ? x_scan
                  : scan<T>(team, data.t, sparse != nullptr ? sparse->ignore_class : kNothing);
    const std::string target = data.same ? x_name + ", the target too," : y_name;
    refuse_bad_values(t_scan, y_name);
    if (domain.classes) {
      const auto classes = static_cast<double>(network_.n_outputs());
      if (!t_scan.integral || t_scan.low < 0 || t_scan.high >= classes) {
        throw std::invalid_argument(
            target + " must hold classes, integers from 0 to " + format_number(classes - 1) +
            ", got values from " + format_number(t_scan.low) + " to " + format_number(t_scan.high));
      }
    } else if (t_scan.low < domain.low || t_scan.high > domain.high) {
      throw std::invalid_argument(target + " must lie in " +
                                  Limits{domain.low, domain.high}.text() + " for " +
                                  name_of(network_.loss()) + ", got values from " +
                                  format_number(t_scan.low) + " to " + format_number(t_scan.high));
    }
  }

  // Salt and pepper that has no ends of its own takes each feature's, over the training inputs.
  static void give_ranges(const Team& team, Corruption& corruption, const RowSource& x) {
    auto* ends = std::get_if<SaltAndPepper>(&corruption);
    if (ends == nullptr || !ends->needs_range()) return;
    ends->lows.resize(static_cast<std::size_t>(x.columns));
    ends->highs.resize(static_cast<std::size_t>(x.columns));
    column_ranges<T>(team, x, ends->lows.data(), ends->highs.data());
  }

  Network<T> network_;
  std::unique_ptr<Optimizer<T>> optimizer_;
  Trainer<T> trainer_;
  EarlyStoppingState<T> stopping_;
  std::uint64_t epochs_trained_ = 0;
  double uint8_scale_;
  bool training_ = false;
  int readers_ = 0;
  std::thread::id training_thread_;
  std::mutex idle_mutex_;
  std::vector<std::unique_ptr<InferenceWork>> idle_;
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
           py::arg("weights"), py::arg("n_threads"));
}

}  // namespace

void register_networks(py::module_& m) {
  m.def("check_spec", &check_spec, py::arg("kind"), py::arg("spec"));
  register_network<float>(m, "Network32");
  register_network<double>(m, "Network64");
}

}  // namespace pyae
