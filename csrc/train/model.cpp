#include "train/model.hpp"

#include <atomic>
#include <mutex>

#include "optim/optimizers.hpp"
#include "train/trainer.hpp"

namespace pyae {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

// Workspaces for as long as calls need them: each of several threads that predict has its own.
template <class T>
class Workshop {
 public:
  struct Work {
    Passage<T> passage;
    Buffer<T> input;
  };
  class Borrowed {
   public:
    explicit Borrowed(Workshop& shop) : shop_(shop) {
      const std::lock_guard<std::mutex> lock(shop.mutex_);
      if (shop.idle_.empty()) {
        work_ = std::make_unique<Work>();
      } else {
        work_ = std::move(shop.idle_.back());
        shop.idle_.pop_back();
      }
    }
    ~Borrowed() {
      const std::lock_guard<std::mutex> lock(shop_.mutex_);
      shop_.idle_.push_back(std::move(work_));
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Work* operator->() { return work_.get(); }

   private:
    Workshop& shop_;
    std::unique_ptr<Work> work_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Work>> idle_;
};

template <class T>
class TrainableModel final : public Model<T> {
 public:
  TrainableModel(const NetworkSpec& network, const OptimizerSpec& optimizer, Index n_features,
                 std::uint64_t seed)
      : network_(network, n_features, seed), optimizer_(make_optimizer<T>(optimizer, facts())) {
    for (const Tensor& tensor : network_.tensors()) places_.push_back(tensor);
  }

  Index outputs_of(Index n_layers) const override {
    return n_layers == 0 ? network_.n_features() : network_.units(n_layers - 1);
  }
  bool targets_are_classes() const override { return domain_of(network_.loss()).classes; }
  const std::vector<TensorPlace>& tensors() const override { return places_; }
  Index n_parameters() const override { return network_.n_parameters(); }

  const T* parameters() const override { return network_.parameters(); }
  T* changing_parameters() override {
    forget_kernels();
    return network_.parameters();
  }
  OptimizerState<T>& optimizer_state() override { return optimizer_->state(); }
  const EarlyStoppingState<T>& early_stopping_state() const override { return stopping_; }
  std::uint64_t epochs_trained() const override { return epochs_trained_; }
  std::uint64_t seed() const override { return network_.seed(); }
  void set_position(std::uint64_t seed, std::uint64_t epochs_trained) override {
    network_.set_seed(seed);
    epochs_trained_ = epochs_trained;
  }

  void check_inputs(const RowSource& x, const std::string& name) const override {
    if (x.rows == 0) throw std::invalid_argument(name + " has no samples");
    if (x.columns != network_.n_features()) {
      throw std::invalid_argument(name + " must have " + std::to_string(network_.n_features()) +
                                  " features, got " + std::to_string(x.columns));
    }
  }

  void check_shapes(const DataSet<T>& data) const override {
    check_inputs(data.x, data.x_name);
    if (data.t.rows != data.x.rows) {
      throw std::invalid_argument(data.t_name + " must have " + std::to_string(data.x.rows) +
                                  " samples as " + data.x_name + " has, got " +
                                  std::to_string(data.t.rows));
    }
    if (data.t.columns != network_.n_targets()) {
      throw std::invalid_argument(
          data.t_name + " must have " + std::to_string(network_.n_targets()) +
          (network_.n_targets() == 1 ? " column" : " columns") + " for " +
          name_of(network_.loss()) + ", got " + std::to_string(data.t.columns));
    }
  }

  FitResult fit(int n_threads, const DataSet<T>& data, const DataSet<T>* validation,
                const FitOptions& options, EarlyStoppingState<T> reached, Hook& hook) override {
    const Team team(n_threads, &hook);
    Corruption corruption = make_corruption(options.corruption);
    check_values(team, data);
    if (validation != nullptr) check_values(team, *validation);
    give_ranges(team, corruption, data.x);
    const Training training(*this);
    hook.begin();
    stopping_ = std::move(reached);
    return trainer_.fit(network_, *optimizer_, epochs_trained_, team, data, validation, options,
                        corruption, stopping_, hook);
  }

