// Sizes and owned buffers: the vocabulary every other file speaks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace pyae {

using Index = std::ptrdiff_t;  // signed, as Eigen's

static_assert(sizeof(Index) == 8, "pyae needs a 64-bit platform");

// Sizes are checked before they are multiplied: a product that overflows 64 bits is an error,
// never a small number.
inline Index checked_product(Index a, Index b, const char* what) {
  Index product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ||
      product > std::numeric_limits<Index>::max() / 16) {
    throw std::invalid_argument(std::string(what) + " is too large: " + std::to_string(a) + " x " +
                                std::to_string(b) + " values");
  }
  return product;
}

// Memory for so many bytes, aligned to cache lines; large pieces lie in large pages where the
// system has them, which saves looking up addresses when a matrix is read across its rows.
struct Memory {
  static void* take(std::size_t bytes);
  static void give_back(void* pointer, std::size_t bytes);
};

// A 64-byte aligned array that is never smaller than asked for and never shrinks, so that asking
// for the same size again allocates nothing. Contents are zero after growing.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index size) { ensure(size); }

  T* ensure(Index size) {
    if (size > size_) {
      checked_product(size, static_cast<Index>(sizeof(T)), "an array");
      const auto bytes = static_cast<std::size_t>(size) * sizeof(T);
      data_ = {};  // what was here is not needed any more
      size_ = 0;
      data_ = std::unique_ptr<T[], Free>(static_cast<T*>(Memory::take(bytes)), Free{bytes});
      std::uninitialized_fill_n(data_.get(), size, T(0));
      size_ = size;
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  Index size() const { return size_; }

 private:
  struct Free {
    std::size_t bytes = 0;
    void operator()(T* pointer) const { Memory::give_back(pointer, bytes); }
  };
  std::unique_ptr<T[], Free> data_;
  Index size_ = 0;
};

}  // namespace pyae
