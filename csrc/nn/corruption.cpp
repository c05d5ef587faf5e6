#include "nn/corruption.hpp"

namespace pyae {

Corruption make_corruption(const std::optional<Options>& options) {
  if (!options) return NoCorruption{};
  return make_item<Corruption>(*options, "noise");
}

template <class T>
void corrupt(const Team& team, const Corruption& corruption, std::uint64_t seed,
             std::uint64_t epoch, const Index* rows, Index first, Index count, Index columns,
             T* x) {
  if (std::holds_alternative<NoCorruption>(corruption)) return;
  const Random random(seed, Stream::noise, epoch);
  const auto blocks = static_cast<std::uint64_t>((columns + 3) / 4);
  team.for_ranges(count, 4, 4.0 * static_cast<double>(columns), [&](Index begin, Index end) {
    constexpr int kAtOnce = 16;
    std::uint32_t words[4 * kAtOnce];
    for (Index i = begin; i < end; ++i) {
      const auto row = static_cast<std::uint64_t>(rows == nullptr ? first + i : rows[i]);
      for (Index j = 0; j < columns; j += 4 * kAtOnce) {
        random.blocks<kAtOnce>(row * blocks + static_cast<std::uint64_t>(j / 4), words);
        const Index n = std::min<Index>(4 * kAtOnce, columns - j);
        std::visit([&](const auto& kind) { kind.corrupt(x + i * columns + j, words, n, j); },
                   corruption);
      }
    }
  });
}

template void corrupt(const Team&, const Corruption&, std::uint64_t, std::uint64_t, const Index*,
                      Index, Index, Index, float*);
template void corrupt(const Team&, const Corruption&, std::uint64_t, std::uint64_t, const Index*,
                      Index, Index, Index, double*);

}  // namespace pyae
