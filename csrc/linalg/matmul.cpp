#include "linalg/matmul.hpp"

#include "linalg/tiles.hpp"

namespace pyae {
namespace {

constexpr Index kGroup = 4;                   // panels that a task packs for itself; they fit in L2
constexpr Index kTallRows = 400;              // for more B is packed beforehand, not A
constexpr Index kFewRows = 3;                 // so few rows are multiplied by B where it stands
constexpr Index kMaxPacked = Index{1} << 20;  // values packed beforehand, at a time

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
  const Index own_size = tall ? (pack_a ? kBlockRows * max_depth : 0) : group * width * max_depth;
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
      const Index panel_begin = part.panel_begin;
      T* mine = own + worker * own_size;
      for (Index p0 = 0; p0 < nd; p0 += block_depth) {
        const Index np = std::min(block_depth, nd - p0), nq = places(pairs, np);
        const T* ready = shared + shared_rows * places(pairs, p0);  // what was packed beforehand
        const Strips<T> rows = !pack_a ? rows_in_place(a, part, d0 + p0)
                               : tall
                                   ? rows_packed(pairs, a, part, d0 + p0, np, mine)
                                   : Strips<T>{ready + part.row_begin * nq, kRows * nq, 1, kRows};
        const T* columns = tall ? ready + panel_begin * width * nq : mine;
        for (Index panel = panel_begin; !tall && panel < part.panel_end; ++panel) {
          pack_panel(pairs, b, panel, d0 + p0, np, mine + (panel - panel_begin) * width * nq);
        }
        const bool last = d0 + p0 + np == depth;
        // So many rows at a time stay in L2 while all of the task's panels pass by.
        const Index some = tall ? row_block : few_strips<T>(strips, np) * kRows;
        for (Index i = part.row_begin; i < part.row_end; i += some) {
          const Rectangle block{i, std::min(part.row_end, i + some), part.panel_begin,
                                part.panel_end};
          Strips<T> strip = rows;
          strip.data += (i - part.row_begin) / kRows * rows.next;
          multiply_block(kernels, nq, strip, columns, block, c, n, accumulate || d0 + p0 > 0,
                         last ? epilogue : Epilogue<T>{});
        }
      }
    });
  }
}

#define PYAE_INSTANTIATE(T)                                                                      \
  template void matmul(const Team&, MatmulScratch<T>&, const Operand<T>&, const Operand<T>&, T*, \
                       Epilogue<T>, bool);
PYAE_INSTANTIATE(float)
PYAE_INSTANTIATE(double)
#undef PYAE_INSTANTIATE

}  // namespace pyae
