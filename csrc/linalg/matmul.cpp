// The scheme is that of Goto & van de Geijn, "Anatomy of high-performance matrix multiplication"
// (ACM TOMS 2008): a block of op(B) is packed into panels kColumns wide, and a micro-kernel keeps a
// kRows x kColumns tile of C in registers while it runs down the panel. An element of C is always
// the same sum in the same order, whatever tile it falls into and whichever thread computes it.
#include "linalg/matmul.hpp"

#include <cstring>
#include <utility>

#include "linalg/simd.hpp"

namespace pyae {
namespace {

// The tile is as large as the registers allow: 16 of them up to AVX2, 32 in AVX-512 and NEON.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif
constexpr int kVectors = 2;  // vectors in a row of the tile
template <class T>
constexpr Index kColumns = kVectors * kLanes<T>;

constexpr Index kMaxDepth = 320;     // a panel of B, kMaxDepth x kColumns, fits in L1
constexpr Index kBlockRows = 96;     // a task's rows of A, kBlockRows x kMaxDepth, fit in L2
constexpr Index kMaxColumns = 4096;  // the packed block of B stays in L3
constexpr Index kMaxRows = 8192;     // so does that of A

Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

template <class V, std::size_t... I>
inline V interleave_low(V a, V b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, static_cast<int>(I % 2 ? sizeof...(I) + I / 2 : I / 2)...);
}
template <class V, std::size_t... I>
inline V interleave_high(V a, V b, std::index_sequence<I...>) {
  constexpr int half = sizeof...(I) / 2;
  return __builtin_shufflevector(
      a, b, static_cast<int>(I % 2 ? sizeof...(I) + half + I / 2 : half + I / 2)...);
}
// A square of as many vectors as a vector has lanes, transposed by log2(lanes) perfect shuffles.
template <class T>
inline void transpose_square(Vec<T>* rows) {
  constexpr Index lanes = kLanes<T>;
  constexpr auto order = std::make_index_sequence<static_cast<std::size_t>(lanes)>();
  for (Index width = 1; width < lanes; width *= 2) {
    Vec<T> next[lanes];
    for (Index i = 0; i < lanes / 2; ++i) {
      next[2 * i] = interleave_low(rows[i], rows[i + lanes / 2], order);
      next[2 * i + 1] = interleave_high(rows[i], rows[i + lanes / 2], order);
    }
    for (Index i = 0; i < lanes; ++i) rows[i] = next[i];
  }
}

// `count` <= width vectors of length `depth` into packed[p * width + i], the rest zero. A vector i
// starts at source + i * across, its elements are `along` apart.
template <class T>
void pack_panel(const T* source, Index across, Index along, Index count, Index depth, Index width,
                T* packed) {
  constexpr Index lanes = kLanes<T>;
  if (count < width) std::memset(packed, 0, static_cast<std::size_t>(depth * width) * sizeof(T));
  if (across == 1) {
    for (Index p = 0; p < depth; ++p) {
      const T* from = source + p * along;
      T* to = packed + p * width;
      if (count == width) {
        for (Index i = 0; i < width; ++i) to[i] = from[i];
      } else {
        for (Index i = 0; i < count; ++i) to[i] = from[i];
      }
    }
    return;
  }
  Index i = 0;
  if (along == 1) {
    for (; i + lanes <= count; i += lanes) {
      Index p = 0;
      for (; p + lanes <= depth; p += lanes) {
        Vec<T> square[lanes];
        for (Index r = 0; r < lanes; ++r) square[r] = load(source + (i + r) * across + p);
        transpose_square<T>(square);
        for (Index r = 0; r < lanes; ++r) store(packed + (p + r) * width + i, square[r]);
      }
      for (; p < depth; ++p) {
        for (Index r = 0; r < lanes; ++r) packed[p * width + i + r] = source[(i + r) * across + p];
      }
    }
  }
  for (; i < count; ++i) {
    for (Index p = 0; p < depth; ++p) packed[p * width + i] = source[i * across + p * along];
  }
}

// Rows x kColumns of C, from `depth` columns of A and a packed panel of B.
template <class T, int Rows>
struct MicroKernel {
  static void run(Index depth, const T* a, Index a_row, Index a_column, const T* b, T* c,
                  Index c_stride, Index columns, bool accumulate) {
    Vec<T> tile[Rows][kVectors] = {};
    for (Index p = 0; p < depth; ++p) {
      const Vec<T> b0 = load(b), b1 = load(b + kLanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const Vec<T> ai = a[i * a_row] - Vec<T>{};
        tile[i][0] += ai * b0;
        tile[i][1] += ai * b1;
      }
      a += a_column;
      b += kColumns<T>;
    }
    if (columns == kColumns<T>) {
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        T* row = c + i * c_stride;
        store(row, accumulate ? load(row) + tile[i][0] : tile[i][0]);
        T* next = row + kLanes<T>;
        store(next, accumulate ? load(next) + tile[i][1] : tile[i][1]);
      }
      return;
    }
    for (int i = 0; i < Rows; ++i) {
      T values[kColumns<T>];
      store(values, tile[i][0]);
      store(values + kLanes<T>, tile[i][1]);
      T* row = c + i * c_stride;
      for (Index j = 0; j < columns; ++j) row[j] = accumulate ? row[j] + values[j] : values[j];
    }
  }
};
static_assert(kVectors == 2, "the micro-kernel names both vectors of a row");

