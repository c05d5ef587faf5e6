// The scheme is that of Goto & van de Geijn, "Anatomy of high-performance matrix multiplication"
// (ACM TOMS 2008), arranged for products of a network's shapes. A micro-kernel keeps a kRows x
// kColumns tile of C in registers while it runs down a panel of op(B), kColumns wide, which was
// packed into the first-level cache just before; the rows of op(A) pass by it, strip after strip.
// An element of C is always the same sum in the same order, whatever tile it falls into and
// whichever thread computes it.
#include "linalg/matmul.hpp"

#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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

constexpr Index kMaxDepth = 320;              // a panel of B, kMaxDepth x kColumns, fits in L1
constexpr Index kBlockRows = 96;              // a block of A, kBlockRows x kMaxDepth, fits in L2
constexpr Index kGroup = 4;                   // panels that a task packs for itself; they fit in L2
constexpr Index kTallRows = 400;              // from here on B is packed beforehand, not A
constexpr Index kFewRows = 3;                 // so few rows are multiplied by B where it stands
constexpr Index kMaxPacked = Index{1} << 20;  // values packed beforehand, at a time

Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }
Index pieces_of(Index n, Index size) { return (n + size - 1) / size; }
// The size of equal pieces, each of at most `most`: a short last one would cost as much as a long.
Index even_piece(Index n, Index most) { return pieces_of(n, pieces_of(n, most)); }

template <class T>
constexpr double flops_per_nanosecond() {
  return 5.0 * static_cast<double>(kLanes<T>);
}

// ---- Packing ---------------------------------------------------------------------------------

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

// `count` <= Width vectors of length `depth` into packed[p * Width + i], the rest zero. Vector i
// starts at source + i * across, its elements are `along` apart; one of the two is 1. `readable`
// says how many vectors there are from the first on, which may be more than `count`.
//
// Whole vectors are stored also where Width is no multiple of their lanes: what they write too much
// is written over next, and the last ones are stored in part.
template <class T, Index Width>
void pack(const T* source, Index across, Index along, Index count, Index readable, Index depth,
          T* packed) {
  constexpr Index lanes = kLanes<T>, vectors = (Width + lanes - 1) / lanes, span = vectors * lanes;
  constexpr Index overlap = span == Width ? 0 : (span - Width + Width - 1) / Width;
  const auto one_by_one = [&](Index first, Index last) {
    for (Index p = first; p < last; ++p) {
      for (Index i = 0; i < Width; ++i) {
        packed[p * Width + i] = i < count ? source[i * across + p * along] : T(0);
      }
    }
  };
  Index done = 0;
  const Index whole = depth - overlap;  // so many may be stored as whole vectors
  if (across == 1 && count == Width && readable >= span) {
    for (; done < whole; ++done) {
      for (Index v = 0; v < vectors; ++v) {
        store(packed + done * Width + v * lanes, load(source + done * along + v * lanes));
      }
    }
  } else if (along == 1) {
    for (; done + lanes <= whole; done += lanes) {
      for (Index v = 0; v < vectors; ++v) {
        Vec<T> square[lanes];
        for (Index r = 0; r < lanes; ++r) {
          const Index i = v * lanes + r;
          square[r] = i < count ? load(source + i * across + done) : Vec<T>{};
        }
        transpose_square<T>(square);
        for (Index r = 0; r < lanes; ++r) {
          if (vectors == 1 || Width == span) {
            store(packed + (done + r) * Width + v * lanes, square[r]);
          } else {
            store_up_to(packed + (done + r) * Width + v * lanes, square[r],
                        std::min(lanes, Width - v * lanes));
          }
        }
      }
    }
  }
  one_by_one(done, depth);
}

// ---- Pairs of bfloat16 -----------------------------------------------------------------------

// The nearest bfloat16, ties to even, in the upper half of the word.
inline UintVec<Vec<float>> rounded_bits(Vec<float> x) {
  using U = UintVec<Vec<float>>;
  const U bits = (U)x;
  const U nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return select(x == x, nearest, bits | 0x00400000u);  // NaN stays NaN
}
inline Vec<float> lower_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair << 16); }
inline Vec<float> upper_of(UintVec<Vec<float>> pair) { return (Vec<float>)(pair & 0xffff0000u); }

