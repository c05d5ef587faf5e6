// The compiled module of one instruction-set level: its tables, its threads, its build.
#include "bind/arrays.hpp"
#include "nn/corruption.hpp"
#include "nn/initializers.hpp"
#include "nn/losses.hpp"
#include "optim/optimizers.hpp"

namespace pyae {
namespace {

template <class Item>
py::dict describe(const Item& item) {
  py::dict fields;
  for (const FieldDescription& field : describe_fields(item)) {
    const bool unset = field.value <= -1e300;
    fields[py::str(field.name)] =
        py::make_tuple(unset ? py::object(py::none()) : py::cast(field.value), field.limits.low,
                       field.limits.high);
  }
  return fields;
}

template <class Variant>
py::dict table() {
  py::dict names;
  for_each_item<Variant>([&](const auto& item) {
    py::dict entry;
    entry["fields"] = describe(item);
    names[py::str(item.name)] = entry;
  });
  return names;
}

py::dict activation_table() {
  py::dict names = table<Activation>();
  for_each_item<Activation>([&](const auto& item) {
    using A = std::decay_t<decltype(item)>;
    names[py::str(item.name)]["rowwise"] = detail::kRowwise<A>;
    names[py::str(item.name)]["derivative_of_output"] = detail::kFromOutput<A>;
  });
  return names;
}

py::dict loss_table() {
  py::dict names = table<Loss>();
  for_each_item<Loss>([&](const auto& item) {
    auto entry = names[py::str(item.name)];
    entry["domain"] = py::make_tuple(item.domain.low, item.domain.high);
    entry["classes"] = item.domain.classes;
    entry["canonical_link"] = item.canonical_link == nullptr
                                  ? py::object(py::none())
                                  : py::object(py::str(item.canonical_link));
  });
  return names;
}

py::dict optimizer_table() {
  py::dict names = table<OptimizerKind>();
  for_each_item<OptimizerKind>([&](const auto& rule) {
    names[py::str(rule.name)]["learning_rate"] =
        std::decay_t<decltype(rule)>::default_learning_rate;
  });
  return names;
}

py::dict tables() {
  py::dict all;
  all["activations"] = activation_table();
  all["losses"] = loss_table();
  all["optimizers"] = optimizer_table();
  all["schedules"] = table<ScheduleKind>();
  all["initializers"] = table<Initializer>();
  all["penalties"] = table<ActivityPenalty>();
  all["corruptions"] = table<Corruption>();
  return all;
}

std::string compiler() {
#if defined(__clang__)
  return std::string("Clang ") + __clang_version__;
#else
  return std::string("GCC ") + __VERSION__;
#endif
}

py::dict build_info() {
  py::dict info;
  info["level"] = PYAE_LEVEL;
  info["compiler"] = compiler();
  info["vector_bytes"] = kVectorBytes;
#if defined(_OPENMP)
  info["openmp"] = _OPENMP;
#endif
  return info;
}

}  // namespace
}  // namespace pyae

PYBIND11_MODULE(PYAE_MODULE, m) {
  using namespace pyae;
  m.doc() = "The core of pyae, compiled for one instruction-set level.";
  m.def("tables", &tables, "Every name that the core knows, with its fields.");
  m.def("build_info", &build_info);
  m.def("available_threads", &available_threads);
  m.def("set_thread_limit", &set_thread_limit, py::arg("limit"));
  m.def("forked_after_threads", &forked_after_threads);
  register_kernels(m);
  register_networks(m);
}
