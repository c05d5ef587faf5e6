#include "train/rows.hpp"

#include <cstring>
#include <vector>

#include "linalg/simd.hpp"

namespace pyae {
namespace {

template <class S>
inline S load_element(const char* p, bool swapped) {
  char bytes[sizeof(S)];
  std::memcpy(bytes, p, sizeof(S));
  if (swapped) std::reverse(bytes, bytes + sizeof(S));
  S value;
  std::memcpy(&value, bytes, sizeof(S));
  return value;
}

template <class S, class T>
void convert_row(const RowSource& source, Index row, Index first_column, Index columns, T* out) {
  const char* p = source.data + row * source.row_stride + first_column * source.column_stride;
  const bool dense = source.column_stride == static_cast<Index>(sizeof(S)) && !source.swapped;
  const T scale = static_cast<T>(source.scale);
  if (dense && std::is_same_v<S, T> && source.scale == 1) {
    std::memcpy(out, p, static_cast<std::size_t>(columns) * sizeof(T));
  } else if (dense) {
    for (Index j = 0; j < columns; ++j) {
      S value;
      std::memcpy(&value, p + j * static_cast<Index>(sizeof(S)), sizeof(S));
      out[j] = static_cast<T>(value) * scale;
    }
  } else {
    for (Index j = 0; j < columns; ++j) {
      out[j] =
          static_cast<T>(load_element<S>(p + j * source.column_stride, source.swapped)) * scale;
    }
  }
}

// convert_row for the source's type.
template <class T>
using Convert = void (*)(const RowSource&, Index, Index, Index, T*);
template <class T>
Convert<T> converter(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return convert_row<float, T>;
    case ElementType::f64:
      return convert_row<double, T>;
    case ElementType::u8:
      return convert_row<std::uint8_t, T>;
    case ElementType::i8:
      return convert_row<std::int8_t, T>;
    case ElementType::u16:
      return convert_row<std::uint16_t, T>;
    case ElementType::i16:
      return convert_row<std::int16_t, T>;
    case ElementType::u32:
      return convert_row<std::uint32_t, T>;
    case ElementType::i32:
      return convert_row<std::int32_t, T>;
    case ElementType::u64:
      return convert_row<std::uint64_t, T>;
    case ElementType::i64:
      return convert_row<std::int64_t, T>;
  }
  throw std::logic_error("unknown element type");
}

// Asks for the memory of a row whose values are next to each other, that it may be there when the
// row is read: rows in a random order are further apart than a processor looks ahead by itself.
void prefetch_row(const RowSource& source, Index row) {
  constexpr Index kLine = 64, kMost = 16384, kWidestValue = 8;
  if (source.column_stride < 0 || source.column_stride > kWidestValue) return;
  const Index bytes = std::min(kMost, source.columns * source.column_stride);
  const char* p = source.data + row * source.row_stride;
  for (Index b = 0; b < bytes; b += kLine) __builtin_prefetch(p + b);
}

// The least and greatest of the values that were looked at, and whether all of them are finite.
template <class T>
struct Range {
  using V = Vec<T>;
  V low = splat<V>(Scan::kInfinite), high = splat<V>(-Scan::kInfinite);
  V nothing{};  // x - x is 0 for a finite x and NaN otherwise

  void look_at(V v) {
    nothing += v - v;
    widen(v, v);
  }
  void merge(const Range& other) {
    nothing += other.nothing;
    widen(other.low, other.high);
  }
  bool finite() const { return !any(nothing != V{}); }
  double least() const { return -static_cast<double>(horizontal_max(-low)); }
  double greatest() const { return static_cast<double>(horizontal_max(high)); }

