// Learning rates as functions of the number of updates done, counted from 0. Formulas and names are
// those of Keras 3's schedules; warm_up is linear (Goyal et al. 2017).
#pragma once

#include <cstdint>
#include <memory>

#include "nn/options.hpp"

namespace pyae {

class Schedule;

struct Constant {
  static constexpr const char* name = "constant";
  double learning_rate = 0.001;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("learning_rate", learning_rate, kPositive);
  }
  double rate(double) const { return learning_rate; }
};

// The fields that decays over `decay_steps` share.
struct Decay {
  double initial_learning_rate = 0.001, decay_steps = 1000;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("initial_learning_rate", initial_learning_rate, kPositive);
    visit("decay_steps", decay_steps, kPositive);
  }
};
struct RateDecay : Decay {
  double decay_rate = 0.96;
  bool staircase = false;
  template <class Visit>
  void fields(Visit&& visit) {
    Decay::fields(visit);
    visit("decay_rate", decay_rate, kPositive);
    visit("staircase", staircase, kUnit);
  }
  double progress(double step) const {
    return staircase ? std::floor(step / decay_steps) : step / decay_steps;
  }
};

struct ExponentialDecay : RateDecay {  // initial * decay_rate^(step/decay_steps)
  static constexpr const char* name = "exponential";
  double rate(double step) const {
    return initial_learning_rate * std::pow(decay_rate, progress(step));
  }
};

struct InverseTime : RateDecay {  // initial / (1 + decay_rate step/decay_steps)
  static constexpr const char* name = "inverse_time";
  double rate(double step) const {
    return initial_learning_rate / (1 + decay_rate * progress(step));
  }
};

struct Cosine : Decay {  // Loshchilov & Hutter 2017, without restarts
  static constexpr const char* name = "cosine";
  double alpha = 0;  // the last learning rate, as a share of the first
  template <class Visit>
  void fields(Visit&& visit) {
    Decay::fields(visit);
    visit("alpha", alpha, kUnit);
  }
  double rate(double step) const {
    constexpr double pi = 3.14159265358979323846;
    const double half = 0.5 * (1 + std::cos(pi * std::min(step, decay_steps) / decay_steps));
    return initial_learning_rate * ((1 - alpha) * half + alpha);
  }
};

struct Piecewise {  // values[i] up to and including step boundaries[i], then the last value
  static constexpr const char* name = "piecewise";
  std::vector<double> boundaries, values;
  template <class Visit>
  void fields(Visit&&) {}
  double rate(double step) const {
    std::size_t i = 0;
    while (i < boundaries.size() && step > boundaries[i]) ++i;
    return values[i];
  }
};

struct WarmUp {  // from start_factor to 1 times then(0), linearly, then `then` from its start
  static constexpr const char* name = "warm_up";
  double warmup_steps = 1, start_factor = 0;
  std::shared_ptr<const Schedule> then;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("warmup_steps", warmup_steps, kPositive);
    visit("start_factor", start_factor, kUnit);
  }
  double rate(double step) const;
};

using ScheduleKind =
    std::variant<Constant, ExponentialDecay, Cosine, Piecewise, InverseTime, WarmUp>;

class Schedule {
 public:
  Schedule(ScheduleKind kind = Constant{}) : kind_(std::move(kind)) {}
  double operator()(std::int64_t step) const { return rate(static_cast<double>(step)); }
  double rate(double step) const {
    return std::visit([step](const auto& kind) { return kind.rate(step); }, kind_);
  }

 private:
  ScheduleKind kind_;
};

inline double WarmUp::rate(double step) const {
  if (step >= warmup_steps) return then->rate(step - warmup_steps);
  return then->rate(0) * (start_factor + (1 - start_factor) * (step + 1) / warmup_steps);
}

}  // namespace pyae
