// Everything that the core knows by name, described, and what this level was built by.
#pragma once

#include <string>
#include <vector>

#include "nn/options.hpp"

namespace pyae {

struct ItemDescription {
  std::string name;
  std::vector<FieldDescription> fields;
};
struct ActivationDescription : ItemDescription {
  bool rowwise = false;               // works along the last axis
  bool derivative_of_output = false;  // back-propagation needs its output alone
};
struct LossDescription : ItemDescription {
  double low = 0, high = 0;              // the targets it is defined for
  bool classes = false;                  // of which one stands for a sample
  const char* canonical_link = nullptr;  // the activation it is merged with, or null
};
struct OptimizerDescription : ItemDescription {
  double learning_rate = 0;  // the default
};

struct Tables {
  std::vector<ActivationDescription> activations;
  std::vector<LossDescription> losses;
  std::vector<OptimizerDescription> optimizers;
  std::vector<ItemDescription> schedules, initializers, penalties, corruptions;
};
Tables tables();

// Throws std::invalid_argument for options that no item of the kind ("activation", "loss",
// "optimizer", "initializer", "penalty", "noise") takes; `what` names the concept in the message.
void check_item(const std::string& kind, const Options& options, const char* what);

struct BuildInfo {
  const char* level;
  std::string compiler;
  int vector_bytes;
  int openmp;     // the specification's date, 0: none
  bool bfloat16;  // this processor has an instruction for products of bfloat16, and this level uses
                  // it
};
BuildInfo build_info();

}  // namespace pyae
