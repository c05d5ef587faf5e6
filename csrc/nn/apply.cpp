#include "nn/apply.hpp"

namespace pyae {

namespace {

// How a pass over a matrix is cut: into rows, or into elements. What an activation does is chosen
// within the pieces, so that the loop over them, with its threads, is compiled once for all.
struct Cut {
  Index items, grain;
  double work;

  Cut(bool rowwise, Index rows, Index columns)
      : items(rowwise ? rows : rows * columns),
        grain(rowwise ? rows_of_pass(columns) : kPassGrain),
        work(rowwise ? static_cast<double>(columns) : 1) {}
};

}  // namespace

template <class T>
void activate(const Team& team, const Activation& activation, const T* x, T* y, Index rows,
              Index columns) {
  const Cut cut(is_rowwise(activation), rows, columns);
  team.for_ranges(cut.items, cut.grain, cut.work, [&](Index begin, Index end) {
    std::visit(
        [&](const auto& a) {
          using A = std::decay_t<decltype(a)>;
          if constexpr (detail::kRowwise<A>) {
            for (Index i = begin; i < end; ++i) {
              a.forward_row(x + i * columns, y + i * columns, columns);
            }
          } else {
            map_row(x + begin, y + begin, end - begin, [&](Vec<T> v) { return a.value(v); });
          }
        },
        activation);
  });
}

template <class T>
void activate_vjp(const Team& team, const Activation& activation, const T* x, const T* y,
                  const T* dy, T* dx, Index rows, Index columns, bool accurate) {
  const Cut cut(is_rowwise(activation), rows, columns);
  team.for_ranges(cut.items, cut.grain, cut.work, [&](Index begin, Index end) {
    std::visit(
        [&](const auto& a) {
          using A = std::decay_t<decltype(a)>;
          if constexpr (detail::kRowwise<A>) {
            for (Index i = begin; i < end; ++i) {
              a.vjp_row(y + i * columns, dy + i * columns, dx + i * columns, columns);
            }
          } else {
            if constexpr (detail::kFromOutput<A>) {
              if (!accurate) {
                map_row(y + begin, dy + begin, dx + begin, end - begin,
                        [&](Vec<T> yv, Vec<T> d) { return d * a.derivative_of_output(yv); });
                return;
              }
            }
            map_row(x + begin, dy + begin, dx + begin, end - begin,
                    [&](Vec<T> xv, Vec<T> d) { return d * a.derivative(xv); });
          }
        },
        activation);
  });
}

template <class T>
void activate_rows_jvp(const Team& team, const Activation& activation, const T* y, const T* rx,
                       T* ry, Index rows, Index columns) {
  const Cut cut(true, rows, columns);
  team.for_ranges(cut.items, cut.grain, cut.work, [&](Index begin, Index end) {
    std::visit(
        [&](const auto& a) {
          using A = std::decay_t<decltype(a)>;
          if constexpr (detail::kRowwise<A>) {
            for (Index i = begin * columns; i < end * columns; i += columns) {
              if constexpr (detail::kHasJvp<A>) {
                a.jvp_row(y + i, rx + i, ry + i, columns);
              } else {
                a.vjp_row(y + i, rx + i, ry + i, columns);
              }
            }
          }
        },
        activation);
  });
}

template void activate_rows_jvp(const Team&, const Activation&, const float*, const float*, float*,
                                Index, Index);
template void activate_rows_jvp(const Team&, const Activation&, const double*, const double*,
                                double*, Index, Index);
template void activate(const Team&, const Activation&, const float*, float*, Index, Index);
template void activate_vjp(const Team&, const Activation&, const float*, const float*, const float*,
                           float*, Index, Index, bool);
template void activate(const Team&, const Activation&, const double*, double*, Index, Index);
template void activate_vjp(const Team&, const Activation&, const double*, const double*,
                           const double*, double*, Index, Index, bool);

}  // namespace pyae
