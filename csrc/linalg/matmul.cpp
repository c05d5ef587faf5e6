// The scheme is that of Goto & van de Geijn, "Anatomy of high-performance matrix multiplication"
// (ACM TOMS 2008), arranged for products of a network's shapes. A micro-kernel keeps a kRows x
// kColumns tile of C in registers while it runs down a panel of op(B), kColumns wide, which was
// packed into the first-level cache just before; the rows of op(A) pass by it, strip after strip.
// An element of C is always the same sum in the same order, whatever tile it falls into and
// whichever thread computes it.
#include "linalg/matmul.hpp"

#include "linalg/micro_kernel.hpp"

namespace pyae {
namespace {

// A panel of B, kMaxDepth x kColumns, fits in L1; or it fits in L2, from where processors with wide
// vectors read it as fast, and every pass over C that a longer panel saves counts.
#if defined(__AVX512F__)
constexpr Index kMaxDepth = 1024, kMaxPackedDepth = 512;
#else
constexpr Index kMaxDepth = 320, kMaxPackedDepth = 320;
#endif
constexpr Index kBlockRows = 96;  // a packed block of A, kBlockRows x kMaxPackedDepth, fits in L2
constexpr Index kGroup = 4;       // panels that a task packs for itself; they fit in L2
constexpr Index kTallRows = 400;  // from here on B is packed beforehand, not A
constexpr Index kFewRows = 3;     // so few rows are multiplied by B where it stands
constexpr Index kFewPanels = 8;   // for so few, columns of A are not worth packing
constexpr Index kMaxPacked = Index{1} << 20;  // values packed beforehand, at a time

Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }
Index pieces_of(Index n, Index size) { return (n + size - 1) / size; }
// The size of equal pieces, each of at most `most`: a short last one would cost as much as a long.
Index even_piece(Index n, Index most) { return pieces_of(n, pieces_of(n, most)); }

// Of how many strips each the blocks are that `threads` share: at most `most`, and as many as leave
// nobody idle for long at the end.
Index balanced_block(Index strips, Index most, Index threads) {
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

template <class T>
constexpr double flops_per_nanosecond() {
  return 5.0 * static_cast<double>(kLanes<T>);
}

// ---- Few rows --------------------------------------------------------------------------------

// C for at most kFewRows rows and a plain B, which is read where it stands, row after row: packing
// it would cost more than the product. Each piece takes neighbouring rows of B, which memory
// delivers fastest, and makes a sum of its own.
template <class T, int Rows>
void few_rows(const Team& team, MatmulScratch<T>& scratch, const Operand<T>& a, const Operand<T>& b,
              T* c, Epilogue<T> epilogue, bool accumulate) {
  constexpr Index kAtOnce = 16, kMostPieces = 8, kWorthPiece = Index{1} << 15;
  const Index n = b.columns, depth = a.columns;
  const Index piece_depth =
      round_up(std::max(pieces_of(depth, kMostPieces), pieces_of(kWorthPiece, n)), kAtOnce);
  const Index pieces = pieces_of(depth, piece_depth);
  T* sums = pieces > 1 ? scratch.shared.ensure(pieces * Rows * n) : c;
  const double work = 0.15 * static_cast<double>(depth) * static_cast<double>(n);
  team.for_each(pieces, work, [&](Index piece) {
    T* to = sums + piece * Rows * n;
    const Index end = std::min(depth, (piece + 1) * piece_depth);
    for (Index p = piece * piece_depth; p < end; p += kAtOnce) {
      const bool add = p > piece * piece_depth || (accumulate && pieces == 1);
      // to[j ... j+lanes) += a[p ... p+count) B[p ... p+count)[j ... j+lanes)
      const auto add_rows = [&](Index count, Index j, Index lanes) {
        Vec<T> sum[Rows];
        for (int r = 0; r < Rows; ++r) sum[r] = add ? load_up_to(to + r * n + j, lanes) : Vec<T>{};
        const T* ap = a.data + p * a.column_stride;
        const T* bp = b.data + p * b.row_stride + j;
        for (Index q = 0; q < count; ++q) {
          const Vec<T> bv = load_up_to(bp, lanes);
          for (int r = 0; r < Rows; ++r) sum[r] += (ap[r * a.row_stride] - Vec<T>{}) * bv;
          ap += a.column_stride;
          bp += b.row_stride;
        }
        for (int r = 0; r < Rows; ++r) store_up_to(to + r * n + j, sum[r], lanes);
      };
      const Index whole = n / kLanes<T> * kLanes<T>, count = std::min(kAtOnce, end - p);
      if (count == kAtOnce) {  // a number that the compiler knows, and unrolls the loop for
        for (Index j = 0; j < whole; j += kLanes<T>) add_rows(kAtOnce, j, kLanes<T>);
      } else {
        for (Index j = 0; j < whole; j += kLanes<T>) add_rows(count, j, kLanes<T>);
      }
      if (whole < n) add_rows(count, whole, n - whole);
    }
  });
  if (pieces > 1) {
    for_lanes<T>(Rows * n, [&](Index i, Index lanes) {
      Vec<T> sum = accumulate ? load_up_to(c + i, lanes) : Vec<T>{};
      for (Index piece = 0; piece < pieces; ++piece) {
        sum += load_up_to(sums + piece * Rows * n + i, lanes);
      }
      store_up_to(c + i, sum, lanes);
    });
  }
  if (epilogue) epilogue(0, 0, Rows, n, c, n);
}

// ---- Many rows -------------------------------------------------------------------------------

// Packed as pairs or not, `length` values of a vector take so many places.
Index places(bool pairs, Index length) { return pairs ? AsPairs::places(length) : length; }
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
                 a.column_stride, std::min<Index>(kRows, a.rows - i), a.rows - i, np, to);
}
template <class T>
void pack_panel(bool pairs, const Operand<T>& b, Index panel, Index p, Index np, T* to) {
  constexpr Index width = kColumns<T>;
  const Index j = panel * width;
  pack<T, width>(pairs, b.data + p * b.row_stride + j * b.column_stride, b.column_stride,
                 b.row_stride, std::min(width, b.columns - j), b.columns - j, np, to);
}

