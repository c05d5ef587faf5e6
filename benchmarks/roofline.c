// What bounds a kernel: multiplications with additions a second, and bytes a second. Each function
// runs on the thread that calls it.

#include <stddef.h>

#if defined(__AVX512F__)
enum { width = 64, chains = 24 };
#elif defined(__AVX__)
enum { width = 32, chains = 12 };
#else
enum { width = 16, chains = 12 };
#endif

// Chains of x = x b + c that don't wait for each other: enough of them to fill the pipelines, few
// enough to stay in registers, and unrolled so that they do.
#define EACH_CHAIN _Pragma("GCC unroll 24") for (int k = 0; k < chains; ++k)
#define DEFINE_FMA(name, T)                                               \
  double name(long iterations) {                                          \
    typedef T vector __attribute__((vector_size(width)));                 \
    vector x[chains], b = {0}, c = {0};                                   \
    b += (T)0.5;                                                          \
    c += (T)0.25;                                                         \
    EACH_CHAIN x[k] = c * (T)k;                                           \
    for (long i = 0; i < iterations; ++i) EACH_CHAIN x[k] = x[k] * b + c; \
    vector sum = {0};                                                     \
    EACH_CHAIN sum += x[k];                                               \
    return (double)sum[0];                                                \
  }

DEFINE_FMA(fma_float32, float)
DEFINE_FMA(fma_float64, double)

// Floating-point operations of one iteration.
int flops_float32(void) { return 2 * chains * (int)(width / sizeof(float)); }
int flops_float64(void) { return 2 * chains * (int)(width / sizeof(double)); }

// STREAM's triad, three arrays of n numbers of which one is written.
void triad(double* restrict a, const double* restrict b, const double* restrict c, size_t n) {
  for (size_t i = 0; i < n; ++i) a[i] = b[i] + 3.0 * c[i];
}
