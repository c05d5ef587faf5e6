#include "linalg/matmul.hpp"
#include "linalg/tiles.hpp"

namespace pyae {
namespace {

// Panels that are packed once are longer than those that are packed for one product.
#if defined(__AVX512F__)
constexpr Index kMaxKeptDepth = 2048;
#else
constexpr Index kMaxKeptDepth = kMaxDepth;
#endif

Index kept_depth(Index depth, bool pairs) {
  return round_up(even_piece(depth, kMaxKeptDepth), pairs ? 2 : 1);
}

// Strips in a block of rows. A thread by itself goes through all of B for each.
template <class T>
Index block_of_strips(Index strips, Index depth, int threads) {
  if (threads > 1) return balanced_block(strips, kBlockRows / kRows, threads);
  return few_strips<T>(strips, depth);
}

}  // namespace

Index even_rows(Index rows, Index blocks) {
  const Index even = pieces_of(rows, blocks), last = even % kRows;
  return 3 * last >= 2 * kRows ? even : round_up(even, kRows);
}

template <class T>
void pack_operand(const Team& team, const Operand<T>& b, Precision precision,
                  PackedOperand<T>& packed) {
  const bool pairs = as_pairs<T>(precision);
  const Index panels = pieces_of(b.columns, kColumns<T>), depth = b.rows;
  const Index block_depth = kept_depth(depth, pairs);
  packed.rows = depth;
  packed.columns = b.columns;
  packed.precision = precision;
  T* values = packed.values.ensure(panels * kColumns<T> * places(pairs, depth));
  pack_ahead(team, pairs, panels, kColumns<T>, 0, depth, block_depth, values,
             [&](auto... what) { pack_panel(pairs, b, what...); });
}

template <class T>
void matmul(const Team& team, MatmulScratch<T>& scratch, const Operand<T>& a,
            const PackedOperand<T>& b, T* c, Epilogue<T> epilogue) {
  const Index m = a.rows, n = b.columns, depth = b.rows;
  constexpr Index width = kColumns<T>;
  if (a.columns != depth || depth == 0) throw std::logic_error("a product of other operands");
  if (m == 0 || n == 0) return;
  const bool pairs = as_pairs<T>(b.precision);
  const MicroKernels<T>& kernels = kernels_for<T>(b.precision);
  const Index strips = pieces_of(m, kRows), panels = pieces_of(n, width);
  const bool pack_a = must_pack_rows(a, pairs, panels);
  const Index block_depth = kept_depth(depth, pairs);
  const Index row_block = block_of_strips<T>(strips, block_depth, team.threads()) * kRows;
  const Index row_tasks = pieces_of(m, row_block);
  const Index group =
      round_up(pieces_of(panels, std::max<Index>(1, 16 / row_tasks)), m == 1 ? kPanelsAtOnce : 1);
  const Cut cut{m, panels, row_block, group};
  const Index own_size = pack_a ? kBlockRows * block_depth : 0;
  T* own = pack_a ? scratch.own.ensure(own_size * team.threads()) : nullptr;

  team.for_each(cut.tasks(), nanoseconds<T>(m, n, depth), [&](Index task, int worker) {
    const Rectangle part = cut.rectangle(task);
    for (Index p0 = 0; p0 < depth; p0 += block_depth) {
      const Index np = std::min(block_depth, depth - p0), nq = places(pairs, np);
      const Strips<T> rows = pack_a ? rows_packed(pairs, a, part, p0, np, own + worker * own_size)
                                    : rows_in_place(a, part, p0);
      const T* columns =
          b.values.data() + panels * width * places(pairs, p0) + part.panel_begin * width * nq;
      multiply_block(kernels, nq, rows, columns, part, c, n, p0 > 0,
                     p0 + np == depth ? epilogue : Epilogue<T>{});
    }
  });
}

#define PYAE_INSTANTIATE(T)                                                                        \
  template void pack_operand(const Team&, const Operand<T>&, Precision, PackedOperand<T>&);        \
  template void matmul(const Team&, MatmulScratch<T>&, const Operand<T>&, const PackedOperand<T>&, \
                       T*, Epilogue<T>);
PYAE_INSTANTIATE(float)
PYAE_INSTANTIATE(double)
#undef PYAE_INSTANTIATE

}  // namespace pyae