  double evaluate(int n_threads, Interrupt& interrupt, const DataSet<T>& data,
                  Index batch_size) const override {
    const Team team(n_threads, &interrupt);
    check_values(team, data);
    Trainer<T> trainer;
    return trainer.evaluate(network_, team, data, batch_size);
  }

  // Rows are taken in blocks, which are looked at, converted and passed through all layers while
  // they are in the cache. Threads share the blocks, or the products where there are few rows; a
  // row's output is the same either way.
  void forward(int n_threads, Interrupt& interrupt, const RowSource& x, Index upto,
               T* out) const override {
    const Team team(n_threads, &interrupt);
    const Index block = block_of_rows(team, x.rows, upto);
    const Index n_blocks = (x.rows + block - 1) / block;
    constexpr Index kNone = std::numeric_limits<Index>::max();
    std::atomic<Index> first_bad_row{kNone};
    const auto kernels = packed_kernels(team, upto);
    const auto pass = [&](const Team& sharing, Index piece) {
      const Index first = piece * block, count = std::min(block, x.rows - first);
      RowSource rows = x;
      rows.data += first * x.row_stride;
      rows.rows = count;
      const Scan found = scan<T>(sharing, rows, kNothing);
      if (found.first_bad_row >= 0) {  // the other blocks are looked at too: the least row is told
        const Index row = first + found.first_bad_row;
        Index least = first_bad_row;
        while (row < least && !first_bad_row.compare_exchange_weak(least, row)) {
        }
        return;
      }
      typename Workshop<T>::Borrowed work(workshop_);
      T* y = out + first * outputs_of(upto);
      const T* batch = upto == 0 ? nullptr : in_place<T>(rows, 0);
      if (batch == nullptr) {
        T* values = upto == 0 ? y : work->input.ensure(block * x.columns);
        gather(sharing, rows, nullptr, 0, count, values);
        batch = values;
      }
      network_.predict(sharing, work->passage, *kernels, batch, count, upto, y);
    };
    if (n_blocks == 1) {
      pass(team, 0);
    } else {
      const double work = 0.02 * static_cast<double>(x.rows) * static_cast<double>(n_parameters());
      team.for_each(n_blocks, work, [&](Index piece, int worker) {
        pass(Team(1, worker == 0 ? &interrupt : nullptr), piece);
      });
    }
    if (first_bad_row != kNone) refuse_row(first_bad_row, "X");
  }

  double loss_and_gradients(int n_threads, Interrupt& interrupt, const DataSet<T>& data,
                            T* gradients) const override {
    const Team team(n_threads, &interrupt);
    check_values(team, data);
    Workspace<T> work;  // for all rows at once, so not one to keep
    BatchReader<T> reader;
    const auto batch = reader.read(team, data, NoCorruption{}, 0, 0, nullptr, 0, data.x.rows);
    return network_
        .loss_and_gradients(team, work, batch.x, batch.t, batch.weights, data.x.rows, gradients)
        .mean(network_.sum_reduction());
  }

  void gauss_newton(int n_threads, Interrupt& interrupt, const DataSet<T>& data, const T* v,
                    T* out) const override {
    const std::string reason = facts().no_curvature;
    if (!reason.empty()) throw std::invalid_argument("there is no Gauss-Newton matrix: " + reason);
    const Team team(n_threads, &interrupt);
    check_values(team, data);
    Workspace<T> work;
    BatchReader<T> reader;
    const auto batch = reader.read(team, data, NoCorruption{}, 0, 0, nullptr, 0, data.x.rows);
    const Index counted =
        network_.evaluate(team, work, batch.x, batch.t, batch.weights, data.x.rows).counted;
    Curvature<T>(network_).product(
        team, {work, batch.x, batch.t, batch.weights, data.x.rows, counted, network_.parameters()},
        {0, data.x.rows}, v, out);
  }

 private:
  NetworkFacts facts() const {
    NetworkFacts facts{network_.tensors(), network_.n_parameters(), network_.n_layers(),
                       network_.is_tied()};
    if (!has_curvature(network_.training_loss())) {
      facts.no_curvature = std::string("loss ") + name_of(network_.loss()) +
                           " is not convex, or has no second derivative, in the outputs of " +
                           name_of(network_.layer(network_.n_layers() - 1).activation());
    }
    return facts;
  }

