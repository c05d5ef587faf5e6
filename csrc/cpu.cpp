// What this processor can run: a tiny module built for the oldest level, asked before any other
// compiled module is loaded.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

namespace {

// Levels of the x86-64 psABI, best first. __builtin_cpu_supports also asks the operating system
// whether it saves the wide registers.
std::vector<std::string> supported_levels() {
  std::vector<std::string> levels;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
                  __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v4) levels.emplace_back("x86-64-v4");
  if (v3) levels.emplace_back("x86-64-v3");
  if (v2) levels.emplace_back("x86-64-v2");
#endif
  levels.emplace_back("generic");
  return levels;
}

}  // namespace

PYBIND11_MODULE(_cpu, m) {
  m.doc() = "Which instruction-set levels this processor runs, best first.";
  m.def("supported_levels", &supported_levels);
}
