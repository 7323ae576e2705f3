// A spline between given knots, for columns of events: the input maps of flows, in float64.

#include <algorithm>

#include "spline.h"

namespace {

using simd::V;
using simd::WIDTH;

struct Knots {
  const double *x, *y, *slope;
  int64_t bins;

  // The bin of each value among the knots `at`: inner knots that are not above it.
  spline::Bin<double> bin(const double* at, V<double> values) const {
    simd::I<double> index = {};
    for (int64_t k = 1; k < bins; ++k) index -= at[k] <= values;
    spline::Bin<double> b;
    for (int lane = 0; lane < WIDTH<double>; ++lane) {
      const int64_t k = index[lane];
      b.x0[lane] = x[k];
      b.w[lane] = x[k + 1] - x[k];
      b.y0[lane] = y[k];
      b.h[lane] = y[k + 1] - y[k];
      b.d0[lane] = slope[k];
      b.d1[lane] = slope[k + 1];
    }
    return b;
  }
};

V<double> load(const double* from, int64_t count) {
  if (count >= WIDTH<double>) return *(const V<double>*)from;
  V<double> out;
  for (int lane = 0; lane < WIDTH<double>; ++lane) out[lane] = from[std::min<int64_t>(lane, count - 1)];
  return out;
}

void store(V<double> values, double* to, int64_t count) {
  std::memcpy(to, &values, std::min<int64_t>(WIDTH<double>, count) * sizeof(double));
}

}  // namespace

extern "C" {

void vs_knots_evaluate(const double* knots, int64_t bins, const double* values, int64_t n,
                       double* scores, double* log_slopes) {
  const Knots k{knots, knots + bins + 1, knots + 2 * (bins + 1), bins};
  for (int64_t i = 0; i < n; i += WIDTH<double>) {
    const V<double> x = load(values + i, n - i);
    V<double> y, log;
    spline::evaluate<double>(k.bin(k.x, x), x, y, log);
    store(y, scores + i, n - i);
    store(log, log_slopes + i, n - i);
  }
}

void vs_knots_invert(const double* knots, int64_t bins, const double* scores, int64_t n,
                     double* values) {
  const Knots k{knots, knots + bins + 1, knots + 2 * (bins + 1), bins};
  for (int64_t i = 0; i < n; i += WIDTH<double>) {
    const V<double> y = load(scores + i, n - i);
    store(spline::invert<double>(k.bin(k.y, y), y), values + i, n - i);
  }
}
}