  static void refuse_bad_values(const Scan& scan, const std::string& name) {
    if (scan.first_bad_row >= 0) refuse_row(scan.first_bad_row, name);
  }
  [[noreturn]] static void refuse_row(Index row, const std::string& name) {
    throw std::invalid_argument(name + " has NaN, infinity or a value too large for " +
                                (sizeof(T) == 4 ? "float32" : "float64") + " in row " +
                                std::to_string(row));
  }

  // Rows that pass through the network at once: few enough for what they become to stay in the
  // cache, and as many blocks for one thread as for another. Where there are too few of them for
  // each thread to have its own, all.
  Index block_of_rows(const Team& team, Index rows, Index upto) const {
    constexpr Index kWorthBlock = 24;
    if (rows < 2 * kWorthBlock) return rows;
    const Index threads = team.threads();
    if (rows < threads * kWorthBlock) return rows;
    Index widest = network_.n_features();
    for (Index l = 0; l < upto; ++l) widest = std::max(widest, network_.units(l));
    const Index most = std::clamp<Index>((Index{1} << 18) / widest, 256, 1024);
    return even_rows(rows, threads * ((rows + threads * most - 1) / (threads * most)));
  }

  // The kernels of the first `upto` layers, packed: made for the first prediction after a change of
  // the parameters and kept until the next. A prediction that a hook makes during training has its
  // own. Nobody waits while they are packed, and nothing interrupts that: a signal's handler may
  // predict, too.
  using Kernels = std::vector<PackedOperand<T>>;
  std::shared_ptr<const Kernels> packed_kernels(const Team& team, Index upto) const {
    {
      const std::lock_guard<std::mutex> lock(kernels_mutex_);
      if (kernels_ != nullptr && static_cast<Index>(kernels_->size()) >= upto) return kernels_;
    }
    typename Workshop<T>::Borrowed work(workshop_);
    const Team undisturbed(team.threads());
    auto made =
        std::make_shared<const Kernels>(network_.pack_kernels(undisturbed, work->passage, upto));
    const std::lock_guard<std::mutex> lock(kernels_mutex_);
    // Parameters change during a prediction only where a hook of the training makes it.
    if (!training_) kernels_ = made;
    return made;
  }
  void forget_kernels() {
    const std::lock_guard<std::mutex> lock(kernels_mutex_);
    kernels_ = nullptr;
  }
  // While it lives the parameters change.
  class Training {
   public:
    explicit Training(TrainableModel& model) : model_(model) {
      model_.training_ = true;
      model_.forget_kernels();
    }
    ~Training() {
      model_.training_ = false;
      model_.forget_kernels();
    }
    Training(const Training&) = delete;
    Training& operator=(const Training&) = delete;

   private:
    TrainableModel& model_;
  };

  void check_values(const Team& team, const DataSet<T>& data) const {
    const Domain domain = domain_of(network_.loss());
    const auto* sparse = std::get_if<SparseCategoricalCrossentropy>(&network_.loss());
    const Scan x_scan = scan<T>(team, data.x, kNothing);
    refuse_bad_values(x_scan, data.x_name);
    const Scan t_scan =
        data.same ? x_scan
                  : scan<T>(team, data.t, sparse != nullptr ? sparse->ignore_class : kNothing);
    const std::string target = data.same ? data.x_name + ", the target too," : data.t_name;
    refuse_bad_values(t_scan, data.t_name);
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
  std::vector<TensorPlace> places_;
  mutable Workshop<T> workshop_;
  std::atomic<bool> training_{false};
  mutable std::mutex kernels_mutex_;
  mutable std::shared_ptr<const Kernels> kernels_;  // null where there are none
};

}  // namespace

template <class T>
std::unique_ptr<Model<T>> make_model(const NetworkSpec& network, const OptimizerSpec& optimizer,
                                     Index n_features, std::uint64_t seed) {
  return std::make_unique<TrainableModel<T>>(network, optimizer, n_features, seed);
}

template std::unique_ptr<Model<float>> make_model(const NetworkSpec&, const OptimizerSpec&, Index,
                                                  std::uint64_t);
template std::unique_ptr<Model<double>> make_model(const NetworkSpec&, const OptimizerSpec&, Index,
                                                   std::uint64_t);

}  // namespace pyae
