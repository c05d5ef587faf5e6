// The JSON-able specs that Python builds, as the core's own structs.
#pragma once

#include "bind/arrays.hpp"
#include "optim/optimizers.hpp"
#include "train/trainer.hpp"

namespace pyae {

// All throw py::value_error, py::type_error or std::invalid_argument, which name the culprit.
NetworkSpec to_network_spec(const py::dict& spec);
OptimizerSpec to_optimizer_spec(const py::dict& dict);
FitOptions to_fit_options(const py::dict& dict);

// Complains about a spec of the given kind that names something unknown or out of its limits.
void check_spec(const std::string& kind, const py::dict& spec);

}  // namespace pyae
