// Stacks of masked autoregressive spline layers: density, inverse, and a whole epoch of training.
//
// A tile of 64 events goes through all layers, and back, while everything it needs stays in the
// cache.  Hidden units stand in registers (events first), splines have their events in registers
// (events last), so that of all products only the last hidden map's units are transposed.  Units
// are sorted by degree: products leave out the masked blocks.
//
// The parameters are packed as density/flows/packed.py says.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include "gemm.h"
#include "spline.h"

namespace {

using gemm::multiply;
using gemm::Operands;
using gemm::Start;
using simd::V;
using simd::WIDTH;

constexpr int TILE = 64;
constexpr int GROUP = 32;  // lanes of hidden units that share their limit
constexpr double LOG_2PI = 1.8378770664093454836;

int padded(int count) { return (count + 15) / 16 * 16; }

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

template <class F>
struct Room {
  std::unique_ptr<F[], Free> memory;
  explicit Room(size_t size = 0)
      : memory(static_cast<F*>(std::aligned_alloc(64, (size * sizeof(F) + 63) / 64 * 64 + 64))) {
    std::memset(memory.get(), 0, size * sizeof(F));
  }
  F* operator()(size_t offset = 0) const { return memory.get() + offset; }
};

struct Map {
  size_t weights, biases;
};

struct Shape {
  int features, context, layers, blocks, hidden, bins;
  double bound;
  int columns, units, raw;             // C + d; hidden, padded; parameters of one spline
  std::vector<int> degree, ends;       // of each unit; units that see at most so many columns
  std::vector<std::vector<Map>> maps;  // of each layer
  size_t size;

  Shape(const int64_t* s, double tail_bound)
      : features(int(s[0])), context(int(s[1])), layers(int(s[2])), blocks(int(s[3])),
        hidden(int(s[4])), bins(int(s[5])), bound(tail_bound), columns(features + context),
        units(padded(hidden)), raw(3 * bins - 1) {
    for (int unit = 0; unit < hidden; ++unit)
      degree.push_back(columns == 1 ? 0 : unit % (columns - 1) + 1);
    std::vector<int> sorted;
    for (int g = 0; g <= columns; ++g)
      for (int unit = 0; unit < hidden; ++unit)
        if (degree[unit] == g) sorted.push_back(g);
    degree = sorted;
    for (int g = 0; g < columns; ++g) {
      int count = 0;
      while (count < hidden && degree[count] <= g) ++count;
      ends.push_back(count);
    }
    size_t at = 0;
    for (int layer = 0; layer < layers; ++layer) {
      maps.emplace_back();
      for (int number = 0; number <= blocks + 1; ++number) {
        const bool last = number > blocks;
        const int rows = last ? columns * raw : number ? hidden : columns;
        const Map map{at, at + size_t(rows) * units};
        maps.back().push_back(map);
        at = map.biases + (last ? padded(rows) : units);
      }
    }
    size = at;
  }

  // Columns, or units, that the lanes before `lane` may see.
  int columns_seen(int lane) const { return degree[std::min(lane, hidden) - 1]; }
  int units_seen(int lane) const {
    const int g = columns_seen(lane);
    return g < columns ? ends[g] : hidden;
  }
  // The first unit, or feature, that sees the unit `lane`.
  int first_unit(int lane) const {
    int unit = 0;
    while (degree[unit] < degree[lane]) ++unit;
    return unit;
  }
  int first_feature(int lane) const {
    int feature = 0;
    while (feature < features && ends[context + feature] <= lane) ++feature;
    return feature;
  }
};

// What one layer keeps of a tile for the way back.
template <class F>
struct Kept {
  Room<F> x, seen, raw;
  std::vector<Room<F>> units;
  explicit Kept(const Shape& s)
      : x(size_t(s.features) * TILE), seen(size_t(s.columns) * TILE),
        raw(size_t(s.features) * s.raw * TILE) {
    for (int number = 0; number <= s.blocks; ++number) units.emplace_back(size_t(TILE) * s.units);
  }
};

template <class F>
void transpose(const F* from, int from_row, F* to, int to_row, int rows, int columns) {
  for (int i = 0; i < rows; i += 8)
    for (int j = 0; j < columns; j += 8)
      for (int a = i; a < std::min(i + 8, rows); ++a)
        for (int b = j; b < std::min(j + 8, columns); ++b) to[b * to_row + a] = from[a * from_row + b];
}

template <class F>
class Stack {
 public:
  Stack(const Shape& shape, const F* parameters)
      : s(shape), p(parameters), turned(size_t(TILE) * s.units) {}