template <class T>
using MicroKernelFunction = void (*)(Index, const T*, Index, Index, const T*, T*, Index, Index,
                                     bool);
// The kernel for each number of rows, so that the last rows of a matrix cost what they are.
template <class T, std::size_t... Rows>
constexpr auto micro_kernels(std::index_sequence<Rows...>) {
  struct Table {
    MicroKernelFunction<T> run[sizeof...(Rows)];
  };
  return Table{{&MicroKernel<T, static_cast<int>(Rows) + 1>::run...}};
}
template <class T>
constexpr auto kMicroKernels = micro_kernels<T>(std::make_index_sequence<kRows>());

template <class T>
constexpr double flops_per_nanosecond() {
  return 5.0 * static_cast<double>(kLanes<T>);
}

}  // namespace

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
  // Rows of A that are contiguous are read where they stand, unless they are read often.
  const bool pack_a = a.column_stride != 1 || (n > 16 * width && m > kRows);

  // The depth is cut into blocks of nearly the same size: a short last one would cost as much
  // reading and writing of C as a long one.
  const Index depth_blocks = (depth + kMaxDepth - 1) / kMaxDepth;
  const Index block_depth = (depth + depth_blocks - 1) / depth_blocks;

  for (Index j0 = 0; j0 < n; j0 += kMaxColumns) {
    const Index nj = std::min(kMaxColumns, n - j0);
    const Index panels = (nj + width - 1) / width;
    for (Index p0 = 0; p0 < depth; p0 += block_depth) {
      const Index np = std::min(block_depth, depth - p0);
      const bool last = p0 + np == depth;
      const bool add = accumulate || p0 > 0;
      T* packed_b = scratch.b.ensure(panels * width * np);
      for (Index i0 = 0; i0 < m; i0 += kMaxRows) {
        const Index ni = std::min(kMaxRows, m - i0);
        const Index strips = (ni + kRows - 1) / kRows;
        T* packed_a = pack_a ? scratch.a.ensure(strips * kRows * np) : nullptr;

        const Index pack_b_pieces = i0 == 0 ? panels : 0;
        const Index pack_a_pieces = pack_a ? strips : 0;
        const double packed_bytes = static_cast<double>(
            (pack_b_pieces * width + pack_a_pieces * kRows) * np * Index(sizeof(T)));
        team.for_each(pack_b_pieces + pack_a_pieces, packed_bytes / 8, [&](Index piece) {
          if (piece < pack_b_pieces) {
            const Index j = piece * width;
            pack_panel(b.data + p0 * b.row_stride + (j0 + j) * b.column_stride, b.column_stride,
                       b.row_stride, std::min(width, nj - j), np, width, packed_b + j * np);
          } else {
            const Index i = (piece - pack_b_pieces) * kRows;
            pack_panel(a.data + (i0 + i) * a.row_stride + p0 * a.column_stride, a.row_stride,
                       a.column_stride, std::min<Index>(kRows, ni - i), np, kRows,
                       packed_a + i * np);
          }
        });

        // Tasks: blocks of rows times groups of panels, several for each thread.
        const Index row_block = std::min(kBlockRows, round_up((ni + 7) / 8, kRows));
        const Index row_tasks = (ni + row_block - 1) / row_block;
        const Index group = std::max<Index>(1, std::min<Index>(32, panels * row_tasks / 16));
        const Index column_tasks = (panels + group - 1) / group;
        const double work = 2.0 * static_cast<double>(ni) * static_cast<double>(nj) *
                            static_cast<double>(np) / flops_per_nanosecond<T>();
        team.for_each(row_tasks * column_tasks, work, [&](Index task) {
          const Index i_begin = task / column_tasks * row_block;
          const Index i_end = std::min(ni, i_begin + row_block);
          const Index panel_begin = task % column_tasks * group;
          const Index panel_end = std::min(panels, panel_begin + group);
          for (Index panel = panel_begin; panel < panel_end; ++panel) {
            const Index j = panel * width, columns = std::min(width, nj - j);
            for (Index i = i_begin; i < i_end; i += kRows) {
              const Index rows = std::min<Index>(kRows, i_end - i);
              T* tile = c + (i0 + i) * n + j0 + j;
              const auto kernel = kMicroKernels<T>.run[rows - 1];
              if (pack_a) {
                kernel(np, packed_a + i * np, 1, kRows, packed_b + j * np, tile, n, columns, add);
              } else {
                kernel(np, a.data + (i0 + i) * a.row_stride + p0, a.row_stride, 1,
                       packed_b + j * np, tile, n, columns, add);
              }
              if (last && epilogue) epilogue(i0 + i, j0 + j, rows, columns, tile, n);
            }
          }
        });
      }
    }
  }
}

template void matmul(const Team&, MatmulScratch<float>&, const Operand<float>&,
                     const Operand<float>&, float*, Epilogue<float>, bool);
template void matmul(const Team&, MatmulScratch<double>&, const Operand<double>&,
                     const Operand<double>&, double*, Epilogue<double>, bool);

}  // namespace pyae
