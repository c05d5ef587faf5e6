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
      data_.reset(static_cast<T*>(::operator new(bytes, kAlignment)));
      std::uninitialized_fill_n(data_.get(), size, T(0));
      size_ = size;
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  Index size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* pointer) const { ::operator delete(pointer, kAlignment); }
  };
  std::unique_ptr<T[], Free> data_;
  Index size_ = 0;
};

}  // namespace pyae