  // Hidden units of the lanes from..to, whose lower neighbours are there.
  void activate(int layer, const Kept<F>& k, int from, int to) {
    const auto& maps = s.maps[layer];
    for (int number = 0; number <= s.blocks; ++number) {
      for (int lane = from; lane < to; lane += GROUP) {
        const int stop = std::min(lane + GROUP, to);
        const F* below = number ? k.units[number - 1]() : k.seen();
        const Operands<F> o{below, number ? s.units : 1, number ? 1 : TILE,
                            p + maps[number].weights, s.units,
                            k.units[number](), s.units, p + maps[number].biases, true};
        multiply<F, Start::LANE_BIAS>(o, 0, TILE, lane, stop,
                                      number ? s.units_seen(stop) : s.columns_seen(stop));
      }
    }
    transpose(k.units[s.blocks](from), s.units, turned(size_t(from) * TILE), TILE, TILE,
              std::min(to, s.hidden) - from);
  }

  // The raw parameters of one feature's splines.
  void parameters(int layer, const Kept<F>& k, int feature) {
    const Map& last = s.maps[layer].back();
    const int row = (s.context + feature) * s.raw;
    const Operands<F> o{p + last.weights + size_t(row) * s.units, s.units, 1,
                        turned(), TILE,
                        k.raw(size_t(feature) * s.raw * TILE), TILE, p + last.biases + row, false};
    multiply<F, Start::ROW_BIAS>(o, 0, s.raw, 0, TILE, s.ends[s.context + feature]);
  }

  spline::Column<F> column(const Kept<F>& k, int feature, int lane) const {
    return {k.raw(size_t(feature) * s.raw * TILE + lane), TILE, s.bins, F(s.bound)};
  }

  void see(const Kept<F>& k, int row, const F* values) const {
    const F bound = F(s.bound);
    F* seen = k.seen(size_t(row) * TILE);
    for (int e = 0; e < TILE; ++e)
      seen[e] = values[e] < -bound ? -bound : values[e] > bound ? bound : values[e];
  }

  // Outputs y of the inputs that k.x holds; log-derivatives are added to `logs`.
  void forward(int layer, const Kept<F>& k, F* y, F* logs) {
    for (int f = 0; f < s.features; ++f) see(k, s.context + f, k.x(size_t(f) * TILE));
    activate(layer, k, 0, s.units);
    for (int f = 0; f < s.features; ++f) {
      parameters(layer, k, f);
      for (int e = 0; e < TILE; e += WIDTH<F>) {
        V<F> value, log;
        spline::forward<F>(column(k, f, e), *(V<F>*)k.x(size_t(f) * TILE + e), value, log);
        *(V<F>*)(y + f * TILE + e) = value;
        *(V<F>*)(logs + e) += log;
      }
    }
  }

  // Inputs of the outputs y, one feature after the other.
  void inverse(int layer, const Kept<F>& k, const F* y) {
    for (int f = 0; f < s.features; ++f) {
      const int column_number = s.context + f, stop = s.ends[column_number];
      const int start = f ? s.ends[column_number - 1] : 0;
      if (stop > start) activate(layer, k, start / 16 * 16, padded(stop));
      parameters(layer, k, f);
      for (int e = 0; e < TILE; e += WIDTH<F>)
        *(V<F>*)k.x(size_t(f) * TILE + e) =
            spline::inverse<F>(column(k, f, e), *(const V<F>*)(y + f * TILE + e));
      see(k, column_number, k.x(size_t(f) * TILE));
    }
  }