// pack() of rounded values, the neighbours 2p and 2p+1 of a vector in one word: packed[p * Width +
// i].
template <Index Width>
void pack_pairs(const float* source, Index across, Index along, Index count, Index readable,
                Index depth, float* packed) {
  constexpr Index kAtOnce = 32, lanes = kLanes<float>;
  float values[(kAtOnce + 1) * Width + lanes];
  for (Index p = 0; p < depth; p += kAtOnce) {
    const Index n = std::min(kAtOnce, depth - p);
    pack<float, Width>(source + p * along, across, along, count, readable, n, values);
    if (n % 2 != 0) std::fill_n(values + n * Width, Width, 0.0f);
    for (Index q = 0; q < (n + 1) / 2; ++q) {
      const float* even = values + 2 * q * Width;
      map_row(even, even + Width, packed + (p / 2 + q) * Width, Width,
              [](Vec<float> lower, Vec<float> upper) {
                return (Vec<float>)((rounded_bits(lower) >> 16) | rounded_bits(upper));
              });
    }
  }
}

template <class T, Index Width>
void pack_as(bool pairs, const T* source, Index across, Index along, Index count, Index readable,
             Index depth, T* packed) {
  if constexpr (std::is_same_v<T, float>) {
    if (pairs) return pack_pairs<Width>(source, across, along, count, readable, depth, packed);
  }
  pack<T, Width>(source, across, along, count, readable, depth, packed);
}

// ---- The micro-kernel ------------------------------------------------------------------------

// A tile of C, Rows x kColumns, into its place: `columns` of it, added to what is there or not.
// Named one by one, in loops that are unrolled, the tile's vectors stay in registers.
template <class T, int Rows>
inline __attribute__((always_inline)) void store_tile(const Vec<T> (&tile)[Rows][kVectors], T* c,
                                                      Index c_stride, Index columns,
                                                      bool accumulate) {
  constexpr Index lanes = kLanes<T>;
  T part[kColumns<T>];  // of a row, where the tile is cut off
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    T* row = c + i * c_stride;
    const bool whole = columns == kColumns<T>;
    T* to = whole ? row : part;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      store(to + v * lanes, accumulate && whole ? load(row + v * lanes) + tile[i][v] : tile[i][v]);
    }
    if (!whole) {
      for (Index j = 0; j < columns; ++j) row[j] = accumulate ? row[j] + part[j] : part[j];
    }
  }
}

// Rows x kColumns of C, from `depth` columns of A and a packed panel of B.
template <class T, int Rows>
struct MicroKernel {
  static void run(Index depth, const T* a, Index a_row, Index a_column, const T* b, T* c,
                  Index c_stride, Index columns, bool accumulate) {
    constexpr Index lanes = kLanes<T>;
    for (int i = 0; i < Rows; ++i) __builtin_prefetch(c + i * c_stride, 1, 3);
    Vec<T> tile[Rows][kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) tile[i][v] = Vec<T>{};
    }
    for (Index p = 0; p < depth; ++p) {
      Vec<T> bs[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) bs[v] = load(b + v * lanes);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const Vec<T> ai = a[i * a_row] - Vec<T>{};
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) tile[i][v] += ai * bs[v];
      }
      a += a_column;
      b += kColumns<T>;
    }
    store_tile<T, Rows>(tile, c, c_stride, columns, accumulate);
  }
};

// sum + the two products of each pair
struct DotInFloats {
  static Vec<float> add(Vec<float> sum, UintVec<Vec<float>> a, UintVec<Vec<float>> b) {
    return sum + lower_of(a) * lower_of(b) + upper_of(a) * upper_of(b);
  }
};

