// Initial kernels (fan_in, fan_out), a function of (seed, layer, element): scaled uniform and
// truncated normal (Glorot & Bengio 2010; He et al. 2015; LeCun et al. 1998), orthogonal (Saxe,
// McClelland & Ganguli 2014), zeros, and the sparse one of Martens (2010). Computed in double.
#pragma once

#include <cstdint>

#include "linalg/types.hpp"
#include "nn/options.hpp"

namespace pyae {

struct FieldlessInitializer {
  template <class Visit>
  void fields(Visit&&) {}
};
struct GlorotUniform : FieldlessInitializer {  // limit sqrt(6/(fan_in+fan_out))
  static constexpr const char* name = "glorot_uniform";
};
struct GlorotNormal : FieldlessInitializer {  // variance 2/(fan_in+fan_out)
  static constexpr const char* name = "glorot_normal";
};
struct HeUniform : FieldlessInitializer {  // limit sqrt(6/fan_in)
  static constexpr const char* name = "he_uniform";
};
struct HeNormal : FieldlessInitializer {  // variance 2/fan_in
  static constexpr const char* name = "he_normal";
};
struct LecunUniform : FieldlessInitializer {  // limit sqrt(3/fan_in)
  static constexpr const char* name = "lecun_uniform";
};
struct LecunNormal : FieldlessInitializer {  // variance 1/fan_in
  static constexpr const char* name = "lecun_normal";
};
struct Zeros : FieldlessInitializer {
  static constexpr const char* name = "zeros";
};
struct Orthogonal {  // orthonormal columns (or rows, when there are fewer), times gain
  static constexpr const char* name = "orthogonal";
  double gain = 1;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("gain", gain, kAny);
  }
};
struct SparseNormal {  // n_connections inputs of each unit are stddev * normal, the others zero
  static constexpr const char* name = "sparse";
  double n_connections = 15, stddev = 1;
  template <class Visit>
  void fields(Visit&& visit) {
    visit("n_connections", n_connections, Limits{1, kInfinity});
    visit("stddev", stddev, kNotNegative);
  }
};

using Initializer = std::variant<GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform,
                                 LecunNormal, Orthogonal, Zeros, SparseNormal>;

// kernel (fan_in, fan_out), row-major, is overwritten.
void initialize(const Initializer& initializer, std::uint64_t seed, std::uint64_t layer,
                Index fan_in, Index fan_out, double* kernel);

}  // namespace pyae
