// The JSON-able specs that Python builds, as the core's own structs.
#pragma once

#include "bind/arrays.hpp"
#include "nn/specs.hpp"
#include "optim/specs.hpp"
#include "train/fit.hpp"

namespace pyae {

// All throw py::value_error, py::type_error or std::invalid_argument, which name the culprit.
// Names and fields of activations, losses and the like are left to whoever makes something of them.
NetworkSpec to_network_spec(const py::dict& spec);
OptimizerSpec to_optimizer_spec(const py::dict& dict);
Schedule to_schedule(const py::object& object);
FitOptions to_fit_options(const py::dict& dict);

// Complains about a spec of the given kind that names something unknown or out of its limits.
void check_spec(const std::string& kind, const py::dict& spec);

}  // namespace pyae