// The same from packed pairs of bfloat16, `depth` being the number of pairs.
template <class Dot, int Rows>
inline __attribute__((always_inline)) void pairs_kernel(Index depth, const float* a, const float* b,
                                                        float* c, Index c_stride, Index columns,
                                                        bool accumulate) {
  using U = UintVec<Vec<float>>;
  constexpr Index lanes = kLanes<float>;
  Vec<float> tile[Rows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) tile[i][v] = Vec<float>{};
  }
  for (Index p = 0; p < depth; ++p) {
    U bs[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) bs[v] = (U)load(b + v * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      std::uint32_t pair = 0;
      std::memcpy(&pair, a + i, sizeof(pair));
      const U ai = pair - U{};
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) tile[i][v] = Dot::add(tile[i][v], ai, bs[v]);
    }
    a += kRows;
    b += kColumns<float>;
  }
  store_tile<float, Rows>(tile, c, c_stride, columns, accumulate);
}
template <int Rows>
struct PairsKernel {
  static void run(Index depth, const float* a, Index, Index, const float* b, float* c,
                  Index c_stride, Index columns, bool accumulate) {
    pairs_kernel<DotInFloats, Rows>(depth, a, b, c, c_stride, columns, accumulate);
  }
};
#if defined(__AVX512F__)
struct DotInstruction {
  __attribute__((target("avx512bf16,avx512vl"))) static Vec<float> add(Vec<float> sum,
                                                                       UintVec<Vec<float>> a,
                                                                       UintVec<Vec<float>> b) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
template <int Rows>
struct PairsInstructionKernel {
  __attribute__((target("avx512bf16,avx512vl"))) static void run(Index depth, const float* a, Index,
                                                                 Index, const float* b, float* c,
                                                                 Index c_stride, Index columns,
                                                                 bool accumulate) {
    pairs_kernel<DotInstruction, Rows>(depth, a, b, c, c_stride, columns, accumulate);
  }
};
#endif

template <class T>
using MicroKernelFunction = void (*)(Index, const T*, Index, Index, const T*, T*, Index, Index,
                                     bool);
template <class T>
struct MicroKernels {
  MicroKernelFunction<T> run[kRows];  // for each number of rows: the last ones cost what they are
};
template <class T, std::size_t... Rows>
MicroKernels<T> micro_kernels(Precision precision, std::index_sequence<Rows...>) {
  if constexpr (std::is_same_v<T, float>) {
#if defined(__AVX512F__)
    if (precision == Precision::bfloat16 && has_bfloat16_products()) {
      return {{&PairsInstructionKernel<static_cast<int>(Rows) + 1>::run...}};
    }
#endif
    if (precision == Precision::bfloat16) {
      return {{&PairsKernel<static_cast<int>(Rows) + 1>::run...}};
    }
  }
  return {{&MicroKernel<T, static_cast<int>(Rows) + 1>::run...}};
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
  // Packed, `length` values of a vector take so many places.
  const bool pairs = std::is_same_v<T, float> && scratch.precision == Precision::bfloat16;
  const auto places = [pairs](Index length) { return pairs ? (length + 1) / 2 : length; };
  const auto kernels = micro_kernels<T>(scratch.precision, std::make_index_sequence<kRows>());
  if (m <= kFewRows && b.column_stride == 1 && !pairs) {
    if (m == 1) return few_rows<T, 1>(team, scratch, a, b, c, epilogue, accumulate);
    if (m == 2) return few_rows<T, 2>(team, scratch, a, b, c, epilogue, accumulate);
    return few_rows<T, 3>(team, scratch, a, b, c, epilogue, accumulate);
  }
  const Index strips = pieces_of(m, kRows), panels = pieces_of(n, width);

  // Which operand is packed beforehand, for all tasks: the one that more of them read. The other is
  // packed by each task, as much of it as fits into the second-level cache; rows of A that are
  // contiguous are read where they stand, unless they start at addresses that fall into the same
  // sets of the first-level cache.
  const bool tall = m > kTallRows || (panels < 12 && m > 8 * kRows);
  const bool aliased = a.row_stride * static_cast<Index>(sizeof(T)) % 1024 == 0 && panels > 8;
  const bool pack_a = pairs || a.column_stride != 1 || aliased;
  const bool shared_a = pack_a && !tall;

  const Index row_block =
      tall ? round_up(even_piece(m, std::min(kBlockRows, std::max<Index>(kRows, m / 8))), kRows)
           : strips * kRows;
  const Index row_tasks = pieces_of(m, row_block);
  const Index group = tall ? pieces_of(panels, std::max<Index>(1, 16 / row_tasks))
                           : std::max<Index>(1, std::min(kGroup, panels / 8));
  const Index column_tasks = pieces_of(panels, group);

  const Index shared_rows = tall ? panels * width : shared_a ? strips * kRows : 0;
  const Index pass_depth =
      even_piece(depth, std::max(kMaxDepth, kMaxPacked / std::max<Index>(shared_rows, 1)));
  T* shared = shared_rows > 0 ? scratch.shared.ensure(shared_rows * pass_depth) : nullptr;
  const Index own_size = tall ? (pack_a ? row_block * kMaxDepth : 0) : group * width * kMaxDepth;
  T* own = own_size > 0 ? scratch.own.ensure(own_size * team.threads()) : nullptr;

  const auto pack_strip = [&](Index strip, Index p, Index np, T* to) {
    const Index i = strip * kRows;
    pack_as<T, kRows>(pairs, a.data + i * a.row_stride + p * a.column_stride, a.row_stride,
                      a.column_stride, std::min<Index>(kRows, m - i), m - i, np, to);
  };
  const auto pack_panel = [&](Index panel, Index p, Index np, T* to) {
    const Index j = panel * width;
    pack_as<T, width>(pairs, b.data + p * b.row_stride + j * b.column_stride, b.column_stride,
                      b.row_stride, std::min(width, n - j), n - j, np, to);
  };

  for (Index d0 = 0; d0 < depth; d0 += pass_depth) {
    const Index nd = std::min(pass_depth, depth - d0);
    const Index block_depth = round_up(even_piece(nd, kMaxDepth), pairs ? 2 : 1);
    const Index blocks = pieces_of(nd, block_depth);
    if (shared_rows > 0) {
      constexpr Index kAtOnce = 4;  // neighbours, which share cache lines
      const Index items = tall ? panels : strips, size = shared_rows / items;
      const Index pieces = pieces_of(items, kAtOnce);
      team.for_each(pieces * blocks, 0.3 * static_cast<double>(shared_rows * nd), [&](Index piece) {
        const Index p0 = piece / pieces * block_depth, np = std::min(block_depth, nd - p0);
        const Index first = piece % pieces * kAtOnce;
        for (Index item = first; item < std::min(items, first + kAtOnce); ++item) {
          T* to = shared + shared_rows * places(p0) + item * size * places(np);
          tall ? pack_panel(item, d0 + p0, np, to) : pack_strip(item, d0 + p0, np, to);
        }
      });
    }
    const double work = 2.0 * static_cast<double>(m) * static_cast<double>(n) *
                        static_cast<double>(nd) / flops_per_nanosecond<T>();
    team.for_each(row_tasks * column_tasks, work, [&](Index task, int worker) {
      const Index i_begin = task / column_tasks * row_block;
      const Index i_end = std::min(m, i_begin + row_block);
      const Index panel_begin = task % column_tasks * group;
      const Index panel_end = std::min(panels, panel_begin + group);
      T* mine = own + worker * own_size;
      for (Index p0 = 0; p0 < nd; p0 += block_depth) {
        const Index np = std::min(block_depth, nd - p0), nq = places(np);
        const bool add = accumulate || d0 + p0 > 0;
        const bool last = d0 + p0 + np == depth;
        if (tall && pack_a) {
          for (Index i = i_begin; i < i_end; i += kRows) {
            pack_strip(i / kRows, d0 + p0, np, mine + (i - i_begin) * nq);
          }
        }
        if (!tall) {
          for (Index panel = panel_begin; panel < panel_end; ++panel) {
            pack_panel(panel, d0 + p0, np, mine + (panel - panel_begin) * width * nq);
          }
        }
        for (Index panel = panel_begin; panel < panel_end; ++panel) {
          const Index j = panel * width, columns = std::min(width, n - j);
          const T* b_panel = tall ? shared + shared_rows * places(p0) + j * nq
                                  : mine + (panel - panel_begin) * width * nq;
          for (Index i = i_begin; i < i_end; i += kRows) {
            const Index rows = std::min<Index>(kRows, i_end - i);
            T* tile = c + i * n + j;
            const auto kernel = kernels.run[rows - 1];
            if (!pack_a) {
              kernel(np, a.data + i * a.row_stride + d0 + p0, a.row_stride, 1, b_panel, tile, n,
                     columns, add);
            } else {
              const T* strip =
                  tall ? mine + (i - i_begin) * nq : shared + shared_rows * places(p0) + i * nq;
              kernel(nq, strip, 1, kRows, b_panel, tile, n, columns, add);
            }
            if (last && epilogue) epilogue(i, j, rows, columns, tile, n);
          }
        }
      }
    });
  }
}

template void matmul(const Team&, MatmulScratch<float>&, const Operand<float>&,
                     const Operand<float>&, float*, Epilogue<float>, bool);
template void matmul(const Team&, MatmulScratch<double>&, const Operand<double>&,
                     const Operand<double>&, double*, Epilogue<double>, bool);

}  // namespace pyae
