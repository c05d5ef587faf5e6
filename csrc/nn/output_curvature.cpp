#include "nn/output_curvature.hpp"

namespace pyae {
namespace {

template <class L, class = void>
inline constexpr bool kConvex = false;
template <class L>
inline constexpr bool
    kConvex<L, std::void_t<decltype(std::declval<L>().curvature(Vec<float>{}, Vec<float>{}))>> =
        true;

template <class L>
inline constexpr bool kOfSoftmax =
    std::is_same_v<L, CategoricalCrossentropy> || std::is_same_v<L, SparseCategoricalCrossentropy>;

// How H is made from the diagonal of a row: factor (diag(d) [- d d^T]).
template <class T>
struct RowCurvature {
  T factor;
  bool minus_square;
};

// Writes the diagonal d (n) of a sample's H.
template <class L, class T>
RowCurvature<T> diagonal_row(const L& loss, const T* t, const T* p, Index n, T* d) {
  if constexpr (kOfSoftmax<L>) {
    Softmax{}.forward_row(p, d, n);
    if constexpr (std::is_same_v<L, CategoricalCrossentropy>) {
      const T total = detail::row_sum<T>(n, [&](Index i, Index c) { return load_up_to(t + i, c); });
      return {
          total * static_cast<T>(1 - loss.label_smoothing) + static_cast<T>(loss.label_smoothing),
          true};
    } else {
      return {loss.ignores(static_cast<double>(t[0])) ? T(0) : T(1), true};
    }
  } else if constexpr (kConvex<L>) {
    using V = Vec<T>;
    const T share = L::mean_over_features ? T(1) / static_cast<T>(n) : T(1);
    if constexpr (std::is_same_v<L, BinaryCrossentropy>) {
      if (loss.from_logits) {
        map_row(p, d, n, [](V z) { return detail::sigmoid_slope(z); });
        return {share, false};
      }
    }
    map_row(t, p, d, n, [&](V tv, V pv) { return loss.curvature(tv, pv); });
    return {share, false};
  } else {
    std::fill_n(d, n, T(0));
    return {T(0), false};
  }
}

// f(row, its diagonal in `out`, how H is made from it) for all rows.
template <class T, class F>
void for_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows, Index columns,
              T* out, const F& f) {
  const Index grain = rows_of_pass(columns);
  const Index t_columns = target_columns(loss, columns);
  team.for_ranges(rows, grain, 3.0 * static_cast<double>(columns), [&](Index begin, Index end) {
    std::visit(
        [&](const auto& l) {
          for (Index i = begin; i < end; ++i) {
            T* d = out + i * columns;
            f(i, d, diagonal_row(l, t + i * t_columns, p + i * columns, columns, d));
          }
        },
        loss);
  });
}

// x[j] = +x[j] or -x[j] at random, for a row of n numbers.
template <class T>
void scatter_signs(const Random& random, Index row, Index n, T* x) {
  constexpr int kBlocks = 8;
  constexpr Index kBits = kBlocks * 128;
  const auto per_row = static_cast<std::uint64_t>((n + kBits - 1) / kBits * kBlocks);
  std::uint64_t first = static_cast<std::uint64_t>(row) * per_row;
  std::uint32_t words[4 * kBlocks];
  for (Index begin = 0; begin < n; begin += kBits, first += kBlocks) {
    random.blocks<kBlocks>(first, words);
    const Index count = std::min(kBits, n - begin);
    for (Index j = 0; j < count; ++j) {
      const bool negative = (words[j / 32] >> (j % 32) & 1) != 0;
      x[begin + j] = negative ? -x[begin + j] : x[begin + j];
    }
  }
}

}  // namespace

bool has_curvature(const Loss& loss) {
  return std::visit(
      [](const auto& l) {
        using L = std::decay_t<decltype(l)>;
        if constexpr (kOfSoftmax<L>) {
          return l.from_logits;
        } else {
          return kConvex<L>;
        }
      },
      loss);
}

template <class T>
void curvature_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                    Index columns, const T* weights, T scale, const T* v, T* out) {
  for_rows(team, loss, t, p, rows, columns, out, [&](Index i, T* d, RowCurvature<T> row) {
    const T factor = row.factor * scale * (weights == nullptr ? T(1) : weights[i]);
    const T* vi = v + i * columns;
    T mean = 0;
    if (row.minus_square) {
      mean = detail::row_sum<T>(columns, [&](Index j, Index count) {
        return load_up_to(d + j, count) * load_up_to(vi + j, count);
      });
    }
    map_row(d, vi, d, columns, [&](Vec<T> dv, Vec<T> vv) {
      return dv * ((vv - (mean - Vec<T>{})) * (factor - Vec<T>{}));
    });
  });
}

template <class T>
void sample_curvature_rows(const Team& team, const Loss& loss, const T* t, const T* p, Index rows,
                           Index columns, const T* weights, T scale, const Random& random, T* out) {
  for_rows(team, loss, t, p, rows, columns, out, [&](Index i, T* d, RowCurvature<T> row) {
    const T squared = row.factor * scale * (weights == nullptr ? T(1) : weights[i]);
    const T factor = std::sqrt(std::max(squared, T(0)));
    map_row(d, d, columns, [](Vec<T> dv) { return sqrt(at_least(dv, Vec<T>{})); });
    scatter_signs(random, i, columns, d);
    // With r = sqrt(q) and signs e: r e - q (r e) has the covariance diag(q) - q q^T.
    T sum = 0;
    if (row.minus_square) {
      sum = detail::row_sum<T>(columns, [&](Index j, Index c) { return load_up_to(d + j, c); });
    }
    map_row(d, d, columns,
            [&](Vec<T> r) { return (r - r * r * (sum - Vec<T>{})) * (factor - Vec<T>{}); });
  });
}

template void curvature_rows(const Team&, const Loss&, const float*, const float*, Index, Index,
                             const float*, float, const float*, float*);
template void curvature_rows(const Team&, const Loss&, const double*, const double*, Index, Index,
                             const double*, double, const double*, double*);
template void sample_curvature_rows(const Team&, const Loss&, const float*, const float*, Index,
                                    Index, const float*, float, const Random&, float*);
template void sample_curvature_rows(const Team&, const Loss&, const double*, const double*, Index,
                                    Index, const double*, double, const Random&, double*);

}  // namespace pyae