  const Shape& s;
  const F* p;
  Room<F> turned;  // units of the last hidden map, events last
};

// The features in reversed order, as from one layer to the next.
void flip(const float* from, float* to, int features) {
  for (int f = 0; f < features; ++f)
    std::memcpy(to + f * TILE, from + (features - 1 - f) * TILE, TILE * sizeof(float));
}
void flip(const double* from, double* to, int features) {
  for (int f = 0; f < features; ++f)
    std::memcpy(to + f * TILE, from + (features - 1 - f) * TILE, TILE * sizeof(double));
}

// Rows first..first+count of z (n, C + d) as columns; the rest of the tile repeats the last one.
template <class F>
void load(const F* z, int columns, int from, int to, const int64_t* rows, int64_t first, int count,
          F* out) {
  for (int e = 0; e < TILE; ++e) {
    const int64_t at = first + std::min(e, count - 1);
    const F* row = z + (rows ? rows[at] : at) * columns;
    for (int c = from; c < to; ++c) out[(c - from) * TILE + e] = row[c];
  }
}

template <class F>
void see_context(const Shape& s, const Stack<F>& stack, const Kept<F>& k, const F* context) {
  for (int c = 0; c < s.context; ++c) stack.see(k, c, context + c * TILE);
}

template <class F>
void log_density(const Shape& s, const F* parameters, const F* z, int64_t n, double* out) {
  Stack<F> stack(s, parameters);
  Kept<F> k(s);
  Room<F> y(size_t(s.features) * TILE), logs(TILE), context(size_t(s.context) * TILE);
  for (int64_t first = 0; first < n; first += TILE) {
    const int count = int(std::min<int64_t>(TILE, n - first));
    load<F>(z, s.columns, 0, s.context, nullptr, first, count, context());
    load<F>(z, s.columns, s.context, s.columns, nullptr, first, count, k.x());
    see_context(s, stack, k, context());
    double sums[TILE] = {};
    for (int layer = 0; layer < s.layers; ++layer) {
      if (layer) flip(y(), k.x(), s.features);
      std::memset(logs(), 0, TILE * sizeof(F));
      stack.forward(layer, k, y(), logs());
      for (int e = 0; e < TILE; ++e) sums[e] += double(logs()[e]);
    }
    for (int f = 0; f < s.features; ++f)
      for (int e = 0; e < TILE; ++e) {
        const double u = double(y()[f * TILE + e]);
        sums[e] -= 0.5 * u * u;
      }
    for (int e = 0; e < count; ++e) out[first + e] = sums[e] - 0.5 * s.features * LOG_2PI;
  }
}

template <class F>
void inverse(const Shape& s, const F* parameters, const F* u, int64_t n, F* out) {
  Stack<F> stack(s, parameters);
  Kept<F> k(s);
  Room<F> y(size_t(s.features) * TILE), context(size_t(s.context) * TILE);
  for (int64_t first = 0; first < n; first += TILE) {
    const int count = int(std::min<int64_t>(TILE, n - first));
    load<F>(u, s.columns, 0, s.context, nullptr, first, count, context());
    load<F>(u, s.columns, s.context, s.columns, nullptr, first, count, y());
    see_context(s, stack, k, context());
    for (int layer = s.layers - 1; layer >= 0; --layer) {
      stack.inverse(layer, k, y());
      if (layer)
        flip(k.x(), y(), s.features);
      else
        std::memcpy(y(), k.x(), size_t(s.features) * TILE * sizeof(F));
    }
    for (int e = 0; e < count; ++e)
      for (int f = 0; f < s.features; ++f) out[(first + e) * s.features + f] = y()[f * TILE + e];
  }
}

// The way forth and back of batches, in float32.
class Teacher {
 public:
  Teacher(const Shape& shape, float* parameters)
      : gradient(shape.size), s(shape), stack(s, parameters), y(size_t(s.features) * TILE),
        by_y(size_t(s.features) * TILE), by_x(size_t(s.features) * TILE), logs(TILE),
        context(size_t(s.context) * TILE), by_seen(size_t(TILE) * padded(s.columns)) {
    for (int layer = 0; layer < s.layers; ++layer) kept.emplace_back(s);
    for (int number = 0; number <= s.blocks; ++number) by_units.emplace_back(size_t(TILE) * s.units);
    for (int layer = 0; layer < s.layers; ++layer)
      for (int number = 0; number <= s.blocks; ++number)
        turned.emplace_back(size_t(s.hidden) * (number ? s.units : padded(s.columns)));
  }

