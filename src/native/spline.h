// Monotone rational-quadratic splines with linear tails, one register of events at a time.
//
// The formulae are those of density/flows/rational_quadratic.py (Durkan et al. 2019, eqs. 4-8);
// the derivatives below are theirs, with s = h / w, t = (x - x0) / w, m = t (1 - t),
//   D = s (1 - 2 m) + (d0 + d1) m,   N = d1 t^2 + 2 s m + d0 (1 - t)^2,
//   y = y0 + h (s t^2 + d0 m) / D,   log dy/dx = 2 log s + log N - 2 log D.
// Every sum of D and N has positive terms.

#pragma once

#include <cmath>

#include "simd.h"

namespace spline {

using simd::all;
using simd::I;
using simd::V;

template <class F>
constexpr F MIN_SHARE = F(1e-3);
template <class F>
constexpr F MIN_SLOPE = F(1e-3);

// The raw parameters of one spline for one register of events, `stride` apart:
// K widths, K heights, K - 1 inner slopes.
template <class F>
struct Column {
  F* raw;
  ptrdiff_t stride;
  int bins;
  F bound;

  VS_INLINE V<F>& at(int k) const { return *(V<F>*)(raw + k * stride); }
  VS_INLINE F spread() const { return 2 * bound * (1 - MIN_SHARE<F> * bins); }
};

template <class F>
struct Bin {
  V<F> x0, w, y0, h, d0, d1;
  I<F> index;
};

template <class F>
VS_INLINE I<F> index_of(int k) {
  return I<F>{} + typename simd::Of<F>::Int(k);
}

// Softmax of K parameters, in their place.
template <class F>
VS_INLINE void shares(const Column<F>& c, int first) {
  V<F> most = c.at(first);
  for (int k = 1; k < c.bins; ++k) most = simd::larger<F>(most, c.at(first + k));
  V<F> sum = V<F>{};
  for (int k = 0; k < c.bins; ++k) {
    const V<F> e = simd::exp<F>(c.at(first + k) - most);
    c.at(first + k) = e;
    sum += e;
  }
  const V<F> scale = F(1) / sum;
  for (int k = 0; k < c.bins; ++k) c.at(first + k) *= scale;
}

// Lower corner and size of the bin among shares that holds `value`, and its number.
template <class F>
VS_INLINE void locate(const Column<F>& c, int first, V<F> value, V<F>& low, V<F>& size, I<F>& index) {
  V<F> sum = V<F>{}, left = all<F>(-c.bound);
  low = left;
  index = I<F>{};
  V<F> high = left;
  for (int k = 0; k < c.bins; ++k) {
    sum += c.at(first + k) * (1 - MIN_SHARE<F> * c.bins) + MIN_SHARE<F>;
    const V<F> right = k + 1 < c.bins ? sum * (2 * c.bound) - c.bound : all<F>(c.bound);
    const I<F> inside = k ? (left <= value) : (I<F>{} == I<F>{});
    low = inside ? left : low;
    high = inside ? right : high;
    index = inside ? index_of<F>(k) : index;
    left = right;
  }
  size = high - low;
}

// Lower corner and size of the bin `index` among shares.
template <class F>
VS_INLINE void take(const Column<F>& c, int first, I<F> index, V<F>& low, V<F>& size) {
  V<F> sum = V<F>{}, left = all<F>(-c.bound), high = left;
  low = left;
  for (int k = 0; k < c.bins; ++k) {
    sum += c.at(first + k) * (1 - MIN_SHARE<F> * c.bins) + MIN_SHARE<F>;
    const V<F> right = k + 1 < c.bins ? sum * (2 * c.bound) - c.bound : all<F>(c.bound);
    const I<F> mine = index == index_of<F>(k);
    low = mine ? left : low;
    high = mine ? right : high;
    left = right;
  }
  size = high - low;
}

// Raw slopes at both ends of the bin `index`; they mean nothing at the outermost knots.
template <class F>
VS_INLINE void raw_slopes(const Column<F>& c, I<F> index, V<F>& low, V<F>& high) {
  low = high = V<F>{};
  for (int k = 1; k < c.bins; ++k) {
    const V<F> raw = c.at(2 * c.bins + k - 1);
    low = index == index_of<F>(k) ? raw : low;
    high = index == index_of<F>(k - 1) ? raw : high;
  }
}

template <class F>
VS_INLINE void slopes(const Column<F>& c, Bin<F>& bin) {
  V<F> low, high;
  raw_slopes<F>(c, bin.index, low, high);
  bin.d0 = bin.index == I<F>{} ? all<F>(1) : simd::softplus<F>(low) + MIN_SLOPE<F>;
  bin.d1 = bin.index == index_of<F>(c.bins - 1) ? all<F>(1) : simd::softplus<F>(high) + MIN_SLOPE<F>;
}

template <class F>
VS_INLINE V<F> clamp_unit(V<F> t) {
  return simd::smaller<F>(all<F>(1), simd::larger<F>(V<F>{}, t));
}

// y and log dy/dx of x in its bin; beyond the outer knots along the tangents.
template <class F>
VS_INLINE void evaluate(const Bin<F>& b, V<F> x, V<F>& y, V<F>& log_derivative) {
  const V<F> place = (x - b.x0) / b.w, t = clamp_unit<F>(place), u = F(1) - t, m = t * u;
  const V<F> s = b.h / b.w;
  const V<F> scale = s / (s * (F(1) - F(2) * m) + (b.d0 + b.d1) * m);
  const V<F> share = (t * t + b.d0 / s * m) * scale;
  const V<F> derivative = scale * scale * (b.d1 * t * t + F(2) * s * m + b.d0 * u * u);
  y = b.y0 + b.h * share + derivative * ((place - t) * b.w);
  log_derivative = simd::log<F>(derivative);
}

// x of y in its bin; the discriminant is a sum of squares (see rational_quadratic.invert).
template <class F>
VS_INLINE V<F> invert(const Bin<F>& b, V<F> y) {
  const V<F> place = (y - b.y0) / b.h, eta = clamp_unit<F>(place), s = b.h / b.w;
  const V<F> linear = b.d0 - eta * (b.d0 + b.d1 - F(2) * s), lift = F(2) * s * eta;
  const V<F> square = (linear - lift) * (linear - lift) + F(2) * s * lift * (F(1) - eta);
  V<F> root;
  for (int lane = 0; lane < simd::WIDTH<F>; ++lane) root[lane] = std::sqrt(square[lane]);
  const I<F> positive = linear >= F(0);
  const V<F> top = positive ? lift : root - linear;
  const V<F> bottom = positive ? linear + root : F(2) * (s - linear);
  const V<F> t = clamp_unit<F>(top / bottom);
  const V<F> tail = place < F(0) ? b.d0 : b.d1;
  return b.x0 + t * b.w + (place - eta) * b.h / tail;
}

// y and log dy/dx; the raw widths and heights become their softmax shares.
template <class F>
VS_INLINE void forward(const Column<F>& c, V<F> x, V<F>& y, V<F>& log_derivative) {
  Bin<F> b;
  shares<F>(c, 0);
  shares<F>(c, c.bins);
  locate<F>(c, 0, x, b.x0, b.w, b.index);
  take<F>(c, c.bins, b.index, b.y0, b.h);
  slopes<F>(c, b);
  evaluate<F>(b, x, y, log_derivative);
}

// x of y.
template <class F>
VS_INLINE V<F> inverse(const Column<F>& c, V<F> y) {
  Bin<F> b;
  shares<F>(c, 0);
  shares<F>(c, c.bins);
  locate<F>(c, c.bins, y, b.y0, b.h, b.index);
  take<F>(c, 0, b.index, b.x0, b.w);
  slopes<F>(c, b);
  return invert<F>(b, y);
}

// From dL/dy and dL/d(log dy/dx), return dL/dx; the shares and raw slopes that `forward` left
// become the derivatives of L by the raw parameters.
template <class F>
VS_INLINE V<F> backward(const Column<F>& c, V<F> x, V<F> by_y, V<F> by_log) {
  Bin<F> b;
  locate<F>(c, 0, x, b.x0, b.w, b.index);
  take<F>(c, c.bins, b.index, b.y0, b.h);
  V<F> raw_low, raw_high;
  raw_slopes<F>(c, b.index, raw_low, raw_high);
  const I<F> first = b.index == I<F>{}, last = b.index == index_of<F>(c.bins - 1);
  b.d0 = first ? all<F>(1) : simd::softplus<F>(raw_low) + MIN_SLOPE<F>;
  b.d1 = last ? all<F>(1) : simd::softplus<F>(raw_high) + MIN_SLOPE<F>;

  const V<F> place = (x - b.x0) / b.w, t = clamp_unit<F>(place), u = F(1) - t, m = t * u;
  const V<F> s = b.h / b.w, sum = b.d0 + b.d1;
  const V<F> D = s * (t * t + u * u) + sum * m;
  const V<F> N = b.d1 * t * t + F(2) * s * m + b.d0 * u * u;
  const V<F> A = s * t * t + b.d0 * m;
  const V<F> over_D = F(1) / D, over_N = F(1) / N, square = over_D * over_D;
  const V<F> derivative = s * s * N * square;

  const V<F> N_t = F(2) * (b.d1 * t + s * (u - t) - b.d0 * u), D_t = (sum - F(2) * s) * (u - t);
  const V<F> inside_t = by_y * b.w * derivative + by_log * (N_t * over_N - F(2) * D_t * over_D);
  const V<F> y_scale = by_y * b.h * m * square;
  const V<F> g_s = y_scale * (b.d1 * t * t - b.d0 * u * u) +
                   by_log * (F(2) / s + F(2) * m * over_N - F(2) * (t * t + u * u) * over_D);
  const V<F> g_d0 = y_scale * (s * u * u + b.d1 * m) + by_log * (u * u * over_N - F(2) * m * over_D);
  const V<F> g_d1 = -y_scale * A + by_log * (t * t * over_N - F(2) * m * over_D);

  const I<F> tail = (place < F(0)) | (place > F(1));
  const V<F> g_t = tail ? V<F>{} : inside_t;
  const V<F> over_w = F(1) / b.w;
  const V<F> g_x = tail ? by_y * derivative : g_t * over_w;
  const V<F> g_h = by_y * A * over_D + g_s * over_w;
  const V<F> g_w = -(g_s * s + g_t * t) * over_w;
  // The two knots of the bin; the outermost knots are fixed.
  const V<F> x_low = -g_t * over_w - g_w, x_high = last ? V<F>{} : g_w;
  const V<F> y_low = by_y - g_h, y_high = last ? V<F>{} : g_h;

  // Knot j is the sum of the shares before it: those below the bin move both of its knots.
  const auto by_shares = [&](int from, V<F> low, V<F> high) {
    const V<F> both = (low + high) * c.spread(), one = high * c.spread();
    V<F> mean = V<F>{};
    for (int k = 0; k < c.bins; ++k) {
      const V<F> by_share = index_of<F>(k) < b.index    ? both
                            : index_of<F>(k) == b.index ? one
                                                        : V<F>{};
      mean += c.at(from + k) * by_share;
    }
    for (int k = 0; k < c.bins; ++k) {
      const V<F> by_share = index_of<F>(k) < b.index    ? both
                            : index_of<F>(k) == b.index ? one
                                                        : V<F>{};
      c.at(from + k) *= by_share - mean;
    }
  };
  by_shares(0, x_low, x_high);
  by_shares(c.bins, y_low, y_high);
  const V<F> low = first ? V<F>{} : g_d0 * simd::sigmoid<F>(raw_low);
  const V<F> high = last ? V<F>{} : g_d1 * simd::sigmoid<F>(raw_high);
  for (int k = 1; k < c.bins; ++k) {
    V<F> value = index_of<F>(k) == b.index ? low : V<F>{};
    value = index_of<F>(k - 1) == b.index ? high : value;
    c.at(2 * c.bins + k - 1) = value;
  }
  return g_x;
}

}  // namespace spline
