#include "core/tables.hpp"

#include "linalg/matmul.hpp"
#include "nn/corruption.hpp"
#include "nn/initializers.hpp"
#include "nn/losses.hpp"
#include "nn/penalties.hpp"
#include "optim/optimizers.hpp"

namespace pyae {
namespace {

// The items of a variant; add(item, description) fills in what is particular to the concept.
template <class Variant, class Description, class Add>
std::vector<Description> describe(const Add& add) {
  std::vector<Description> table;
  for_each_item<Variant>([&](const auto& item) {
    Description description;
    description.name = item.name;
    description.fields = describe_fields(item);
    add(item, description);
    table.push_back(std::move(description));
  });
  return table;
}
template <class Variant>
std::vector<ItemDescription> describe() {
  return describe<Variant, ItemDescription>([](const auto&, ItemDescription&) {});
}

}  // namespace

Tables tables() {
  Tables all;
  all.activations =
      describe<Activation, ActivationDescription>([](const auto& item, auto& description) {
        using A = std::decay_t<decltype(item)>;
        description.rowwise = detail::kRowwise<A>;
        description.derivative_of_output = detail::kFromOutput<A>;
      });
  all.losses = describe<Loss, LossDescription>([](const auto& item, auto& description) {
    description.low = item.domain.low;
    description.high = item.domain.high;
    description.classes = item.domain.classes;
    description.canonical_link = item.canonical_link;
  });
  all.optimizers =
      describe<OptimizerKind, OptimizerDescription>([](const auto& item, auto& description) {
        description.learning_rate = std::decay_t<decltype(item)>::default_learning_rate;
      });
  all.schedules = describe<ScheduleKind>();
  all.initializers = describe<Initializer>();
  all.penalties = describe<ActivityPenalty>();
  all.corruptions = describe<Corruption>();
  return all;
}

void check_item(const std::string& kind, const Options& options, const char* what) {
  if (kind == "activation") {
    make_item<Activation>(options, what);
  } else if (kind == "loss") {
    make_item<Loss>(options, what);
  } else if (kind == "optimizer") {
    make_item<OptimizerKind>(options, what);
  } else if (kind == "initializer") {
    make_item<Initializer>(options, what);
  } else if (kind == "penalty") {
    make_item<ActivityPenalty>(options, what);
  } else if (kind == "noise") {
    make_item<Corruption>(options, what);
  } else {
    throw std::invalid_argument("unknown kind '" + kind + "'");
  }
}

BuildInfo build_info() {
  BuildInfo info{PYAE_LEVEL, "", kVectorBytes, 0, has_bfloat16_products()};
#if defined(__clang__)
  info.compiler = std::string("Clang ") + __clang_version__;
#else
  info.compiler = std::string("GCC ") + __VERSION__;
#endif
#if defined(_OPENMP)
  info.openmp = _OPENMP;
#endif
  return info;
}

}  // namespace pyae
