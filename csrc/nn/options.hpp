// A named thing with numbers, such as {"elu", alpha: 1.5}: how a spec reaches the structs that
// compute. Each struct lists its fields once, with defaults and limits, and from that list it is
// filled, checked, described and compared with its Python counterpart.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

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
  std::string text() const {
    std::ostringstream out;
    out << (open_low || low == -kInfinity ? '(' : '[') << low << ", " << high
        << (open_high || high == kInfinity ? ')' : ']');
    return out.str();
  }
};
inline constexpr Limits kAny{};
inline constexpr Limits kPositive{0, kInfinity, true, false};
inline constexpr Limits kNotNegative{0, kInfinity};
inline constexpr Limits kUnit{0, 1};
inline constexpr Limits kUnitOpen{0, 1, true, true};
inline constexpr Limits kBelowOne{0, 1, false, true};
inline constexpr Limits kAtLeastOne{1, 1e9};  // for integers

inline std::string format_number(double value) {
  std::ostringstream out;
  out.precision(12);
  out << value;
  return out.str();
}

// Fills an item's fields from options. The item's `fields` calls visit(name, reference, limits).
template <class Item>
void fill(Item& item, const Options& options) {
  std::size_t used = 0;
  item.fields([&](const char* name, auto& field, const Limits& limits) {
    const auto found = options.values.find(name);
    if (found == options.values.end()) return;
    ++used;
    if (!limits.contain(found->second)) {
      throw std::invalid_argument(options.name + ": " + name + " must be in " + limits.text() +
                                  ", got " + format_number(found->second));
    }
    using Field = std::decay_t<decltype(field)>;
    if (std::is_same_v<Field, bool> && found->second != 0 && found->second != 1) {
      throw std::invalid_argument(options.name + ": " + name + " must be True or False, got " +
                                  format_number(found->second));
    }
    if (std::is_integral_v<Field> && found->second != std::floor(found->second)) {
      throw std::invalid_argument(options.name + ": " + name + " must be an integer, got " +
                                  format_number(found->second));
    }
    field = static_cast<Field>(found->second);
  });
  if (used == options.values.size()) return;
  std::string known;
  item.fields([&](const char* name, auto&, const Limits&) {
    known += (known.empty() ? "" : ", ") + std::string(name);
  });
  for (const auto& [name, value] : options.values) {
    bool found = false;
    item.fields([&, &name = name](const char* field, auto&, const Limits&) {
      found = found || name == field;
    });
    if (!found) {
      throw std::invalid_argument(options.name + " has no parameter '" + name + "'" +
                                  (known.empty() ? "; it takes none" : "; it takes " + known));
    }
  }
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

// The alternative with the options' name, filled. `kind` names the concept in the error message.
template <class Variant>
Variant make_item(const Options& options, const char* kind) {
  Variant result;
  bool found = false;
  std::string known;
  for_each_item<Variant>([&](auto item) {
    known += (known.empty() ? "" : ", ") + std::string(item.name);
    if (options.name != item.name) return;
    fill(item, options);
    result = item;
    found = true;
  });
  if (!found) {
    throw std::invalid_argument(std::string("unknown ") + kind + " '" + options.name +
                                "'; known are " + known);
  }
  return result;
}

// What Python is told of an alternative.
struct FieldDescription {
  std::string name;
  double value;
  Limits limits;
};
template <class Item>
std::vector<FieldDescription> describe_fields(Item item) {
  std::vector<FieldDescription> fields;
  item.fields([&](const char* name, auto& field, const Limits& limits) {
    fields.push_back({name, static_cast<double>(field), limits});
  });
  return fields;
}

}  // namespace pyae
