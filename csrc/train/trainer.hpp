// The training loop: shuffle -> gather -> corrupt -> forward -> loss -> backward -> penalties ->
// update, epoch after epoch, with validation, early stopping and a hook. It knows nothing of
// Python.
#pragma once

#include <chrono>
#include <numeric>

#include "nn/corruption.hpp"
#include "nn/curvature.hpp"
#include "optim/optimizer.hpp"
#include "train/fit.hpp"

namespace pyae {

// Adds up batches to the mean over samples.
class LossMean {
 public:
  void add(const BatchLoss& batch, Index rows) {
    data_ += batch.data;
    counted_ += batch.counted;
    penalty_ += batch.penalty * static_cast<double>(rows);
    rows_ += rows;
  }
  double value(bool sum_reduction) const {
    const double penalty = rows_ > 0 ? penalty_ / static_cast<double>(rows_) : 0;
    if (sum_reduction) return data_ + penalty;
    return (counted_ > 0 ? data_ / static_cast<double>(counted_) : 0) + penalty;
  }

 private:
  double data_ = 0, penalty_ = 0;
  Index counted_ = 0, rows_ = 0;
};

// Batches of a data set, converted into buffers of its own where they cannot be used in place. The
// first batch is the largest, so that the others find the buffers made.
template <class T>
class BatchReader {
 public:
  struct Batch {
    const T *x, *t, *weights;
  };
  // Rows rows[0..count), or first ... where `rows` is null.
  Batch read(const Team& team, const DataSet<T>& data, const Corruption& corruption,
             std::uint64_t seed, std::uint64_t epoch, const Index* rows, Index first, Index count) {
    const bool clean = std::holds_alternative<NoCorruption>(corruption);
    Batch batch{};
    const auto fetch = [&](const RowSource& source, Buffer<T>& buffer, bool to_change) -> const T* {
      if (rows == nullptr && !to_change) {
        if (const T* direct = in_place<T>(source, first)) return direct;
      }
      gather(team, source, rows, first, count, buffer.ensure(count * source.columns));
      return buffer.data();
    };
    batch.x = fetch(data.x, x_, !clean);
    if (data.same && clean) {
      batch.t = batch.x;
    } else if (data.same && batch.x == x_.data()) {
      std::copy_n(batch.x, count * data.x.columns, t_.ensure(count * data.x.columns));
      batch.t = t_.data();
    } else {
      batch.t = fetch(data.t, t_, false);
    }
    if (!clean)
      corrupt(team, corruption, seed, epoch, rows, first, count, data.x.columns, x_.data());
    if (data.weights != nullptr) {
      if (rows == nullptr) {
        batch.weights = data.weights + first;
      } else {
        T* weights = weights_.ensure(count);
        for (Index i = 0; i < count; ++i) weights[i] = data.weights[rows[i]];
        batch.weights = weights;
      }
    }
    return batch;
  }

 private:
  Buffer<T> x_, t_, weights_;
};

// A batch as an optimizer that re-evaluates sees it: inputs, targets and corruption stay the same.
template <class T>
class BatchObjective final : public Objective<T> {
 public:
  using Batch = typename BatchReader<T>::Batch;

  BatchObjective(const Network<T>& network, const Team& team, Workspace<T>& work)
      : network_(network), team_(team), work_(work), curvature_(network) {}

  void look_at(const Batch& batch, Index count) {
    batch_ = batch;
    count_ = count;
  }
  double evaluate(const T* w, T* g) override {
    loss_ = g == nullptr
                ? network_.evaluate(team_, work_, batch_.x, batch_.t, batch_.weights, count_, w)
                : network_.loss_and_gradients(team_, work_, batch_.x, batch_.t, batch_.weights,
                                              count_, g, w);
    return loss_.mean(network_.sum_reduction());
  }
  Index rows() const override { return count_; }
  void gauss_newton(Block block, const T* w, const T* v, T* out) override {
    curvature_.product(team_, passed(w), block, v, out);
  }
  std::array<double, 3> gauss_newton_forms(Block block, const T* w, const T* u,
                                           const T* v) override {
    return curvature_.forms(team_, passed(w), block, u, v);
  }
  void sample(Block block, const T* w, std::uint64_t turn,
              const typename Objective<T>::Visit& visit) override {
    curvature_.samples(team_, passed(w), block, turn, visit);
  }
  void curvature_diagonal(Block block, const T* w, std::uint64_t turn, T* out) override {
    curvature_.diagonal(team_, passed(w), block, turn, out);
  }
  // The loss at the network's own parameters. g holds their gradient already where the last step
  // ended there, on the same batch.
  const BatchLoss& at_parameters(T* g) {
    const T* w = network_.parameters();
    if (!known_ || !std::equal(w, w + network_.n_parameters(), known_at_.data())) evaluate(w, g);
    known_ = false;
    return loss_;
  }
  // The batch will come again, and the last point evaluated is where the network is now.
  void remember() {
    std::copy_n(network_.parameters(), network_.n_parameters(),
                known_at_.ensure(network_.n_parameters()));
    known_ = true;
  }

 private:
  typename Curvature<T>::Passed passed(const T* w) const {
    return {work_, batch_.x, batch_.t, batch_.weights, count_, loss_.counted, w};
  }

