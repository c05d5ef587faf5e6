#include "linalg/types.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pyae {
namespace {

constexpr std::size_t kLargePage = std::size_t{1} << 21;

std::align_val_t alignment(std::size_t bytes) {
  return std::align_val_t{bytes >= kLargePage ? kLargePage : 64};
}

}  // namespace

void* Memory::take(std::size_t bytes) {
  void* pointer = ::operator new(bytes, alignment(bytes));
#if defined(__linux__)
  if (bytes >= kLargePage) madvise(pointer, bytes, MADV_HUGEPAGE);  // a wish, no more
#endif
  return pointer;
}

void Memory::give_back(void* pointer, std::size_t bytes) {
  ::operator delete(pointer, alignment(bytes));
}

}  // namespace pyae
