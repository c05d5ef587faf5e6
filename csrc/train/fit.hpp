// What a fit is asked for, and what it tells.
#pragma once

#include <limits>
#include <optional>
#include <string>

#include "linalg/parallel.hpp"
#include "nn/options.hpp"
#include "train/rows.hpp"

namespace pyae {

template <class T>
struct DataSet {
  RowSource x, t;
  bool same = false;                       // the targets are the inputs: an autoencoder
  const T* weights = nullptr;              // (rows), or null
  std::string x_name = "X", t_name = "y";  // what the caller calls them
};

struct EarlyStopping {
  bool active = false;
  bool on_validation = true;  // monitors val_loss, otherwise loss
  Index patience = 0;
  double min_delta = 0;
  bool restore_best = true;
};

// How far early stopping has come; a fit that goes on where another broke off starts from it.
template <class T>
struct EarlyStoppingState {
  double best = std::numeric_limits<double>::infinity();
  Index waited = 0, best_epoch = -1;
  Buffer<T> best_parameters;  // (n_parameters), once there is a best epoch to restore
};

struct FitOptions {
  Index first_epoch = 0, epochs = 1;  // epochs are numbered from first_epoch to epochs - 1
  Index batch_size = 32;
  bool shuffle = true;
  std::optional<Options> corruption;
  EarlyStopping early_stopping;
};

struct EpochReport {
  Index epoch = 0;  // within this fit, from 0
  double loss = 0, val_loss = 0, learning_rate = 0, seconds = 0;
};

// Where training is, for whoever shows it.
struct Progress {
  Index epoch = 0, batch = 0, n_batches = 0;
  double loss = 0;
};

class Hook : public Interrupt {
 public:
  virtual void begin() = 0;  // the data have been checked; nothing has changed yet
  virtual bool epoch_end(const EpochReport& report) = 0;  // true: stop after this epoch
  Progress progress;
};

struct FitResult {
  bool diverged = false, converged = false, stalled = false, stopped_early = false;
  bool restored_best = false;
  Index best_epoch = -1;
  EpochReport last;  // where it diverged
};

}  // namespace pyae
