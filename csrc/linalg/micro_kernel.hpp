// The innermost loop of a product: a tile of C stays in registers while a strip of A and a panel of
// B, as packing.hpp lays them out, run by.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "linalg/matmul.hpp"
#include "linalg/packing.hpp"

namespace pyae {

// The tile is as large as the registers allow: 16 of them up to AVX2, 32 in AVX-512 and NEON.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif
constexpr int kVectors = 2;  // vectors in a row of a whole tile
template <class T>
constexpr Index kColumns = kVectors * kLanes<T>;
// So few rows wait for the memory of B, and ask for it so many factors ahead.
constexpr int kWaitingRows = 4, kAhead = 16;

// A tile of C, Rows of so many Vectors, into its place: `columns` of it, added to what is there or
// not. Named one by one, in loops that are unrolled, the tile's vectors stay in registers.
template <class T, int Rows, int Vectors>
inline __attribute__((always_inline)) void store_tile(const Vec<T> (&tile)[Rows][Vectors], T* c,
                                                      Index c_stride, Index columns,
                                                      bool accumulate) {
  constexpr Index lanes = kLanes<T>;
  T part[Vectors * lanes];  // of a row, where the tile is cut off
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    T* row = c + i * c_stride;
    const bool whole = columns == Vectors * lanes;
    T* to = whole ? row : part;
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) {
      store(to + v * lanes, accumulate && whole ? load(row + v * lanes) + tile[i][v] : tile[i][v]);
    }
    if (!whole) {
      for (Index j = 0; j < columns; ++j) row[j] = accumulate ? row[j] + part[j] : part[j];
    }
  }
}

// How a number of A is multiplied with vectors of B, and the products are added to the tile.
template <class T>
struct Floats {
  using Factor = Vec<T>;
  static Factor broadcast(const T* a) { return *a - Vec<T>{}; }
  static Vec<T> add(Vec<T> sum, Factor a, Factor b) { return sum + a * b; }
};
// The same for pairs of bfloat16, which are two numbers of A and two vectors of B at once.
struct Pairs {
  using Factor = UintVec<Vec<float>>;
  static Factor broadcast(const float* a) {
    std::uint32_t pair = 0;
    std::memcpy(&pair, a, sizeof(pair));
    return pair - Factor{};
  }
  static Vec<float> add(Vec<float> sum, Factor a, Factor b) {
    return sum + lower_of(a) * lower_of(b) + upper_of(a) * upper_of(b);
  }
};

// Rows of C, Vectors wide, from a strip of A and a packed panel of B, both `depth` factors long.
template <class How, class T, int Rows, int Vectors>
inline __attribute__((always_inline)) void multiply_tile(Index depth, const T* a, Index a_row,
                                                         Index a_column, const T* b, T* c,
                                                         Index c_stride, Index columns,
                                                         bool accumulate) {
  using Factor = typename How::Factor;
  constexpr Index lanes = kLanes<T>;
  for (int i = 0; i < Rows; ++i) __builtin_prefetch(c + i * c_stride, 1, 3);
  Vec<T> tile[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) tile[i][v] = Vec<T>{};
  }
  for (Index p = 0; p < depth; ++p) {
    if constexpr (Rows <= kWaitingRows) {
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) __builtin_prefetch(b + kAhead * kColumns<T> + v * lanes);
    }
    Factor bs[Vectors];
#pragma GCC unroll 16
    for (int v = 0; v < Vectors; ++v) bs[v] = (Factor)load(b + v * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Factor ai = How::broadcast(a + i * a_row);
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) tile[i][v] = How::add(tile[i][v], ai, bs[v]);
    }
    a += a_column;
    b += kColumns<T>;
  }
  store_tile<T, Rows, Vectors>(tile, c, c_stride, columns, accumulate);
}