 private:
  void widen(V lower, V upper) {
    low = select(lower < low, lower, low);
    high = select(upper > high, upper, high);
  }
};

// Of n values that stand next to each other.
template <class T>
Range<T> range_of(const T* values, Index n) {
  constexpr Index lanes = kLanes<T>, kAtOnce = 4;  // comparisons that do not wait for each other
  Range<T> ranges[kAtOnce];
  Index i = 0;
  for (; i + kAtOnce * lanes <= n; i += kAtOnce * lanes) {
    for (Index k = 0; k < kAtOnce; ++k) ranges[k].look_at(load(values + i + k * lanes));
  }
  for (; i < n; ++i) ranges[0].look_at(values[i] - Vec<T>{});
  for (Index k = 1; k < kAtOnce; ++k) ranges[0].merge(ranges[k]);
  return ranges[0];
}

// Looks at rows [begin, end); values equal to `ignored` are passed over. With `lows` and `highs`
// given, each column's range is widened to hold its values.
template <class T>
Scan scan_rows(const RowSource& source, Index begin, Index end, double ignored, double* lows,
               double* highs) {
  using V = Vec<T>;
  constexpr Index kChunk = 512;
  Scan scan;
  // Of a single column more is asked: whether its values are integers.
  const T* dense = in_place<T>(source, begin);
  if (dense != nullptr && source.columns > 1 && lows == nullptr && ignored != ignored) {
    const Range<T> all = range_of(dense, (end - begin) * source.columns);
    if (all.finite()) {
      scan.low = all.least();
      scan.high = all.greatest();
      return scan;
    }
  }
  Range<T> range;
  const Convert<T> convert = converter<T>(source.type);
  T values[kChunk];
  for (Index i = begin; i < end; ++i) {
    for (Index j = 0; j < source.columns; j += kChunk) {
      const Index n = std::min(kChunk, source.columns - j);
      convert(source, i, j, n, values);
      const Index padded = (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
      if (ignored == ignored) {
        for (Index c = 0; c < n; ++c) {
          if (static_cast<double>(values[c]) == ignored) values[c] = 0;
        }
      }
      std::fill(values + n, values + padded, values[n - 1]);
      IntVec<V> broken{};
      for (Index c = 0; c < padded; c += kLanes<T>) {
        const V v = load(values + c);
        range.look_at(v);
        if (source.columns == 1) {  // classes come one a row
          const V rounder =
              splat<V>(1.5 * static_cast<double>(UintOf<T>(1) << (sizeof(T) == 4 ? 23 : 52)));
          broken |= ((v + rounder) - rounder != v);
        }
      }
      scan.integral = scan.integral && !any(broken);
      if (scan.first_bad_row < 0 && !range.finite()) scan.first_bad_row = i;
      if (lows != nullptr) {
        for (Index c = 0; c < n; ++c) {
          lows[j + c] = std::min(lows[j + c], static_cast<double>(values[c]));
          highs[j + c] = std::max(highs[j + c], static_cast<double>(values[c]));
        }
      }
    }
  }
  scan.low = range.least();
  scan.high = range.greatest();
  return scan;
}

// Rows that one piece of a look at everything takes: about a quarter of a million values.
Index rows_at_once(const RowSource& source) {
  return std::max<Index>(1, (Index{1} << 18) / source.columns);
}

}  // namespace

template <class T>
void gather(const Team& team, const RowSource& source, const Index* rows, Index first, Index count,
            T* out) {
  constexpr Index kAhead = 2;
  const Convert<T> convert = converter<T>(source.type);
  const auto row = [&](Index i) { return rows == nullptr ? first + i : rows[i]; };
  team.for_ranges(count, 16, 0.3 * static_cast<double>(source.columns),
                  [&](Index begin, Index end) {
                    for (Index i = begin; i < std::min(begin + kAhead, end); ++i) {
                      prefetch_row(source, row(i));
                    }
                    for (Index i = begin; i < end; ++i) {
                      if (i + kAhead < end) prefetch_row(source, row(i + kAhead));
                      convert(source, row(i), 0, source.columns, out + i * source.columns);
                    }
                  });
}

template <class T>
Scan scan(const Team& team, const RowSource& source, double ignored) {
  const Index grain = rows_at_once(source);
  std::vector<Scan> parts(static_cast<std::size_t>((source.rows + grain - 1) / grain));
  team.for_ranges(source.rows, grain, 0.5 * static_cast<double>(source.columns),
                  [&](Index begin, Index end) {
                    parts[static_cast<std::size_t>(begin / grain)] =
                        scan_rows<T>(source, begin, end, ignored, nullptr, nullptr);
                  });
  Scan total;
  for (const Scan& part : parts) total.merge(part);
  return total;
}

template <class T>
void column_ranges(const Team& team, const RowSource& source, double* lows, double* highs) {
  std::fill_n(lows, source.columns, Scan::kInfinite);
  std::fill_n(highs, source.columns, -Scan::kInfinite);
  const double nothing = std::numeric_limits<double>::quiet_NaN();
  const Index grain = rows_at_once(source);
  for (Index begin = 0; begin < source.rows;
       begin += grain) {  // one piece at a time, interruptible
    const Index end = std::min(source.rows, begin + grain);
    team.for_each(1, static_cast<double>((end - begin) * source.columns),
                  [&](Index) { scan_rows<T>(source, begin, end, nothing, lows, highs); });
  }
}

template void gather(const Team&, const RowSource&, const Index*, Index, Index, float*);
template void gather(const Team&, const RowSource&, const Index*, Index, Index, double*);
template Scan scan<float>(const Team&, const RowSource&, double);
template Scan scan<double>(const Team&, const RowSource&, double);
template void column_ranges<float>(const Team&, const RowSource&, double*, double*);
template void column_ranges<double>(const Team&, const RowSource&, double*, double*);

}  // namespace pyae
