// Reading the caller's arrays in place: any real dtype, either byte order, any strides. Only a
// batch is ever converted.
#pragma once

#include <cstdint>
#include <limits>

#include "linalg/parallel.hpp"

namespace pyae {

enum class ElementType { f32, f64, u8, i8, u16, i16, u32, i32, u64, i64 };

// A (rows, columns) array of somebody else's memory; strides in bytes, of either sign.
struct RowSource {
  const char* data = nullptr;
  ElementType type = ElementType::f32;
  bool swapped = false;  // not in this machine's byte order
  Index rows = 0, columns = 0;
  Index row_stride = 0, column_stride = 0;
  double scale = 1;  // values are multiplied by this
};

// Rows `rows[0..count)` of the source, or first ... first+count-1 where `rows` is null, into
// out (count, columns).
template <class T>
void gather(const Team& team, const RowSource& source, const Index* rows, Index first, Index count,
            T* out);

// The rows themselves, where they stand in memory just as a batch is wanted; null otherwise.
template <class T>
const T* in_place(const RowSource& source, Index first) {
  constexpr ElementType own = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;
  const char* p = source.data + first * source.row_stride;
  const bool fits = source.type == own && !source.swapped && source.scale == 1 &&
                    (source.columns == 1 || source.column_stride == Index(sizeof(T))) &&
                    (source.rows == 1 || source.row_stride == source.columns * Index(sizeof(T))) &&
                    reinterpret_cast<std::uintptr_t>(p) % alignof(T) == 0;
  return fits ? reinterpret_cast<const T*>(p) : nullptr;
}

// What one look at every value tells.
struct Scan {
  Index first_bad_row =
      -1;  // the first row with a NaN or infinity, or with a value too large for T
  double low = kInfinite, high = -kInfinite;
  bool integral = true;

  static constexpr double kInfinite = std::numeric_limits<double>::infinity();
  void merge(const Scan& other) {
    if (first_bad_row < 0) first_bad_row = other.first_bad_row;
    low = std::min(low, other.low);
    high = std::max(high, other.high);
    integral = integral && other.integral;
  }
};

// Looks at every value as a T; values equal to `ignored` (NaN: none) are passed over.
template <class T>
Scan scan(const Team& team, const RowSource& source, double ignored);

// Each column's least and greatest value.
template <class T>
void column_ranges(const Team& team, const RowSource& source, double* lows, double* highs);

}  // namespace pyae
