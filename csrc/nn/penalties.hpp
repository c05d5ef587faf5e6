// What is added to the loss: L1 and L2 on parameters; L1, L2 and KL sparsity on a layer's output.
#pragma once

#include <optional>

#include "linalg/math.hpp"
#include "linalg/parallel.hpp"
#include "nn/options.hpp"

namespace pyae {

struct L1L2 {  // l1 sum |w| + l2 sum w^2
  static constexpr const char* name = "l1l2";
  double l1 = 0, l2 = 0;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("l1", l1, kNotNegative);
    visit("l2", l2, kNotNegative);
  }
  bool empty() const { return l1 == 0 && l2 == 0; }
};

// beta sum_j [rho log(rho/r_j) + (1-rho) log((1-rho)/(1-r_j))], r_j the batch mean of unit j in
// [eps, 1-eps]; Ng, "Sparse autoencoder" (CS294A lecture notes, 2011).
struct KLSparsity {
  static constexpr const char* name = "kl_sparsity";
  double rho = 0.05, beta = 1;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("rho", rho, kUnitOpen);
    visit("beta", beta, kNotNegative);
  }
};

using ActivityPenalty = std::variant<L1L2, KLSparsity>;  // an empty L1L2: none

// From a layer's spec; nullopt: none.
L1L2 make_parameter_penalty(const std::optional<Options>& options);
ActivityPenalty make_activity_penalty(const std::optional<Options>& options);

inline bool is_empty(const ActivityPenalty& penalty) {
  const auto* l1l2 = std::get_if<L1L2>(&penalty);
  return l1l2 != nullptr && l1l2->empty();
}

// Value of a penalty on parameters w (n); its gradient is added to g where g is given.
template <class T>
double parameter_penalty(const Team& team, const L1L2& penalty, const T* w, T* g, Index n);

// The derivative of an activity penalty by the output y[i, j]: l1 sign(y) + l2 y + column[j].
template <class T>
struct ActivityGradient {
  T l1 = 0, l2 = 0;
  const T* column = nullptr;  // (units), or null
  bool active = false;

  template <class V>
  V operator()(V y, Index j, Index count) const {
    V d = splat<V>(static_cast<double>(l1)) * sign(y) + splat<V>(static_cast<double>(l2)) * y;
    if (column != nullptr) d += load_up_to(column + j, count);
    return d;
  }
};

// Value of an activity penalty on y (rows, columns), divided by the batch size; says in `gradient`
// how to differentiate it. `column` has room for `columns` values.
template <class T>
double activity_penalty(const Team& team, const ActivityPenalty& penalty, const T* y, Index rows,
                        Index columns, T* column, ActivityGradient<T>& gradient);

}  // namespace pyae
