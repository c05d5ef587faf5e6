// A network as data, before anything is compiled from it: names and numbers, no formulas.
#pragma once

#include <optional>
#include <vector>

#include "nn/options.hpp"

namespace pyae {

struct DenseSpec {
  Index units = 0;
  Options activation;
  bool use_bias = true;
  Options initializer;
  std::optional<Options> kernel_penalty, bias_penalty, activity_penalty;
  Index tied_to = -1;  // the layer whose kernel's transpose this one uses
};

struct NetworkSpec {
  std::vector<DenseSpec> layers;
  Options loss;
  bool sum_reduction = false;  // the batch's loss is a sum, not a mean
  bool bfloat16 = false;       // the factors of products are rounded to it
};

// One array of parameters within the flat block.
struct TensorPlace {
  Index layer;
  bool is_kernel;
  Index rows, columns;  // a bias is (1, units)
  Index offset;

  Index size() const { return rows * columns; }
};

}  // namespace pyae