// One row of C under several panels at once, which stand `next` apart: the sums of a single one
// would wait for each other's results, and its memory be read at half the speed.
constexpr int kPanelsAtOnce = 4;
template <class How, class T>
inline __attribute__((always_inline)) void multiply_row(Index depth, const T* a, Index a_column,
                                                        const T* b, Index next, T* c,
                                                        bool accumulate) {
  using Factor = typename How::Factor;
  constexpr Index lanes = kLanes<T>;
  Vec<T> tile[kPanelsAtOnce][kVectors];
#pragma GCC unroll 16
  for (int panel = 0; panel < kPanelsAtOnce; ++panel) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) tile[panel][v] = Vec<T>{};
  }
  for (Index p = 0; p < depth; ++p) {
    const Factor factor = How::broadcast(a);
#pragma GCC unroll 16
    for (int panel = 0; panel < kPanelsAtOnce; ++panel) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const T* at = b + panel * next + v * lanes;
        tile[panel][v] = How::add(tile[panel][v], factor, (Factor)load(at));
      }
    }
    a += a_column;
    b += kColumns<T>;
  }
  store_tile<T, kPanelsAtOnce, kVectors>(tile, c, kColumns<T>, kColumns<T>, accumulate);
}

template <class How, class T>
void row_kernel(Index depth, const T* a, Index a_column, const T* b, Index next, T* c,
                bool accumulate) {
  multiply_row<How, T>(depth, a, a_column, b, next, c, accumulate);
}
template <class How, class T, int Rows, int Vectors>
void micro_kernel(Index depth, const T* a, Index a_row, Index a_column, const T* b, T* c,
                  Index c_stride, Index columns, bool accumulate) {
  multiply_tile<How, T, Rows, Vectors>(depth, a, a_row, a_column, b, c, c_stride, columns,
                                       accumulate);
}

#if defined(__AVX512F__)
#define PYAE_TARGET_BFLOAT16 __attribute__((target("avx512bf16,avx512vl")))
struct PairsByInstruction : Pairs {
  PYAE_TARGET_BFLOAT16 static Vec<float> add(Vec<float> sum, Factor a, Factor b) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
template <int Rows, int Vectors>
PYAE_TARGET_BFLOAT16 void bfloat16_kernel(Index depth, const float* a, Index a_row, Index a_column,
                                          const float* b, float* c, Index c_stride, Index columns,
                                          bool accumulate) {
  multiply_tile<PairsByInstruction, float, Rows, Vectors>(depth, a, a_row, a_column, b, c, c_stride,
                                                          columns, accumulate);
}
PYAE_TARGET_BFLOAT16 inline void bfloat16_row_kernel(Index depth, const float* a, Index a_column,
                                                     const float* b, Index next, float* c,
                                                     bool accumulate) {
  multiply_row<PairsByInstruction, float>(depth, a, a_column, b, next, c, accumulate);
}
#undef PYAE_TARGET_BFLOAT16
#endif

template <class T>
struct MicroKernels {
  using Tile = void (*)(Index, const T*, Index, Index, const T*, T*, Index, Index, bool);
  // For each number of rows, from 1, and of vectors: the last tiles of C cost what they are.
  Tile tiles[kVectors][kRows];
  void (*run_row)(Index, const T*, Index, const T*, Index, T*, bool);

  Tile tile(Index rows, Index columns) const { return tiles[(columns - 1) / kLanes<T>][rows - 1]; }
};
template <class T, std::size_t... Rows>
const MicroKernels<T>& micro_kernels(Precision precision, std::index_sequence<Rows...>) {
  static_assert(kVectors == 2);
  static constexpr MicroKernels<T> full{
      {{&micro_kernel<Floats<T>, T, static_cast<int>(Rows) + 1, 1>...},
       {&micro_kernel<Floats<T>, T, static_cast<int>(Rows) + 1, 2>...}},
      &row_kernel<Floats<T>, T>};
  if constexpr (std::is_same_v<T, float>) {
    static constexpr MicroKernels<T> pairs{
        {{&micro_kernel<Pairs, T, static_cast<int>(Rows) + 1, 1>...},
         {&micro_kernel<Pairs, T, static_cast<int>(Rows) + 1, 2>...}},
        &row_kernel<Pairs, T>};
#if defined(__AVX512F__)
    static constexpr MicroKernels<T> by_instruction{
        {{&bfloat16_kernel<static_cast<int>(Rows) + 1, 1>...},
         {&bfloat16_kernel<static_cast<int>(Rows) + 1, 2>...}},
        &bfloat16_row_kernel};
    if (precision == Precision::bfloat16 && has_bfloat16_products()) return by_instruction;
#endif
    if (precision == Precision::bfloat16) return pairs;
  }
  return full;
}

}  // namespace pyae
