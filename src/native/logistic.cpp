// What a logistic loss needs of the values of its functions, in one pass over them.

#include <cstdint>
#include <cstring>

namespace {

// Doubles in a vector; LANES of them are computed side by side.
#if defined(__AVX512F__)
constexpr int LANES = 8;
#elif defined(__AVX__)
constexpr int LANES = 4;
#else
constexpr int LANES = 2;
#endif
typedef double Reals __attribute__((vector_size(8 * LANES)));
typedef std::int64_t Words __attribute__((vector_size(8 * LANES)));

constexpr double LARGEST = 600.0;  // whose exponential is finite

// e^x of |x| <= LARGEST, to a few times the last bit: 2^k e^r with |r| <= log(2)/2.
inline Reals exponential(Reals x) {
  constexpr double SHIFT = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  const Reals shifted = x * 1.4426950408889634 + SHIFT;
  const Reals k = shifted - SHIFT;
  const Reals r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
  Reals sum = Reals{} + 1.0 / 6227020800.0;
  constexpr double TERMS[] = {1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                              1.0 / 362880.0,    1.0 / 40320.0,    1.0 / 5040.0,
                              1.0 / 720.0,       1.0 / 120.0,      1.0 / 24.0,
                              1.0 / 6.0,         0.5,              1.0,
                              1.0};
  for (double term : TERMS) sum = sum * r + term;
  Words bits, power;
  std::memcpy(&bits, &shifted, sizeof(bits));
  power = (bits << 52) + (std::int64_t{1023} << 52);  // the low bits of `shifted` are k
  Reals scale;
  std::memcpy(&scale, &power, sizeof(scale));
  return sum * scale;
}

}  // namespace

// Values f (rows, n) become |a| tanh(f / 2) with a = weight * rate of an event of the reference,
// and minus its weight of one of the data; `ratio` (rows,) gets the sums of a (e^f - 1) over the
// first and of a f over the others.  Row r of the labels starts at r * stride.
extern "C" void vs_logistic_excess(std::int64_t rows, std::int64_t n, std::int64_t stride,
                                   const std::uint8_t* labels, const double* weights,
                                   const double* rates, double* values, double* ratio) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::uint8_t* first = labels + row * stride;
    double* f = values + row * n;
    Reals total = Reals{};
    for (std::int64_t i = 0; i < n; i += LANES) {
      const int filled = n - i < LANES ? static_cast<int>(n - i) : LANES;
      Reals value = Reals{}, weight = Reals{};  // beyond the end there are events without weight
      Words side = Words{};
      if (filled == LANES) {
        std::memcpy(&value, f + i, sizeof(value));
        std::memcpy(&weight, weights + i, sizeof(weight));
        for (int l = 0; l < LANES; ++l) side[l] = first[i + l];
      } else {
        std::memcpy(&value, f + i, filled * sizeof(double));
        std::memcpy(&weight, weights + i, filled * sizeof(double));
        for (int l = 0; l < filled; ++l) side[l] = first[i + l];
      }
      weight = side != 0 ? weight * rates[row] : weight;
      value = value > LARGEST ? Reals{} + LARGEST : value;
      const Reals inside = value < -LARGEST ? Reals{} - LARGEST : value;
      const Reals excess = exponential(inside) - 1.0;
      total += weight * (side != 0 ? excess : -value);
      const Reals slope = weight * (excess / (excess + 2.0));
      std::memcpy(f + i, &slope, filled * sizeof(double));
    }
    for (int l = 0; l < LANES; ++l) ratio[row] += total[l];
  }
}