  // Sum of the weighted losses of the rows; `gradient` is that of their mean.
  double descend(const float* z, const float* weights, const int64_t* rows, int64_t count) {
    std::memset(gradient(), 0, s.size * sizeof(float));
    for (int layer = 0; layer < s.layers; ++layer)
      for (int number = 0; number <= s.blocks; ++number)
        transpose(stack.p + s.maps[layer][number].weights, s.units, weight(layer, number)(),
                  number ? s.units : padded(s.columns), number ? s.hidden : s.columns, s.hidden);
    double sum = 0;
    for (int64_t first = 0; first < count; first += TILE)
      sum += tile(z, weights, rows + first, int(std::min<int64_t>(TILE, count - first)), count);
    return sum;
  }

  Room<float> gradient;

 private:
  using Vec = V<float>;

  const Room<float>& weight(int layer, int number) const {
    return turned[size_t(layer) * (s.blocks + 1) + number];
  }

  double tile(const float* z, const float* weights, const int64_t* rows, int count, int64_t batch) {
    load<float>(z, s.columns, 0, s.context, rows, 0, count, context());
    load<float>(z, s.columns, s.context, s.columns, rows, 0, count, kept[0].x());
    float w[TILE] = {};
    for (int e = 0; e < count; ++e) w[e] = weights[rows[e]];
    std::memset(logs(), 0, TILE * sizeof(float));
    for (int layer = 0; layer < s.layers; ++layer) {
      if (layer) flip(y(), kept[layer].x(), s.features);
      see_context(s, stack, kept[layer], context());
      stack.forward(layer, kept[layer], y(), logs());
    }
    double sum = 0;
    float by_log[TILE];
    for (int e = 0; e < TILE; ++e) {
      double loss = 0.5 * s.features * LOG_2PI - double(logs()[e]);
      const float share = w[e] / float(batch);
      by_log[e] = -share;
      for (int f = 0; f < s.features; ++f) {
        const float u = y()[f * TILE + e];
        loss += 0.5 * double(u) * double(u);
        by_y()[f * TILE + e] = share * u;
      }
      if (e < count) sum += double(w[e]) * loss;
    }
    for (int layer = s.layers - 1; layer >= 0; --layer) {
      backward(layer, by_log);
      if (layer) flip(by_x(), by_y(), s.features);
    }
    return sum;
  }

  void backward(int layer, const float* by_log) {
    const Kept<float>& k = kept[layer];
    for (int f = 0; f < s.features; ++f)
      for (int e = 0; e < TILE; e += WIDTH<float>) {
        const int at = f * TILE + e;
        Vec logs_part;
        std::memcpy(&logs_part, by_log + e, sizeof logs_part);
        *(Vec*)by_x(at) = spline::backward<float>(stack.column(k, f, e), *(Vec*)k.x(at),
                                                  *(Vec*)by_y(at), logs_part);
      }
    last_map(layer, k);
    for (int number = s.blocks; number > 0; --number) hidden_map(layer, k, number);
    first_map(layer, k);
  }

  static void where_active(float* by, const float* units, int size) {
    for (int i = 0; i < size; i += WIDTH<float>) {
      Vec& value = *(Vec*)(by + i);
      value = *(const Vec*)(units + i) > 0.0f ? value : Vec{};
    }
  }

