// NumPy arrays and Python dicts, turned into what the core understands. Strict: an unknown key, a
// wrong dtype or a wrong shape is an error that names it.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "core/kernels.hpp"
#include "nn/options.hpp"
#include "train/rows.hpp"

namespace pyae {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

inline std::string text_of(py::handle object) { return py::str(object).cast<std::string>(); }

// Takes keys out of a dict one by one; finish() complains about those that nobody took.
class DictReader {
 public:
  DictReader(const py::dict& dict, std::string what) : what_(std::move(what)) {
    for (const auto& [key, value] : dict) {
      if (!py::isinstance<py::str>(key)) throw py::type_error(what_ + ": keys must be strings");
      items_.emplace(key.cast<std::string>(), py::reinterpret_borrow<py::object>(value));
    }
  }
  bool has(const std::string& key) const {
    const auto found = items_.find(key);
    return found != items_.end() && !found->second.is_none();
  }
  py::object take(const std::string& key) {
    const auto found = items_.find(key);
    if (found == items_.end()) throw py::value_error(what_ + ": '" + key + "' is missing");
    py::object value = found->second;
    items_.erase(found);
    return value;
  }
  py::object take_or_none(const std::string& key) {
    return items_.count(key) > 0 ? take(key) : py::none();
  }
  template <class V>
  V take_as(const std::string& key) {
    return cast<V>(take(key), key);
  }
  template <class V>
  V take_or(const std::string& key, V otherwise) {
    const py::object value = take_or_none(key);
    return value.is_none() ? otherwise : cast<V>(value, key);
  }
  // All that is left, as numbers.
  Options take_options() {
    Options options;
    options.name = take_as<std::string>("name");
    for (const auto& [key, value] : items_) {
      if (!value.is_none()) options.values[key] = cast<double>(value, key);
    }
    items_.clear();
    return options;
  }
  void finish() const {
    if (!items_.empty()) throw py::value_error(what_ + " has no '" + items_.begin()->first + "'");
  }

 private:
  template <class V>
  V cast(const py::object& value, const std::string& key) const {
    try {
      return value.cast<V>();
    } catch (const py::cast_error&) {
      throw py::type_error(what_ + ": '" + key + "' has the wrong type: " + text_of(value));
    }
  }

  std::string what_;
  std::map<std::string, py::object> items_;
};

inline Options to_options(const py::dict& dict, const std::string& what) {
  return DictReader(dict, what).take_options();
}

inline ElementType element_type_of(const py::dtype& dtype, const char* name) {
  const auto size = dtype.itemsize();
  switch (dtype.kind()) {
    case 'f':
      if (size == 4) return ElementType::f32;
      if (size == 8) return ElementType::f64;
      break;
    case 'b':
    case 'u':
      if (size == 1) return ElementType::u8;
      if (size == 2) return ElementType::u16;
      if (size == 4) return ElementType::u32;
      if (size == 8) return ElementType::u64;
      break;
    case 'i':
      if (size == 1) return ElementType::i8;
      if (size == 2) return ElementType::i16;
      if (size == 4) return ElementType::i32;
      if (size == 8) return ElementType::i64;
      break;
    default:
      break;
  }
  throw py::type_error(std::string(name) + " has dtype " + text_of(dtype) +
                       "; allowed are float32, float64, integers and booleans");
}

// A two-dimensional array, to be read where it is. uint8 values are multiplied by uint8_scale.
inline RowSource to_rows(const py::array& array, const char* name, double uint8_scale) {
  if (array.ndim() != 2) {
    throw py::value_error(std::string(name) + " must be two-dimensional, got " +
                          std::to_string(array.ndim()) + " dimensions");
  }
  RowSource source;
  source.data = static_cast<const char*>(array.data());
  const py::dtype dtype = array.dtype();
  source.type = element_type_of(dtype, name);
  const char order = dtype.byteorder();
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  source.swapped = order == '>';
#else
  source.swapped = order == '<';
#endif
  source.rows = array.shape(0);
  source.columns = array.shape(1);
  source.row_stride = array.strides(0);
  source.column_stride = array.strides(1);
  if (dtype.kind() == 'u' && dtype.itemsize() == 1) source.scale = uint8_scale;
  return source;
}

// An array seen as a matrix: all but the last axis are rows.
inline Shape matrix_shape(const py::array& array) {
  Shape shape;
  for (py::ssize_t d = 0; d + 1 < array.ndim(); ++d) shape.rows *= array.shape(d);
  if (array.ndim() > 0) shape.columns = array.shape(array.ndim() - 1);
  return shape;
}
template <class T>
Array<T> empty_like(const py::array& array) {
  return Array<T>(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}
template <class A, class B>
bool same_shape(const A& a, const B& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

void register_kernels(py::module_& m);
void register_networks(py::module_& m);

}  // namespace pyae
