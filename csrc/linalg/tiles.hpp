// How a product is cut into tiles, and what makes them: shared by all products.
//
// The scheme is that of Goto & van de Geijn, "Anatomy of high-performance matrix multiplication"
// (ACM TOMS 2008), arranged for products of a network's shapes. A micro-kernel keeps a tile
// of C, up to kRows x kColumns, in registers while it runs down a panel of op(B), kColumns wide,
// which was packed into a near cache just before; the rows of op(A) pass by it, strip after strip.
// An element of C is always the same sum in the same order, whatever tile it falls into and
// whichever thread computes it.
#pragma once

#include "linalg/matmul.hpp"
#include "linalg/micro_kernel.hpp"

namespace pyae {

// A panel of B, kMaxDepth x kColumns, fits in L1; or it fits in L2, from where processors with wide
// vectors read it as fast, and every pass over C that a longer panel saves counts.
#if defined(__AVX512F__)
constexpr Index kMaxDepth = 1024, kMaxPackedDepth = 512;
#else
constexpr Index kMaxDepth = 320, kMaxPackedDepth = 320;
#endif
constexpr Index kBlockRows = 96;  // a packed block of A, of so many rows, fits in L2 with a panel
constexpr Index kFewPanels = 8;   // for so few, columns of A are not worth packing

inline Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }
inline Index pieces_of(Index n, Index size) { return (n + size - 1) / size; }
// The size of equal pieces, each of at most `most`: a short last one would cost as much as a long.
inline Index even_piece(Index n, Index most) { return pieces_of(n, pieces_of(n, most)); }

// Of how many strips each the blocks are that `threads` share: at most `most`, and as many as leave
// nobody idle for long at the end. Rows may be shared by the number of threads: nothing is added up
// across them.
inline Index balanced_block(Index strips, Index most, Index threads) {
  Index best = 1, least = strips;
  for (Index size = std::min(most, strips); size >= 1; --size) {
    const Index whole = strips / size, rest = strips % size;
    const Index last = whole % threads == 0 ? rest : size;  // whoever is last to end does this too
    const Index longest = whole / threads * size + last;
    if (longest < least) {
      least = longest;
      best = size;
    }
    if (25 * longest * threads <= 26 * strips) return size;
  }
  return best;
}

// Strips in equal blocks that stay in L2 beside panels of B.
template <class T>
Index few_strips(Index strips, Index depth) {
  constexpr Index kMostValues = 240000 / static_cast<Index>(sizeof(T));
  return even_piece(strips,
                    std::clamp<Index>(kMostValues / (depth * kRows), 1, kBlockRows / kRows));
}

template <class T>
constexpr double flops_per_nanosecond() {
  return 5.0 * static_cast<double>(kLanes<T>);
}

// Packed as pairs or not, `length` values of a vector take so many places.
inline Index places(bool pairs, Index length) { return pairs ? AsPairs::places(length) : length; }
template <class T>
bool as_pairs(Precision precision) {
  return std::is_same_v<T, float> && precision == Precision::bfloat16;
}

// kRows rows of op(A) from `strip` on, or kColumns columns of op(B) from `panel` on, the factors
// p ... p+np of each.
template <class T>
void pack_strip(bool pairs, const Operand<T>& a, Index strip, Index p, Index np, T* to) {
  const Index i = strip * kRows;
  pack<T, kRows>(pairs, a.data + i * a.row_stride + p * a.column_stride, a.row_stride,
                 a.column_stride, a.rows - i, np, to);
}
template <class T>
void pack_panel(bool pairs, const Operand<T>& b, Index panel, Index p, Index np, T* to) {
  constexpr Index width = kColumns<T>;
  const Index j = panel * width;
  pack<T, width>(pairs, b.data + p * b.row_stride + j * b.column_stride, b.column_stride,
                 b.row_stride, b.columns - j, np, to);
}

// Packs `items` strips or panels of `size` vectors, factors d0 ... d0+nd, block after block, each
// block's factors in parts: pack_one(item, p, np, to) packs the factors p ... p+np of one.
template <class T, class PackOne>
void pack_ahead(const Team& team, bool pairs, Index items, Index size, Index d0, Index nd,
                Index block_depth, T* packed, const PackOne& pack_one) {
  constexpr Index kAtOnce = 4;  // neighbours, which share cache lines
  constexpr Index kMostFactors = 256;
  const Index groups = pieces_of(items, kAtOnce), blocks = pieces_of(nd, block_depth);
  const Index part_depth = round_up(even_piece(block_depth, kMostFactors), 2);  // pairs stay whole
  const Index parts = pieces_of(block_depth, part_depth);
  const double work = 0.3 * static_cast<double>(items * size * nd);
  team.for_each(groups * blocks * parts, work, [&](Index piece) {
    const Index p0 = piece / parts / groups * block_depth, np = std::min(block_depth, nd - p0);
    const Index first = piece / parts % groups * kAtOnce, part = piece % parts * part_depth;
    if (part >= np) return;  // the last block may be shorter
    for (Index item = first; item < std::min(items, first + kAtOnce); ++item) {
      T* to = packed + items * size * places(pairs, p0) + item * size * places(pairs, np);
      pack_one(item, d0 + p0 + part, std::min(part_depth, np - part),
               to + size * places(pairs, part));
    }
  });
}

