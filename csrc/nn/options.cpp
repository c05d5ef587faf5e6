#include "nn/options.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace pyae {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string Limits::text() const {
  std::ostringstream out;
  out << (open_low || low == -kInfinity ? '(' : '[') << low << ", " << high
      << (open_high || high == kInfinity ? ')' : ']');
  return out.str();
}

std::string format_number(double value) {
  std::ostringstream out;
  out.precision(12);
  out << value;
  return out.str();
}

// The value given for a field, within its limits; null where there is none.
const double* FieldFiller::take(const char* name, const Limits& limits) {
  fields_.emplace_back(name);
  const auto found = options_.values.find(name);
  if (found == options_.values.end()) return nullptr;
  if (!limits.contain(found->second)) {
    throw std::invalid_argument(options_.name + ": " + name + " must be in " + limits.text() +
                                ", got " + format_number(found->second));
  }
  return &found->second;
}

void FieldFiller::operator()(const char* name, double& field, const Limits& limits) {
  if (const double* value = take(name, limits)) field = *value;
}

void FieldFiller::operator()(const char* name, Index& field, const Limits& limits) {
  const double* value = take(name, limits);
  if (value == nullptr) return;
  if (*value != std::floor(*value)) {
    throw std::invalid_argument(options_.name + ": " + name + " must be an integer, got " +
                                format_number(*value));
  }
  field = static_cast<Index>(*value);
}

void FieldFiller::operator()(const char* name, bool& field, const Limits& limits) {
  const double* value = take(name, limits);
  if (value == nullptr) return;
  if (*value != 0 && *value != 1) {
    throw std::invalid_argument(options_.name + ": " + name + " must be True or False, got " +
                                format_number(*value));
  }
  field = *value != 0;
}

void FieldFiller::finish() const {
  for (const auto& [name, value] : options_.values) {
    if (std::find(fields_.begin(), fields_.end(), name) != fields_.end()) continue;
    throw std::invalid_argument(
        options_.name + " has no parameter '" + name + "'" +
        (fields_.empty() ? "; it takes none" : "; it takes " + listed(fields_)));
  }
}

void refuse_unknown(const Options& options, const char* kind,
                    const std::vector<std::string>& known) {
  throw std::invalid_argument(std::string("unknown ") + kind + " '" + options.name +
                              "'; known are " + listed(known));
}

}  // namespace pyae
