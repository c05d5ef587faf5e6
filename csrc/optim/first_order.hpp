// First-order optimizers: one struct each says the rule, one list names them, one loop applies it.
//
// A rule declares n_slots() and initial_slot(), turns the learning rate and the step number
// (t = 1, 2, ...) into the few numbers that a step needs (prepare), and updates a vector of
// parameters w with gradient g and its slots. Formulas, names and defaults are those of Keras 3.
#pragma once

#include "linalg/math.hpp"
#include "optim/optimizer.hpp"

namespace pyae {

struct Sgd {  // v = momentum v - lr g; w += v, or with Nesterov w += momentum v - lr g
  static constexpr const char* name = "sgd";
  static constexpr double default_learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("momentum", momentum, kBelowOne);
    visit("nesterov", nesterov, kUnit);
  }
  Index n_slots() const { return momentum > 0 ? 1 : 0; }
  double initial_slot() const { return 0; }
  struct Step {
    double lr;
  };
  Step prepare(double lr, double, double&) const { return {lr}; }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    const V change = splat<V>(s.lr) * g;
    if (momentum == 0) return w - change;
    V& v = slot[0];
    v = splat<V>(momentum) * v - change;
    return nesterov ? w + (splat<V>(momentum) * v - change) : w + v;
  }
};

struct RMSprop {  // v = rho v + (1-rho) g^2; w -= lr g / sqrt(v + eps); Tieleman & Hinton 2012
  static constexpr const char* name = "rmsprop";
  static constexpr double default_learning_rate = 0.001;
  double rho = 0.9, momentum = 0, epsilon = kEpsilon;
  bool centered = false;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("rho", rho, kBelowOne);
    visit("momentum", momentum, kBelowOne);
    visit("epsilon", epsilon, kPositive);
    visit("centered", centered, kUnit);
  }
  // Slots: mean square, then (if asked for) momentum, then the mean of a centered one.
  Index n_slots() const { return 1 + (momentum > 0 ? 1 : 0) + (centered ? 1 : 0); }
  double initial_slot() const { return 0; }
  struct Step {
    double lr;
  };
  Step prepare(double lr, double, double&) const { return {lr}; }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    V& v = slot[0];
    v = splat<V>(rho) * v + splat<V>(1 - rho) * g * g;
    V square = v;
    if (centered) {
      V& mean = slot[momentum > 0 ? 2 : 1];
      mean = splat<V>(rho) * mean + splat<V>(1 - rho) * g;
      square = at_least(square - mean * mean, V{});  // a variance, but for rounding
    }
    const V change = splat<V>(s.lr) * g / sqrt(square + splat<V>(epsilon));
    if (momentum == 0) return w - change;
    slot[1] = splat<V>(momentum) * slot[1] + change;
    return w - slot[1];
  }
};

struct Adagrad {  // a += g^2; w -= lr g / sqrt(a + eps); Duchi, Hazan & Singer 2011
  static constexpr const char* name = "adagrad";
  static constexpr double default_learning_rate = 0.001;
  double initial_accumulator_value = 0.1, epsilon = kEpsilon;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("initial_accumulator_value", initial_accumulator_value, kNotNegative);
    visit("epsilon", epsilon, kPositive);
  }
  Index n_slots() const { return 1; }
  double initial_slot() const { return initial_accumulator_value; }
  struct Step {
    double lr;
  };
  Step prepare(double lr, double, double&) const { return {lr}; }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    slot[0] = slot[0] + g * g;
    return w - splat<V>(s.lr) * g / sqrt(slot[0] + splat<V>(epsilon));
  }
};

