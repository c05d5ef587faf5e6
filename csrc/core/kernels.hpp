// The kernels as functions of plain arrays: what the binding offers of a level beyond training.
// Arrays are row-major and dense; names and numbers come as Options. All but matmul take as many
// threads as there are. They throw std::invalid_argument for options that the core does not know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/options.hpp"

namespace pyae {

struct Shape {
  Index rows = 1, columns = 1;

  Index size() const { return rows * columns; }
};

// y = f(x), both of the shape given; dx = dy * f'(x), accurate also where f saturates.
template <class T>
void activation_value(const Options& activation, const T* x, Shape shape, T* y);
template <class T>
void activation_vjp(const Options& activation, const T* x, const T* dy, Shape shape, T* dx);

// What a loss compares: targets t (n_targets), predictions p (shape), weights (rows) or null.
template <class T>
struct LossArguments {
  const T* t;
  Index n_targets;
  const T* p;
  Shape shape;
  const T* weights;
  Index n_weights;
};
// values (rows) of w_i l_i; returns how many samples count in the mean.
template <class T>
Index loss_values(const Options& loss, const LossArguments<T>& arguments, T* values);
// The gradient (shape) of their sum, or of their mean, by p.
template <class T>
void loss_gradient(const Options& loss, const LossArguments<T>& arguments, bool mean, T* gradient);

// c = op(a) op(b), where a and b are of the shapes given before they are transposed.
template <class T>
struct Factor {
  const T* data;
  Shape shape;
  bool transpose;

  Index rows() const { return transpose ? shape.columns : shape.rows; }
  Index columns() const { return transpose ? shape.rows : shape.columns; }
};
template <class T>
void matrix_product(const Factor<T>& a, const Factor<T>& b, int n_threads, bool bfloat16, T* c);

// Values of penalties, and their gradients, of the same shape.
template <class T>
double parameter_penalty(const Options& penalty, const T* w, Index n, T* gradient);
template <class T>
double activity_penalty(const Options& penalty, const T* y, Shape shape, T* gradient);

// Corrupts x, whose rows are rows `rows` of a data set, in place. `lows` and `highs` are each
// feature's ends, for a salt and pepper that has none of its own.
template <class T>
void corrupt(const Options& corruption, std::uint64_t seed, std::uint64_t epoch, const Index* rows,
             const std::vector<double>& lows, const std::vector<double>& highs, Shape shape, T* x);

// kernel (fan_in, fan_out)
void initial_kernel(const Options& initializer, std::uint64_t seed, std::uint64_t layer,
                    Index fan_in, Index fan_out, double* kernel);

// words (blocks, 4) of the generator, and a permutation of 0 ... n-1.
void random_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t turn,
                  std::uint32_t attempt, std::uint64_t first, Index blocks, std::uint32_t* words);
void permutation(std::uint64_t seed, std::uint64_t epoch, Index n, Index* order);

// The vectorised elementary functions by name, for measuring their errors: y = f(x), both (n).
template <class T>
void elementary(const std::string& name, const T* x, Index n, T* y);

}  // namespace pyae