// A block of rows of op(A), strip after strip: element (i, p) of a strip stands at data[i * row +
// p * column], the next strip's `next` further on.
template <class T>
struct Strips {
  const T* data;
  Index next, row, column;
};

struct Rectangle {  // of C
  Index row_begin, row_end, panel_begin, panel_end;
};
// How C is shared: a task has `row_block` rows of `group` panels.
struct Cut {
  Index rows, panels, row_block, group;

  Index row_tasks() const { return pieces_of(rows, row_block); }
  Index column_tasks() const { return pieces_of(panels, group); }
  Index tasks() const { return row_tasks() * column_tasks(); }
  Rectangle rectangle(Index task) const {
    const Index row = task / column_tasks() * row_block, panel = task % column_tasks() * group;
    return {row, std::min(rows, row + row_block), panel, std::min(panels, panel + group)};
  }
};

// The rows of a rectangle, factors p and further: where they stand, or the next `np` packed `to`.
template <class T>
Strips<T> rows_in_place(const Operand<T>& a, const Rectangle& part, Index p) {
  return {a.data + part.row_begin * a.row_stride + p * a.column_stride, kRows * a.row_stride,
          a.row_stride, a.column_stride};
}
template <class T>
Strips<T> rows_packed(bool pairs, const Operand<T>& a, const Rectangle& part, Index p, Index np,
                      T* to) {
  const Index length = places(pairs, np);
  for (Index i = part.row_begin; i < part.row_end; i += kRows) {
    pack_strip(pairs, a, i / kRows, p, np, to + (i - part.row_begin) * length);
  }
  return {to, kRows * length, 1, kRows};
}

template <class T>
void ask_for(const T* tile, Index stride, Index rows, Index columns) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; j += line) __builtin_prefetch(tile + i * stride + j);
  }
}

// One block of the depth, `length` places long, for a rectangle of C (m, n). `panels` is the first
// one of the rectangle; they stand one behind the other.
template <class T>
void multiply_block(const MicroKernels<T>& kernels, Index length, const Strips<T>& a,
                    const T* panels, const Rectangle& at, T* c, Index n, bool add,
                    const Epilogue<T>& epilogue) {
  constexpr Index width = kColumns<T>, broad = kPanelsAtOnce * width;
  Index panel = at.panel_begin;
  if (at.row_end - at.row_begin == 1) {
    const T* b = panels;
    for (; panel + kPanelsAtOnce <= at.panel_end && panel * width + broad <= n;
         b += broad * length) {
      T* tile = c + at.row_begin * n + panel * width;
      kernels.run_row(length, a.data, a.column, b, width * length, tile, add);
      if (epilogue) epilogue(at.row_begin, panel * width, 1, broad, tile, n);
      panel += kPanelsAtOnce;
    }
  }
  for (; panel < at.panel_end; ++panel) {
    const Index j = panel * width, columns = std::min(width, n - j);
    const T* b_panel = panels + (panel - at.panel_begin) * width * length;
    const T* strip = a.data;
    for (Index i = at.row_begin; i < at.row_end; i += kRows, strip += a.next) {
      const Index rows = std::min<Index>(kRows, at.row_end - i);
      T* tile = c + i * n + j;
      if (epilogue.reads != nullptr) ask_for(epilogue.reads + i * n + j, n, rows, columns);
      kernels.tile(rows, columns)(length, strip, a.row, a.column, b_panel, tile, n, columns, add);
      if (epilogue) epilogue(i, j, rows, columns, tile, n);
    }
  }
}

// Rows of op(A) are read where they stand if they are contiguous, or, a strip next to the other, if
// few panels read them; unless they start at addresses that fall into the same sets of a cache.
template <class T>
bool must_pack_rows(const Operand<T>& a, bool pairs, Index panels) {
  const auto aliased = [](Index stride) {
    return stride * static_cast<Index>(sizeof(T)) % 1024 == 0;
  };
  if (pairs) return true;
  if (a.column_stride != 1) return panels > kFewPanels || aliased(a.column_stride);
  return aliased(a.row_stride) && panels > kFewPanels && a.rows > kWaitingRows;
}
template <class T>
const MicroKernels<T>& kernels_for(Precision precision) {
  return micro_kernels<T>(precision, std::make_index_sequence<kRows>());
}
// Roughly, of one thread. Few rows wait for the memory of op(B).
template <class T>
double nanoseconds(Index m, Index n, Index depth) {
  const double values = static_cast<double>(n) * static_cast<double>(depth);
  return std::max(2.0 * static_cast<double>(m) * values / flops_per_nanosecond<T>(),
                  values * sizeof(T) / 60);
}

}  // namespace pyae
