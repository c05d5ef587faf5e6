// A named thing with numbers, such as {"elu", alpha: 1.5}: how a spec reaches the structs that
// compute. Each struct lists its fields once, with defaults and limits, and from that list it is
// filled, checked, described and compared with its Python counterpart.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "linalg/types.hpp"

namespace pyae {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kEpsilon = 1e-7;  // Keras's fuzz factor

struct Options {
  std::string name;
  std::map<std::string, double> values;
};

// An interval that a field's value must lie in.
struct Limits {
  double low = -kInfinity, high = kInfinity;
  bool open_low = false, open_high = false;

  bool contain(double x) const {
    return (open_low ? x > low : x >= low) && (open_high ? x < high : x <= high) &&
           std::isfinite(x);
  }
  std::string text() const;
};
inline constexpr Limits kAny{};
inline constexpr Limits kPositive{0, kInfinity, true, false};
inline constexpr Limits kNotNegative{0, kInfinity};
inline constexpr Limits kUnit{0, 1};
inline constexpr Limits kUnitOpen{0, 1, true, true};
inline constexpr Limits kBelowOne{0, 1, false, true};
inline constexpr Limits kAtLeastOne{1, 1e9};  // for integers

std::string format_number(double value);

// Takes an item's fields out of options. Not a template, for there are some fifty items.
class FieldFiller {
 public:
  explicit FieldFiller(const Options& options) : options_(options) {}
  void operator()(const char* name, double& field, const Limits& limits);
  void operator()(const char* name, Index& field, const Limits& limits);
  void operator()(const char* name, bool& field, const Limits& limits);
  // Complains about options that no field took.
  void finish() const;

 private:
  const double* take(const char* name, const Limits& limits);

  const Options& options_;
  std::vector<std::string> fields_;
};

// Fills an item's fields from options. The item's `fields` calls visit(name, reference, limits).
template <class Item>
void fill(Item& item, const Options& options) {
  FieldFiller filler(options);
  item.fields(filler);
  filler.finish();
}

template <class F, class... Items>
void for_each_item(const std::variant<Items...>*, F&& f) {
  (f(Items{}), ...);
}
// Calls f(item) with each alternative of the variant, default-constructed: the table of names.
template <class Variant, class F>
void for_each_item(F&& f) {
  for_each_item(static_cast<const Variant*>(nullptr), std::forward<F>(f));
}

[[noreturn]] void refuse_unknown(const Options& options, const char* kind,
                                 const std::vector<std::string>& known);

// The alternative with the options' name, filled. `kind` names the concept in the error message.
template <class Variant>
Variant make_item(const Options& options, const char* kind) {
  Variant result;
  bool found = false;
  std::vector<std::string> known;
  for_each_item<Variant>([&](auto item) {
    known.emplace_back(item.name);
    if (options.name != item.name) return;
    fill(item, options);
    result = item;
    found = true;
  });
  if (!found) refuse_unknown(options, kind, known);
  return result;
}

// What Python is told of an alternative.
struct FieldDescription {
  std::string name;
  double value;
  Limits limits;
};
struct FieldDescriber {
  std::vector<FieldDescription>& fields;
  template <class Field>
  void operator()(const char* name, Field& field, const Limits& limits) {
    fields.push_back({name, static_cast<double>(field), limits});
  }
};
template <class Item>
std::vector<FieldDescription> describe_fields(Item item) {
  std::vector<FieldDescription> fields;
  item.fields(FieldDescriber{fields});
  return fields;
}

}  // namespace pyae