struct Adadelta {  // Zeiler 2012
  static constexpr const char* name = "adadelta";
  static constexpr double default_learning_rate = 0.001;
  double rho = 0.95, epsilon = kEpsilon;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("rho", rho, kBelowOne);
    visit("epsilon", epsilon, kPositive);
  }
  Index n_slots() const { return 2; }  // mean square of gradients, of changes
  double initial_slot() const { return 0; }
  struct Step {
    double lr;
  };
  Step prepare(double lr, double, double&) const { return {lr}; }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    const V keep = splat<V>(rho), take = splat<V>(1 - rho), eps = splat<V>(epsilon);
    slot[0] = keep * slot[0] + take * g * g;
    const V change = -g * sqrt(slot[1] + eps) / sqrt(slot[0] + eps);
    slot[1] = keep * slot[1] + take * change * change;
    return w + splat<V>(s.lr) * change;
  }
};

// The fields and moments that Adam and its kin share; slots: m, v.
struct AdamMoments {
  static constexpr double default_learning_rate = 0.001;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = kEpsilon;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("beta_1", beta_1, kBelowOne);
    visit("beta_2", beta_2, kBelowOne);
    visit("epsilon", epsilon, kPositive);
  }
  Index n_slots() const { return 2; }
  double initial_slot() const { return 0; }
  template <class V>
  void update_moments(V g, V* slot) const {
    slot[0] = slot[0] + (g - slot[0]) * splat<V>(1 - beta_1);
    slot[1] = slot[1] + (g * g - slot[1]) * splat<V>(1 - beta_2);
  }
};

struct Adam : AdamMoments {  // w -= alpha m / (sqrt v + eps); Kingma & Ba 2015
  static constexpr const char* name = "adam";
  struct Step {
    double alpha, decay;
  };
  Step prepare(double lr, double t, double&) const {
    return {lr * std::sqrt(1 - std::pow(beta_2, t)) / (1 - std::pow(beta_1, t)), 0};
  }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    update_moments(g, slot);
    return w - splat<V>(s.alpha) * slot[0] / (sqrt(slot[1]) + splat<V>(epsilon));
  }
};

struct AdamW : Adam {  // Adam after w -= lr weight_decay w on kernels; Loshchilov & Hutter 2019
  static constexpr const char* name = "adamw";
  double weight_decay = 0.004;
  template <class Visit>
  void fields(Visit&& visit) {
    Adam::fields(visit);
    visit("weight_decay", weight_decay, kNotNegative);
  }
  Step prepare(double lr, double t, double& scalar) const {
    return {Adam::prepare(lr, t, scalar).alpha, lr * weight_decay};
  }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool is_kernel) const {
    if (is_kernel) w = w - splat<V>(s.decay) * w;
    return Adam::update(w, g, slot, s, is_kernel);
  }
};

struct Nadam : AdamMoments {  // Adam with Nesterov momentum; Dozat 2016
  static constexpr const char* name = "nadam";
  struct Step {
    double lr, of_m, of_g, of_v;
  };
  // `product` is that of all momenta u_1 ... u_t so far.
  Step prepare(double lr, double t, double& product) const {
    const double u = momentum_at(t), next = momentum_at(t + 1);
    product *= u;
    return {lr, next / (1 - product * next), (1 - u) / (1 - product),
            1 / (1 - std::pow(beta_2, t))};
  }
  template <class V>
  V update(V w, V g, V* slot, const Step& s, bool) const {
    update_moments(g, slot);
    const V m = splat<V>(s.of_m) * slot[0] + splat<V>(s.of_g) * g;
    const V v = splat<V>(s.of_v) * slot[1];
    return w - splat<V>(s.lr) * m / (sqrt(v) + splat<V>(epsilon));
  }

 private:
  double momentum_at(double t) const { return beta_1 * (1 - 0.5 * std::pow(0.96, t)); }
};

// The table: to add a first-order optimizer, write its rule above and its name here.
using FirstOrderRule = std::variant<Sgd, RMSprop, Adagrad, Adadelta, Adam, AdamW, Nadam>;

template <class T>
std::unique_ptr<Optimizer<T>> make_first_order(OptimizerSpec spec, FirstOrderRule rule,
                                               Index n_parameters);

}  // namespace pyae
