// Walks along events in order, for 64 relabelings of them at a time.
//
// A relabeling is one bit of a word that every event has: a walk reads an event's word once, and
// adds to 64 running sums that stay in registers.  Sums run in the order of the events and in
// double precision, as np.cumsum does, so that differences of distribution functions have the
// same last bit in both.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

// Doubles in a vector, and vectors whose sums, largest and smallest stay in registers.
#if defined(__AVX512F__)
constexpr int LANES = 8, VECTORS = 8;
#elif defined(__AVX__)
constexpr int LANES = 4, VECTORS = 4;
#else
constexpr int LANES = 2, VECTORS = 4;
#endif
typedef double Reals __attribute__((vector_size(8 * LANES)));
typedef std::int64_t Words __attribute__((vector_size(8 * LANES)));

constexpr int WIDTH = LANES * VECTORS;  // relabelings of one walk
constexpr int BITS = 64;

enum Reduction : std::int32_t { SUPREMUM = 0, AREA = 1, SQUARES = 2 };

// The steps of relabelings that are bits: weight times `up` or minus `down`.
struct Labels {
  const std::uint64_t* words;  // (n,)
  const double* weights;       // (n,)
  Reals up[VECTORS], down[VECTORS];
  Words bit[VECTORS];

  Labels(const std::uint64_t* words, const double* weights, int shift, const double* rises,
         const double* falls)
      : words(words), weights(weights) {
    for (int v = 0; v < VECTORS; ++v)
      for (int l = 0; l < LANES; ++l) {
        const int lane = shift + v * LANES + l;
        up[v][l] = rises[lane];
        down[v][l] = -falls[lane];
        bit[v][l] = static_cast<std::int64_t>(std::uint64_t{1} << lane);
      }
  }

  inline void add(std::int32_t event, Reals* sum) const {
    const auto word = static_cast<std::int64_t>(words[event]);
    const double weight = weights[event];
    for (int v = 0; v < VECTORS; ++v)
      sum[v] += weight * (((word & bit[v]) != 0) ? up[v] : down[v]);
  }
};

// The steps of rows of masses, which lie side by side for every event (n, WIDTH).
struct Masses {
  const double* rows;

  inline void add(std::int32_t event, Reals* sum) const {
    for (int v = 0; v < VECTORS; ++v) {
      Reals step;
      std::memcpy(&step, rows + std::size_t(event) * WIDTH + v * LANES, sizeof(step));
      sum[v] += step;
    }
  }
};

template <int KIND, typename Steps>
void walk(std::int64_t n, const std::int32_t* order, const double* measure, const Steps& steps,
          double* out) {
  Reals sum[VECTORS], high[VECTORS], low[VECTORS];
  for (int v = 0; v < VECTORS; ++v) sum[v] = high[v] = low[v] = Reals{};
  for (std::int64_t k = 0; k < n; ++k) {
    steps.add(order[k], sum);
    const double here = measure[k];
    if (here == 0.0) continue;  // between tied events
    for (int v = 0; v < VECTORS; ++v) {
      if constexpr (KIND == SUPREMUM) {
        high[v] = sum[v] > high[v] ? sum[v] : high[v];
        low[v] = sum[v] < low[v] ? sum[v] : low[v];
      } else if constexpr (KIND == AREA) {
        high[v] += here * (sum[v] < 0.0 ? -sum[v] : sum[v]);
      } else {
        high[v] += here * (sum[v] * sum[v]);
      }
    }
  }
  for (int v = 0; v < VECTORS; ++v)
    for (int l = 0; l < LANES; ++l) {
      const double above = high[v][l], below = KIND == SUPREMUM ? -low[v][l] : above;
      out[v * LANES + l] = above > below ? above : below;
    }
}

template <typename Steps>
void walk(std::int32_t kind, std::int64_t n, const std::int32_t* order, const double* measure,
          const Steps& steps, double* out) {
  if (kind == SUPREMUM) walk<SUPREMUM>(n, order, measure, steps, out);
  else if (kind == AREA) walk<AREA>(n, order, measure, steps, out);
  else walk<SQUARES>(n, order, measure, steps, out);
}

