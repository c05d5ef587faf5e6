// THE product: C = epilogue(op(A) op(B)). Every dense product of the library goes through here.
// As soon as a tile of C is finished, while it is in the first-level cache, the epilogue is called
// on it: bias and activation going forward, penalty and derivative going back.
#pragma once

#include "linalg/parallel.hpp"

namespace pyae {

// op(A): element (i, p) stands at data[i * row_stride + p * column_stride].
template <class T>
struct Operand {
  const T* data;
  Index rows, columns;
  Index row_stride, column_stride;
};
template <class T>
Operand<T> plain(const T* data, Index rows, Index columns) {
  return {data, rows, columns, columns, 1};
}
// The transpose of a row-major (rows, columns) matrix.
template <class T>
Operand<T> transposed(const T* data, Index rows, Index columns) {
  return {data, columns, rows, 1, columns};
}

// What is done to each finished tile: a function f(context, row, column, n_rows, n_columns, tile,
// stride) and its context, which must outlive the product. The tile's first element is C[row,
// column]. A matrix of C's shape that f reads may be named: it is asked for while a tile is made.
template <class T>
struct Epilogue {
  using Function = void (*)(const void* context, Index row, Index column, Index rows, Index columns,
                            T* tile, Index stride);
  const void* context = nullptr;
  Function function = nullptr;
  const T* reads = nullptr;

  explicit operator bool() const { return function != nullptr; }
  void operator()(Index i, Index j, Index m, Index n, T* tile, Index stride) const {
    function(context, i, j, m, n, tile, stride);
  }
};

// How factors enter a product of floats. `bfloat16` rounds them to 8 significant bits and adds up
// in float: one instruction then does the work of two or more, where the processor has it
// (AVX512-BF16); elsewhere the same numbers come at the speed of floats.
enum class Precision { full, bfloat16 };
bool has_bfloat16_products();  // whether this processor and this module's level have it

// How products are made, and room for packed operands, kept from product to product.
template <class T>
struct MatmulScratch {
  Precision precision = Precision::full;
  Buffer<T> shared;  // by all threads
  Buffer<T> own;     // as much for each
};

// C (m, n), row-major and dense = epilogue(op(A) op(B) [+ C when `accumulate`]).
template <class T>
void matmul(const Team& team, MatmulScratch<T>& scratch, const Operand<T>& a, const Operand<T>& b,
            T* c, Epilogue<T> epilogue = {}, bool accumulate = false);

// op(B) laid out for products that share it, which then begin at once, with the precision it was
// packed in. A row of C is the same sum of the same products however many rows there are.
template <class T>
struct PackedOperand {
  Index rows = 0, columns = 0;
  Precision precision = Precision::full;
  Buffer<T> values;  // panels of columns, (panels * kColumns, places of rows), one block of rows
                     // after another
};
// Of how many rows each of equal blocks is, for products of each block by itself: whole strips of
// those that are made at once, where a smaller last one would be slow.
Index even_rows(Index rows, Index blocks);
template <class T>
void pack_operand(const Team& team, const Operand<T>& b, Precision precision,
                  PackedOperand<T>& packed);
template <class T>
void matmul(const Team& team, MatmulScratch<T>& scratch, const Operand<T>& a,
            const PackedOperand<T>& b, T* c, Epilogue<T> epilogue = {});

}  // namespace pyae