// Packs `items` strips or panels of `size` vectors, factors d0 ... d0+nd, block after block:
// pack_one(item, p, np, to).
template <class T, class PackOne>
void pack_ahead(const Team& team, bool pairs, Index items, Index size, Index d0, Index nd,
                Index block_depth, T* packed, const PackOne& pack_one) {
  constexpr Index kAtOnce = 4;  // neighbours, which share cache lines
  const Index pieces = pieces_of(items, kAtOnce), blocks = pieces_of(nd, block_depth);
  const double work = 0.3 * static_cast<double>(items * size * nd);
  team.for_each(pieces * blocks, work, [&](Index piece) {
    const Index p0 = piece / pieces * block_depth, np = std::min(block_depth, nd - p0);
    const Index first = piece % pieces * kAtOnce;
    for (Index item = first; item < std::min(items, first + kAtOnce); ++item) {
      T* to = packed + items * size * places(pairs, p0) + item * size * places(pairs, np);
      pack_one(item, d0 + p0, np, to);
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
  constexpr Index width = kColumns<T>;
  for (Index panel = at.panel_begin; panel < at.panel_end; ++panel) {
    const Index j = panel * width, columns = std::min(width, n - j);
    const T* b_panel = panels + (panel - at.panel_begin) * width * length;
    const T* strip = a.data;
    for (Index i = at.row_begin; i < at.row_end; i += kRows, strip += a.next) {
      const Index rows = std::min<Index>(kRows, at.row_end - i);
      T* tile = c + i * n + j;
      if (epilogue.reads != nullptr) ask_for(epilogue.reads + i * n + j, n, rows, columns);
      kernels.run[rows - 1](length, strip, a.row, a.column, b_panel, tile, n, columns, add);
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
  return aliased(a.row_stride) && panels > 8 && a.rows > kWaitingRows;
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

}  // namespace

bool has_bfloat16_products() {
#if defined(__AVX512F__)
  static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

template <class T>
void matmul(const Team& team, MatmulScratch<T>& scratch, const Operand<T>& a, const Operand<T>& b,
            T* c, Epilogue<T> epilogue, bool accumulate) {
  const Index m = a.rows, n = b.columns, depth = a.columns;
  constexpr Index width = kColumns<T>;
  if (m == 0 || n == 0) return;
  if (depth == 0) {
    if (!accumulate) std::memset(c, 0, static_cast<std::size_t>(m * n) * sizeof(T));
    if (epilogue) epilogue(0, 0, m, n, c, n);
    return;
  }
  const bool pairs = as_pairs<T>(scratch.precision);
  if (m <= kFewRows && b.column_stride == 1 && !pairs) {
    if (m == 1) return few_rows<T, 1>(team, scratch, a, b, c, epilogue, accumulate);
    if (m == 2) return few_rows<T, 2>(team, scratch, a, b, c, epilogue, accumulate);
    return few_rows<T, 3>(team, scratch, a, b, c, epilogue, accumulate);
  }
  const MicroKernels<T>& kernels = kernels_for<T>(scratch.precision);
  const Index strips = pieces_of(m, kRows), panels = pieces_of(n, width);

  // Which operand is packed beforehand, for all tasks: the one that more of them read. The other is
  // packed by each task, as much of it as fits into the second-level cache.
  const bool tall = m > kTallRows || (panels < 12 && m > 8 * kRows);
  const bool pack_a = must_pack_rows(a, pairs, panels);
  const bool shared_a = pack_a && !tall;

  const Index row_block =
      (tall ? balanced_block(strips, kBlockRows / kRows, team.threads()) : strips) * kRows;
  const Index row_tasks = pieces_of(m, row_block);
  const Index group = tall ? pieces_of(panels, std::max<Index>(1, 16 / row_tasks))
                           : std::max<Index>(1, std::min(kGroup, panels / 8));
  const Cut cut{m, panels, row_block, group};

  const Index shared_rows = tall ? panels * width : shared_a ? strips * kRows : 0;
  const Index max_depth = tall && pack_a ? kMaxPackedDepth : kMaxDepth;
  const Index pass_depth =
      even_piece(depth, std::max(max_depth, kMaxPacked / std::max<Index>(shared_rows, 1)));
  T* shared = shared_rows > 0 ? scratch.shared.ensure(shared_rows * pass_depth) : nullptr;
  const Index own_size = tall ? (pack_a ? row_block * max_depth : 0) : group * width * max_depth;
  T* own = own_size > 0 ? scratch.own.ensure(own_size * team.threads()) : nullptr;

  for (Index d0 = 0; d0 < depth; d0 += pass_depth) {
    const Index nd = std::min(pass_depth, depth - d0);
    const Index block_depth = round_up(even_piece(nd, max_depth), pairs ? 2 : 1);
    if (tall) {
      pack_ahead(team, pairs, panels, width, d0, nd, block_depth, shared,
                 [&](auto... what) { pack_panel(pairs, b, what...); });
    } else if (shared_a) {
      pack_ahead(team, pairs, strips, kRows, d0, nd, block_depth, shared,
                 [&](auto... what) { pack_strip(pairs, a, what...); });
    }
    const double work = nanoseconds<T>(m, n, nd);
    team.for_each(cut.tasks(), work, [&](Index task, int worker) {
      const Rectangle part = cut.rectangle(task);
      const Index i_begin = part.row_begin, panel_begin = part.panel_begin;
      T* mine = own + worker * own_size;
      for (Index p0 = 0; p0 < nd; p0 += block_depth) {
        const Index np = std::min(block_depth, nd - p0), nq = places(pairs, np);
        const T* ready = shared + shared_rows * places(pairs, p0);  // what was packed beforehand
        Strips<T> rows{a.data + i_begin * a.row_stride + (d0 + p0) * a.column_stride,
                       kRows * a.row_stride, a.row_stride, a.column_stride};
        if (pack_a) rows = {tall ? mine : ready + i_begin * nq, kRows * nq, 1, kRows};
        const T* columns = tall ? ready + panel_begin * width * nq : mine;
        if (tall && pack_a) {
          for (Index i = i_begin; i < part.row_end; i += kRows) {
            pack_strip(pairs, a, i / kRows, d0 + p0, np, mine + (i - i_begin) * nq);
          }
        }
        for (Index panel = panel_begin; !tall && panel < part.panel_end; ++panel) {
          pack_panel(pairs, b, panel, d0 + p0, np, mine + (panel - panel_begin) * width * nq);
        }
        const bool last = d0 + p0 + np == depth;
        multiply_block(kernels, nq, rows, columns, part, c, n, accumulate || d0 + p0 > 0,
                       last ? epilogue : Epilogue<T>{});
      }
    });
  }
}

template <class T>
void pack(const Team& team, const Operand<T>& b, Precision precision, PackedOperand<T>& packed) {
  const bool pairs = as_pairs<T>(precision);
  const Index panels = pieces_of(b.columns, kColumns<T>), depth = b.rows;
  const Index block_depth = round_up(even_piece(depth, kMaxDepth), pairs ? 2 : 1);
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
  if (m == 0 || n == 0) return;
  const bool pairs = as_pairs<T>(b.precision);
  const MicroKernels<T>& kernels = kernels_for<T>(b.precision);
  const Index strips = pieces_of(m, kRows), panels = pieces_of(n, width);
  const bool pack_a = must_pack_rows(a, pairs, panels);
  const Index row_block = balanced_block(strips, kBlockRows / kRows, team.threads()) * kRows;
  const Index row_tasks = pieces_of(m, row_block);
  const Index group = pieces_of(panels, std::max<Index>(1, 16 / row_tasks));
  const Cut cut{m, panels, row_block, group};
  const Index block_depth = round_up(even_piece(depth, kMaxDepth), pairs ? 2 : 1);
  const Index own_size = pack_a ? row_block * block_depth : 0;
  T* own = pack_a ? scratch.own.ensure(own_size * team.threads()) : nullptr;

  team.for_each(cut.tasks(), nanoseconds<T>(m, n, depth), [&](Index task, int worker) {
    const Rectangle part = cut.rectangle(task);
    const Index i_begin = part.row_begin, panel_begin = part.panel_begin;
    T* mine = own + worker * own_size;
    for (Index p0 = 0; p0 < depth; p0 += block_depth) {
      const Index np = std::min(block_depth, depth - p0), nq = places(pairs, np);
      Strips<T> rows{a.data + i_begin * a.row_stride + p0 * a.column_stride, kRows * a.row_stride,
                     a.row_stride, a.column_stride};
      if (pack_a) {
        rows = {mine, kRows * nq, 1, kRows};
        for (Index i = i_begin; i < part.row_end; i += kRows) {
          pack_strip(pairs, a, i / kRows, p0, np, mine + (i - i_begin) * nq);
        }
      }
      const T* columns =
          b.values.data() + panels * width * places(pairs, p0) + panel_begin * width * nq;
      multiply_block(kernels, nq, rows, columns, part, c, n, p0 > 0,
                     p0 + np == depth ? epilogue : Epilogue<T>{});
    }
  });
}

#define PYAE_INSTANTIATE(T)                                                                        \
  template void matmul(const Team&, MatmulScratch<T>&, const Operand<T>&, const Operand<T>&, T*,   \
                       Epilogue<T>, bool);                                                         \
  template void pack(const Team&, const Operand<T>&, Precision, PackedOperand<T>&);                \
  template void matmul(const Team&, MatmulScratch<T>&, const Operand<T>&, const PackedOperand<T>&, \
                       T*, Epilogue<T>);
PYAE_INSTANTIATE(float)
PYAE_INSTANTIATE(double)
#undef PYAE_INSTANTIATE

}  // namespace pyae