  const Network<T>& network_;
  const Team& team_;
  Workspace<T>& work_;
  Batch batch_{};
  Index count_ = 0;
  BatchLoss loss_;
  Curvature<T> curvature_;
  bool known_ = false;
  Buffer<T> known_at_;  // (n_parameters)
};

template <class T>
class Trainer {
 public:
  // Several fits on one network go on where the last ended: optimizer, epoch number, streams.
  FitResult fit(Network<T>& network, Optimizer<T>& optimizer, std::uint64_t& epochs_trained,
                const Team& team, const DataSet<T>& data, const DataSet<T>* validation,
                const FitOptions& options, const Corruption& corruption,
                EarlyStoppingState<T>& stopping, Hook& hook) {
    const Index n = data.x.rows;
    const Index batch_size = std::min(options.batch_size, n);
    const Index n_batches = (n + batch_size - 1) / batch_size;
    network.prepare(work_, batch_size);
    order_.resize(options.shuffle ? static_cast<std::size_t>(n) : 0);

    BatchObjective<T> objective(network, team, work_);
    FitResult result;
    for (Index e = options.first_epoch; e < options.epochs; ++e) {
      const auto start = std::chrono::steady_clock::now();
      EpochReport report;
      report.epoch = e;
      hook.progress = {e, 0, n_batches, 0};
      const Outcome outcome = run_epoch(network, optimizer, epochs_trained, team, data, options,
                                        corruption, batch_size, hook, objective, report);
      if (outcome == Outcome::diverged) {
        optimizer.reset();
        result.diverged = true;
        result.last = report;
        break;
      }
      ++epochs_trained;
      if (validation != nullptr) {
        report.val_loss = evaluate(network, team, *validation, options.batch_size);
      }
      report.seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

      const EarlyStopping& early = options.early_stopping;
      if (early.active) {
        const double monitored = early.on_validation ? report.val_loss : report.loss;
        if (monitored < stopping.best - early.min_delta) {
          stopping.best = monitored;
          stopping.waited = 0;
          stopping.best_epoch = e;
          if (early.restore_best) {
            std::copy_n(network.parameters(), network.n_parameters(),
                        stopping.best_parameters.ensure(network.n_parameters()));
          }
        } else {
          ++stopping.waited;
        }
      }
      if (hook.epoch_end(report)) break;
      if (outcome != Outcome::updated) {
        result.converged = outcome == Outcome::converged;
        result.stalled = outcome == Outcome::stalled;
        break;
      }
      if (early.active && stopping.waited > 0 && stopping.waited >= early.patience) {
        result.stopped_early = true;
        break;
      }
    }
    result.best_epoch = stopping.best_epoch;
    if (options.early_stopping.active && options.early_stopping.restore_best &&
        stopping.best_parameters.size() == network.n_parameters()) {
      std::copy_n(stopping.best_parameters.data(), network.n_parameters(), network.parameters());
      result.restored_best = true;
    }
    return result;
  }

  // The mean loss over a data set, penalties included.
  double evaluate(const Network<T>& network, const Team& team, const DataSet<T>& data,
                  Index batch_size) {
    batch_size = std::min(batch_size, data.x.rows);
    network.prepare(validation_work_, batch_size);
    LossMean mean;
    for (Index first = 0; first < data.x.rows; first += batch_size) {
      const Index count = std::min(batch_size, data.x.rows - first);
      const auto batch =
          validation_reader_.read(team, data, NoCorruption{}, 0, 0, nullptr, first, count);
      mean.add(network.evaluate(team, validation_work_, batch.x, batch.t, batch.weights, count),
               count);
    }
    return mean.value(network.sum_reduction());
  }

 private:
  // Diverged when the loss or the weights stopped being finite, the weights being the last finite
  // ones; converged or stalled when no batch had a step to take, and the next epoch has the same
  // ones.
  Outcome run_epoch(Network<T>& network, Optimizer<T>& optimizer, std::uint64_t epoch,
                    const Team& team, const DataSet<T>& data, const FitOptions& options,
                    const Corruption& corruption, Index batch_size, Hook& hook,
                    BatchObjective<T>& objective, EpochReport& report) {
    const Index n = data.x.rows;
    const Team undisturbed(team.threads());  // an update is never left half done
    const bool clean = std::holds_alternative<NoCorruption>(corruption);
    const bool whole =
        batch_size == n && optimizer.ends_where_evaluated();  // read in place, in any order
    Index* order = nullptr;
    if (options.shuffle && !whole) {
      std::iota(order_.begin(), order_.end(), Index{0});
      shuffle(network.seed(), epoch, order_.data(), n);
      order = order_.data();
    }
    T* gradients = gradients_.ensure(network.n_parameters());
    LossMean mean;
    Outcome outcome = clean ? Outcome::converged : Outcome::updated;
    for (Index first = 0; first < n; first += batch_size) {
      const Index count = std::min(batch_size, n - first);
      objective.look_at(reader_.read(team, data, corruption, network.seed(), epoch,
                                     order == nullptr ? nullptr : order + first, first, count),
                        count);
      const BatchLoss loss = objective.at_parameters(gradients);
      report.learning_rate = optimizer.learning_rate();
      if (!std::isfinite(loss.data) || !std::isfinite(loss.penalty)) return Outcome::diverged;
      const Outcome step =
          optimizer.step(undisturbed, network.tensors(), objective,
                         loss.mean(network.sum_reduction()), network.parameters(), gradients);
      if (step == Outcome::diverged) return step;
      if (step == Outcome::updated && whole && clean) objective.remember();
      if (step == Outcome::updated || outcome == Outcome::converged) outcome = step;
      mean.add(loss, count);
      hook.progress.batch = first / batch_size + 1;
      hook.progress.loss = mean.value(network.sum_reduction());
    }
    report.loss = mean.value(network.sum_reduction());
    return outcome;
  }

  BatchReader<T> reader_, validation_reader_;
  Workspace<T> work_, validation_work_;
  std::vector<Index> order_;
  Buffer<T> gradients_;  // (n_parameters)
};

}  // namespace pyae