// One word for every event (n,), whose bit r says what row `first` + r of labels (R, n) says.
void pack(std::int64_t n, std::int64_t first, std::int64_t count, const std::uint8_t* labels,
          std::uint64_t* words) {
  std::memset(words, 0, n * sizeof(*words));
  for (std::int64_t r = 0; r < count; ++r) {
    const std::uint8_t* row = labels + (first + r) * n;
    for (std::int64_t i = 0; i < n; ++i) words[i] |= std::uint64_t{row[i]} << r;
  }
}

std::int64_t fewer(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

}  // namespace

// Reduced differences (R, K) of labels (R, n) along K lines.
extern "C" void vs_walk_labels(std::int32_t kind, std::int64_t lines, std::int64_t n,
                               std::int64_t rows, const std::int32_t* order,
                               const double* measure, const double* weights,
                               const std::uint8_t* labels, const double* up, const double* down,
                               double* out) {
  std::vector<std::uint64_t> words(n);
  for (std::int64_t first = 0; first < rows; first += BITS) {
    const std::int64_t count = fewer(BITS, rows - first);
    pack(n, first, count, labels, words.data());
    double rises[BITS] = {}, falls[BITS] = {}, found[WIDTH];
    std::memcpy(rises, up + first, count * sizeof(double));
    std::memcpy(falls, down + first, count * sizeof(double));
    for (int shift = 0; shift < count; shift += WIDTH) {
      const Labels steps(words.data(), weights, shift, rises, falls);
      for (std::int64_t k = 0; k < lines; ++k) {
        walk(kind, n, order + k * n, measure + k * n, steps, found);
        for (std::int64_t r = 0; r < fewer(WIDTH, count - shift); ++r)
          out[(first + shift + r) * lines + k] = found[r];
      }
    }
  }
}

// Reduced differences (R, K) of signed masses (R, n) along K lines.
extern "C" void vs_walk_masses(std::int32_t kind, std::int64_t lines, std::int64_t n,
                               std::int64_t rows, const std::int32_t* order,
                               const double* measure, const double* masses, double* out) {
  std::vector<double> beside(n * WIDTH);
  for (std::int64_t first = 0; first < rows; first += WIDTH) {
    const std::int64_t count = fewer(WIDTH, rows - first);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t r = 0; r < count; ++r)
        beside[i * WIDTH + r] = masses[(first + r) * n + i];
    const Masses steps{beside.data()};
    double found[WIDTH];
    for (std::int64_t k = 0; k < lines; ++k) {
      walk(kind, n, order + k * n, measure + k * n, steps, found);
      for (std::int64_t r = 0; r < count; ++r) out[(first + r) * lines + k] = found[r];
    }
  }
}

// Sums of weights (F, C, R) of the first sample of labels (R, n) in every cell of F features;
// events in the order of their cells (F, n), of which `ends` (F, C) says where each has ended.
extern "C" void vs_cell_sums(std::int64_t features, std::int64_t cells, std::int64_t n,
                             std::int64_t rows, const std::int32_t* order,
                             const std::int64_t* ends, const double* weights,
                             const std::uint8_t* labels, double* out) {
  std::vector<std::uint64_t> words(n);
  double ones[BITS], zeros[BITS] = {};
  for (double& one : ones) one = 1.0;
  for (std::int64_t first = 0; first < rows; first += BITS) {
    const std::int64_t count = fewer(BITS, rows - first);
    pack(n, first, count, labels, words.data());
    for (int shift = 0; shift < count; shift += WIDTH) {
      const Labels steps(words.data(), weights, shift, ones, zeros);
      const std::int64_t width = fewer(WIDTH, count - shift);
      for (std::int64_t f = 0; f < features; ++f) {
        std::int64_t k = 0;
        for (std::int64_t c = 0; c < cells; ++c) {
          Reals sum[VECTORS];
          for (int v = 0; v < VECTORS; ++v) sum[v] = Reals{};
          for (; k < ends[f * cells + c]; ++k) steps.add(order[f * n + k], sum);
          double* found = out + (f * cells + c) * rows + first + shift;
          for (std::int64_t r = 0; r < width; ++r) found[r] = sum[r / LANES][r % LANES];
        }
      }
    }
  }
}