  void add_biases(float* out, const float* by) const {
    for (int lane = 0; lane < s.units; lane += WIDTH<float>) {
      Vec sum = *(Vec*)(out + lane);
      for (int e = 0; e < TILE; ++e) sum += *(const Vec*)(by + e * s.units + lane);
      *(Vec*)(out + lane) = sum;
    }
  }

  void last_map(int layer, const Kept<float>& k) {
    const Map& map = s.maps[layer].back();
    const float* units = k.units[s.blocks]();
    float* by = by_units[s.blocks]();
    for (int f = 0; f < s.features; ++f) {
      const int row = (s.context + f) * s.raw;
      const float* raw = k.raw(size_t(f) * s.raw * TILE);
      const Operands<float> o{raw, TILE, 1, units, s.units,
                              gradient(map.weights + size_t(row) * s.units), s.units, nullptr, false};
      multiply<float, Start::ADD>(o, 0, s.raw, 0, padded(s.ends[s.context + f]), TILE);
      for (int r = 0; r < s.raw; ++r) {
        Vec sum = Vec{};
        for (int e = 0; e < TILE; e += WIDTH<float>) sum += *(const Vec*)(raw + r * TILE + e);
        gradient()[map.biases + row + r] += simd::total<float>(sum);
      }
    }
    for (int lane = 0; lane < s.units; lane += GROUP) {
      const int stop = std::min(lane + GROUP, s.units);
      const int f = lane < s.hidden ? s.first_feature(lane) : s.features;
      const Operands<float> o{k.raw(size_t(f) * s.raw * TILE), 1, TILE,
                              stack.p + map.weights + size_t(s.context + f) * s.raw * s.units,
                              s.units, by, s.units, nullptr, false};
      multiply<float, Start::ZERO>(o, 0, TILE, lane, stop, (s.features - f) * s.raw);
    }
    where_active(by, units, TILE * s.units);
  }

  void hidden_map(int layer, const Kept<float>& k, int number) {
    const Map& map = s.maps[layer][number];
    const float* below = k.units[number - 1]();
    const float* by = by_units[number]();
    float* by_below = by_units[number - 1]();
    for (int lane = 0; lane < s.units; lane += GROUP) {
      const int stop = std::min(lane + GROUP, s.units);
      const Operands<float> weights{below, 1, s.units, by, s.units, gradient(map.weights), s.units,
                                    nullptr, false};
      multiply<float, Start::ADD>(weights, 0, s.units_seen(stop), lane, stop, TILE);
      const int unit = lane < s.hidden ? s.first_unit(lane) : s.hidden;
      const Operands<float> inputs{by + unit, s.units, 1,
                                   weight(layer, number)(size_t(unit) * s.units), s.units,
                                   by_below, s.units, nullptr, false};
      multiply<float, Start::ZERO>(inputs, 0, TILE, lane, stop, s.hidden - unit);
    }
    add_biases(gradient(map.biases), by);
    where_active(by_below, below, TILE * s.units);
  }

  void first_map(int layer, const Kept<float>& k) {
    const Map& map = s.maps[layer][0];
    const float* by = by_units[0]();
    const int width = padded(s.columns);
    const Operands<float> weights{k.seen(), TILE, 1, by, s.units, gradient(map.weights), s.units,
                                  nullptr, false};
    multiply<float, Start::ADD>(weights, 0, s.columns, 0, s.units, TILE);
    add_biases(gradient(map.biases), by);
    const Operands<float> inputs{by, s.units, 1, weight(layer, 0)(), width, by_seen(), width, nullptr,
                                 false};
    multiply<float, Start::ZERO>(inputs, 0, TILE, 0, width, s.hidden);
    const float bound = float(s.bound);
    for (int f = 0; f < s.features; ++f)
      for (int e = 0; e < TILE; ++e) {
        const float x = k.x()[f * TILE + e];
        if (x >= -bound && x <= bound)
          by_x()[f * TILE + e] += by_seen()[e * width + s.context + f];
      }
  }

