#include "nn/initializers.hpp"

#include <numeric>

#include "linalg/decompositions.hpp"
#include "linalg/random.hpp"

namespace pyae {
namespace {

struct Draw {
  std::uint64_t seed, layer;

  Random stream(Stream stream, std::uint32_t attempt = 0) const {
    return Random(seed, stream, layer, attempt);
  }
  double normal(Index element, std::uint32_t attempt) const {
    const auto words = stream(Stream::init, attempt).block(static_cast<std::uint64_t>(element / 4));
    double normals[4];
    to_normals(words.data(), normals, 4);
    return normals[element % 4];
  }

  void uniform(double limit, double* values, Index n) const {
    const Random random = stream(Stream::init);
    for (Index start = 0; start < n; start += 4) {
      const auto words = random.block(static_cast<std::uint64_t>(start / 4));
      for (Index i = start; i < std::min(n, start + 4); ++i) {
        values[i] = limit * (2 * to_uniform(words[static_cast<std::size_t>(i - start)]) - 1);
      }
    }
  }
  void normals(double stddev, double* values, Index n) const {
    const Random random = stream(Stream::init);
    constexpr int kAtOnce = 8;
    for (Index start = 0; start < n; start += 4 * kAtOnce) {
      std::uint32_t words[4 * kAtOnce];
      double some[4 * kAtOnce];
      random.blocks<kAtOnce>(static_cast<std::uint64_t>(start / 4), words);
      to_normals(words, some, 4 * kAtOnce);
      const Index count = std::min<Index>(4 * kAtOnce, n - start);
      for (Index i = 0; i < count; ++i) values[start + i] = stddev * some[i];
    }
  }
  // Normals within two standard deviations, scaled to have the variance asked for (Keras).
  void truncated(double variance, double* values, Index n) const {
    normals(1, values, n);
    const double scale = std::sqrt(variance) / 0.87962566103423978;
    for (Index i = 0; i < n; ++i) {
      double z = values[i];
      for (std::uint32_t attempt = 1; std::abs(z) > 2; ++attempt) z = normal(i, attempt);
      values[i] = scale * z;
    }
  }
  // Q of a normal matrix; its transpose where there are more columns than rows.
  void orthogonal(double gain, double* values, Index rows, Index columns) const {
    const Index tall = std::max(rows, columns), narrow = std::min(rows, columns);
    std::vector<double> q(static_cast<std::size_t>(tall * narrow));
    normals(1, q.data(), tall * narrow);
    orthonormalize(q.data(), tall, narrow);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < columns; ++j) {
        const Index at = rows < columns ? j * narrow + i : i * narrow + j;
        values[i * columns + j] = gain * q[static_cast<std::size_t>(at)];
      }
    }
  }
  void sparse(const SparseNormal& options, double* values, Index rows, Index columns) const {
    normals(options.stddev, values, rows * columns);
    const auto k = static_cast<Index>(std::min(options.n_connections, static_cast<double>(rows)));
    const Random choice = stream(Stream::init_choice);
    std::vector<Index> order(static_cast<std::size_t>(rows));
    for (Index j = 0; j < columns; ++j) {
      std::iota(order.begin(), order.end(), Index{0});
      for (Index t = 0; t < k; ++t) {
        const auto other = choice.bounded(static_cast<std::uint64_t>(j * k + t),
                                          static_cast<std::uint64_t>(rows - t));
        std::swap(order[static_cast<std::size_t>(t)],
                  order[static_cast<std::size_t>(t) + static_cast<std::size_t>(other)]);
      }
      for (Index t = k; t < rows; ++t) values[order[static_cast<std::size_t>(t)] * columns + j] = 0;
    }
  }
};

}  // namespace

void initialize(const Initializer& initializer, std::uint64_t seed, std::uint64_t layer,
                Index fan_in, Index fan_out, double* kernel) {
  const Draw draw{seed, layer};
  const Index n = fan_in * fan_out;
  const auto in = static_cast<double>(fan_in), out = static_cast<double>(fan_out);
  std::visit(
      [&](const auto& kind) {
        using K = std::decay_t<decltype(kind)>;
        if constexpr (std::is_same_v<K, GlorotUniform>) {
          draw.uniform(std::sqrt(6 / (in + out)), kernel, n);
        } else if constexpr (std::is_same_v<K, HeUniform>) {
          draw.uniform(std::sqrt(6 / in), kernel, n);
        } else if constexpr (std::is_same_v<K, LecunUniform>) {
          draw.uniform(std::sqrt(3 / in), kernel, n);
        } else if constexpr (std::is_same_v<K, GlorotNormal>) {
          draw.truncated(2 / (in + out), kernel, n);
        } else if constexpr (std::is_same_v<K, HeNormal>) {
          draw.truncated(2 / in, kernel, n);
        } else if constexpr (std::is_same_v<K, LecunNormal>) {
          draw.truncated(1 / in, kernel, n);
        } else if constexpr (std::is_same_v<K, Orthogonal>) {
          draw.orthogonal(kind.gain, kernel, fan_in, fan_out);
        } else if constexpr (std::is_same_v<K, Zeros>) {
          std::fill_n(kernel, n, 0.0);
        } else {
          draw.sparse(kind, kernel, fan_in, fan_out);
        }
      },
      initializer);
}

}  // namespace pyae
