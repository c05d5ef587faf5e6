// How far to go along a direction: phi(a) = f(w + a d), phi'(0) < 0. Both searches give up, at step
// 0, after so many evaluations; the point they return is the last one that was evaluated.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "linalg/types.hpp"

namespace pyae {

struct LinePoint {
  double step = 0, value = 0, slope = 0;  // a, phi(a), phi'(a)

  bool is_finite() const { return std::isfinite(value) && std::isfinite(slope); }
};

// What a search asks of a point, from the one it starts at.
struct LineConditions {
  static constexpr double kDecrease = 1e-4, kCurvature = 0.9;
  LinePoint start;
  double noise;  // differences of phi up to this are rounding errors

  // Sufficient decrease. Where phi's change is lost in rounding errors it is read off the slopes,
  // as if phi were a parabola: the approximate Wolfe condition of Hager & Zhang 2005. `gain` is the
  // change that the first slope foretells, `end` the one that the last slope does.
  bool decreased(double value, double gain, double end) const {
    if (value <= start.value + kDecrease * gain) return true;
    return value <= start.value + noise && end <= (2 * kDecrease - 1) * gain;
  }
  bool decreased(const LinePoint& p) const {
    return decreased(p.value, p.step * start.slope, p.step * p.slope);
  }
  bool too_steep(const LinePoint& p) const { return p.slope < kCurvature * start.slope; }
  bool too_far(const LinePoint& p) const { return p.slope > -kCurvature * start.slope; }
};

namespace detail {

// Where the cubic through two points, with their slopes, has its minimum (Nocedal & Wright 3.59);
// of values that differ by noise only, the slopes alone are believed. NaN where there is none.
inline double interpolated(const LinePoint& a, const LinePoint& b, double noise) {
  const double width = b.step - a.step;
  if (std::abs(b.value - a.value) <= noise) return a.step - a.slope * width / (b.slope - a.slope);
  const double d1 = a.slope + b.slope - 3 * (b.value - a.value) / width;
  const double d2 = std::sqrt(d1 * d1 - a.slope * b.slope);
  return b.step - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
}

inline double clamped(double x, double low, double high, double otherwise) {
  return std::isfinite(x) ? std::clamp(x, low, high) : otherwise;
}

}  // namespace detail

// A point that meets the strong Wolfe conditions. `low` has decreased and still falls steeply,
// `high` has not decreased, rises, or is not finite: between them phi(a) - phi(0) - c a phi'(0) has
// a minimum, and that meets both conditions (Nocedal & Wright, lemma 3.1), so the interval is
// halved at least every other time.
template <class Evaluate>
LinePoint search_wolfe(const LineConditions& conditions, double step, Index most,
                       const Evaluate& evaluate) {
  LinePoint low = conditions.start, high;
  bool bracketed = false, bisect = false;
  for (Index i = 0; i < most; ++i) {
    const LinePoint p = evaluate(step);
    const double width = high.step - low.step;
    if (!p.is_finite() || !conditions.decreased(p) || conditions.too_far(p)) {
      high = p;
      bisect = bracketed && high.step - low.step > 0.6 * width;
      bracketed = true;
    } else if (conditions.too_steep(p)) {
      const LinePoint before = std::exchange(low, p);
      bisect = bracketed && high.step - low.step > 0.6 * width;
      if (!bracketed) {
        step = detail::clamped(detail::interpolated(before, p, conditions.noise), 2 * p.step,
                               10 * p.step, 4 * p.step);
        continue;
      }
    } else {
      return p;
    }
    const double middle = 0.5 * (low.step + high.step), edge = 0.1 * (high.step - low.step);
    step = bisect || !high.is_finite()
               ? middle
               : detail::clamped(detail::interpolated(low, high, conditions.noise), low.step + edge,
                                 high.step - edge, middle);
  }
  return low.step > 0 ? evaluate(low.step) : low;
}

// The first of step, step/2, step/4, ... whose point has decreased. `evaluate` gives, with a
// point, `gain` and `end`: its slopes times its way, which need not be straight.
struct BentPoint {
  double value, gain, end;
};
template <class Evaluate>
double search_backward(const LineConditions& conditions, double step, Index most,
                       const Evaluate& evaluate) {
  for (Index i = 0; i < most; ++i, step *= 0.5) {
    const BentPoint p = evaluate(step);
    if (std::isfinite(p.value) && std::isfinite(p.end) && p.gain < 0 &&
        conditions.decreased(p.value, p.gain, p.end)) {
      return step;
    }
  }
  return 0;
}

}  // namespace pyae