  const Shape& s;
  Stack<float> stack;
  std::vector<Kept<float>> kept;
  std::vector<Room<float>> by_units, turned;
  Room<float> y, by_y, by_x, logs, context, by_seen;
};

// Adam (Kingma and Ba 2015, algorithm 1) on a gradient of at most the norm `clip`.
void step(float* p, float* m, float* v, float* g, const float* mask, size_t size, double rate,
          int64_t taken, double clip) {
  double square = 0;
  for (size_t i = 0; i < size; ++i) g[i] *= mask[i];
  constexpr size_t BLOCK = 4096;
  for (size_t from = 0; from < size; from += BLOCK) {
    float lane[16] = {};
    const size_t to = std::min(from + BLOCK, size);  // size is a multiple of 16
    for (size_t i = from; i < to; i += 16)
      for (int j = 0; j < 16; ++j) lane[j] += g[i + j] * g[i + j];
    for (float part : lane) square += double(part);
  }
  const double shorter = clip / (std::sqrt(square) + 1e-6);
  const float scale = float(shorter < 1 ? shorter : 1);
  const float b1 = 0.9f, b2 = 0.999f, a1 = float(1 - 0.9), a2 = float(1 - 0.999);
  const float size_of_step = float(rate / (1 - std::pow(0.9, double(taken))));
  const float over_root = float(1 / std::sqrt(1 - std::pow(0.999, double(taken))));
  for (size_t i = 0; i < size; ++i) {
    const float gi = g[i] * scale;
    m[i] = b1 * m[i] + a1 * gi;
    v[i] = b2 * v[i] + a2 * gi * gi;
    p[i] -= size_of_step * m[i] / (std::sqrt(v[i]) * over_root + 1e-8f);
  }
}

}  // namespace

extern "C" {

void vs_spline_log_density_f32(const int64_t* shape, double bound, const float* parameters,
                               const float* z, int64_t n, double* out) {
  log_density<float>(Shape(shape, bound), parameters, z, n, out);
}

void vs_spline_log_density_f64(const int64_t* shape, double bound, const double* parameters,
                               const double* z, int64_t n, double* out) {
  log_density<double>(Shape(shape, bound), parameters, z, n, out);
}

void vs_spline_inverse_f32(const int64_t* shape, double bound, const float* parameters,
                           const float* u, int64_t n, float* out) {
  inverse<float>(Shape(shape, bound), parameters, u, n, out);
}

void vs_spline_inverse_f64(const int64_t* shape, double bound, const double* parameters,
                           const double* u, int64_t n, double* out) {
  inverse<double>(Shape(shape, bound), parameters, u, n, out);
}

// Loss, summed over rows and weighted, and the gradient of its mean.
double vs_spline_gradient(const int64_t* shape, double bound, float* parameters, const float* z,
                          const float* weights, const int64_t* rows, int64_t count,
                          float* gradient) {
  const Shape s(shape, bound);
  Teacher teacher(s, parameters);
  const double sum = teacher.descend(z, weights, rows, count);
  std::memcpy(gradient, teacher.gradient(), s.size * sizeof(float));
  return sum;
}

// One epoch over the rows in `order`; returns the sum of the weighted losses on the way.
double vs_spline_epoch(const int64_t* shape, double bound, float* parameters, float* first_moment,
                       float* second_moment, const float* mask, const float* z,
                       const float* weights, const int64_t* order, int64_t n, int64_t batch,
                       const double* rates, int64_t taken, double clip) {
  const Shape s(shape, bound);
  Teacher teacher(s, parameters);
  double sum = 0;
  for (int64_t first = 0; first < n; first += batch) {
    const int64_t count = std::min(batch, n - first);
    sum += teacher.descend(z, weights, order + first, count);
    step(parameters, first_moment, second_moment, teacher.gradient(), mask, s.size,
         rates[first / batch], ++taken, clip);
  }
  return sum;
}

int64_t vs_spline_size(const int64_t* shape) { return int64_t(Shape(shape, 1).size); }
}
