// The processor's way with subnormal numbers: exact, which some operations take a hundred cycles
// for, or as 0.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pyae {

// While one lives, its thread takes subnormal numbers for 0, as operands and as results.
class NoSubnormals {
 public:
#if defined(__SSE2__)
  NoSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kAsZero); }
  ~NoSubnormals() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  NoSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | kAsZero) : "memory");
  }
  ~NoSubnormals() { asm volatile("msr fpcr, %0" : : "r"(before_) : "memory"); }
#else
  NoSubnormals() {}
  ~NoSubnormals() {}
#endif
  NoSubnormals(const NoSubnormals&) = delete;
  NoSubnormals& operator=(const NoSubnormals&) = delete;

 private:
#if defined(__SSE2__)
  static constexpr unsigned kAsZero = 0x8040;  // flush to zero, denormals are zero
  unsigned before_;
#elif defined(__aarch64__)
  static constexpr std::uint64_t kAsZero = std::uint64_t{1} << 24;  // FZ
  std::uint64_t before_ = 0;
#endif
};

}  // namespace pyae
