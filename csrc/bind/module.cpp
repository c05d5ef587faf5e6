// The compiled module: its tables, its threads, its build. What is here is compiled once; each
// instruction-set level has the same object files in a module under its own name (entry.cpp).
#include "bind/arrays.hpp"
#include "core/tables.hpp"
#include "linalg/parallel.hpp"

namespace pyae {
namespace {

py::dict to_dict(const ItemDescription& item) {
  py::dict fields;
  for (const FieldDescription& field : item.fields) {
    const bool unset = field.value <= -1e300;
    fields[py::str(field.name)] =
        py::make_tuple(unset ? py::object(py::none()) : py::object(py::float_(field.value)),
                       field.limits.low, field.limits.high);
  }
  py::dict entry;
  entry["fields"] = fields;
  return entry;
}
py::dict to_dict(const ActivationDescription& item) {
  py::dict entry = to_dict(static_cast<const ItemDescription&>(item));
  entry["rowwise"] = item.rowwise;
  entry["derivative_of_output"] = item.derivative_of_output;
  return entry;
}
py::dict to_dict(const LossDescription& item) {
  py::dict entry = to_dict(static_cast<const ItemDescription&>(item));
  entry["domain"] = py::make_tuple(item.low, item.high);
  entry["classes"] = item.classes;
  entry["canonical_link"] = item.canonical_link == nullptr
                                ? py::object(py::none())
                                : py::object(py::str(item.canonical_link));
  return entry;
}
py::dict to_dict(const OptimizerDescription& item) {
  py::dict entry = to_dict(static_cast<const ItemDescription&>(item));
  entry["learning_rate"] = item.learning_rate;
  return entry;
}

template <class Description>
py::dict to_table(const std::vector<Description>& items) {
  py::dict names;
  for (const Description& item : items) names[py::str(item.name)] = to_dict(item);
  return names;
}

py::dict tables_of_names() {
  const Tables known = tables();
  py::dict all;
  all["activations"] = to_table(known.activations);
  all["losses"] = to_table(known.losses);
  all["optimizers"] = to_table(known.optimizers);
  all["schedules"] = to_table(known.schedules);
  all["initializers"] = to_table(known.initializers);
  all["penalties"] = to_table(known.penalties);
  all["corruptions"] = to_table(known.corruptions);
  return all;
}

py::dict build() {
  const BuildInfo build = build_info();
  py::dict info;
  info["level"] = build.level;
  info["compiler"] = build.compiler;
  info["vector_bytes"] = build.vector_bytes;
  info["bfloat16"] = build.bfloat16;
  if (build.openmp != 0) info["openmp"] = build.openmp;
  return info;
}

}  // namespace
}  // namespace pyae

PYBIND11_MODULE(_core, m) {
  using namespace pyae;
  m.doc() = "The core of pyae, compiled for one instruction-set level.";
  m.def("tables", &tables_of_names, "Every name that the core knows, with its fields.");
  m.def("build_info", &build);
  m.def("available_threads", &available_threads);
  m.def("set_thread_limit", &set_thread_limit, py::arg("limit"));
  m.def("forked_after_threads", &forked_after_threads);
  register_kernels(m);
  register_networks(m);
}
